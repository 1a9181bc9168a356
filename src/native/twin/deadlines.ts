// The one place beside core/clock.ts that sets timers: the native timer thread has no other counterpart here.
import { clearTimeout, setTimeout } from 'node:timers';
import { FastpathError } from '../../core/errors.ts';

const MAX_ARMED = 64;
/** Longest delay setTimeout takes, milliseconds; a longer one would fire at once. */
const MAX_DELAY_MS = 2 ** 31 - 1;

interface Armed {
  readonly owner: object;
  readonly deadlineNs: bigint;
  readonly fire: () => void;
  timer: NodeJS.Timeout | undefined;
}

/**
 * Deadlines of one twin segment. A timer of the event loop fires only when the loop is free, so whoever looks at
 * the segment calls `fireOverdue` first: a deadline is then never reported as met after it passed.
 */
export class TwinDeadlines {
  readonly #armed = new Map<number, Armed>();
  readonly #nowNs: () => bigint;
  #nextHandle = 1;

  constructor(nowNs: () => bigint) {
    this.#nowNs = nowNs;
  }

  /** Throws FastpathError `ESPER_NATIVE_DEADLINES_FULL` when the owner has 64 armed already. */
  arm(owner: object, deadlineNs: bigint, fire: () => void): number {
    let own = 0;
    for (const armed of this.#armed.values()) if (armed.owner === owner) own += 1;
    if (own >= MAX_ARMED) {
      const message = `${MAX_ARMED} deadlines are armed already; disarm one first`;
      throw new FastpathError('ESPER_NATIVE_DEADLINES_FULL', message, { retryable: true });
    }
    const handle = this.#nextHandle++;
    const armed: Armed = { owner, deadlineNs, fire, timer: undefined };
    this.#armed.set(handle, armed);
    this.#schedule(handle, armed);
    return handle;
  }

  disarm(owner: object, handle: number): boolean {
    this.fireOverdue();
    const armed = this.#armed.get(handle);
    if (armed === undefined || armed.owner !== owner) return false;
    this.#remove(handle, armed);
    return true;
  }

  disarmAll(owner: object): void {
    for (const [handle, armed] of this.#armed) if (armed.owner === owner) this.#remove(handle, armed);
  }

  fireOverdue(): void {
    if (this.#armed.size === 0) return;
    const nowNs = this.#nowNs();
    const overdue = [...this.#armed].filter(([, armed]) => armed.deadlineNs <= nowNs);
    overdue.sort(([, a], [, b]) => (a.deadlineNs < b.deadlineNs ? -1 : 1));
    for (const [handle, armed] of overdue) {
      this.#remove(handle, armed);
      armed.fire();
    }
  }

  #schedule(handle: number, armed: Armed): void {
    const leftMs = Math.ceil(Number(armed.deadlineNs - this.#nowNs()) / 1e6);
    const delayMs = Math.min(MAX_DELAY_MS, Math.max(0, leftMs));
    armed.timer = setTimeout(() => {
      this.fireOverdue();
      // A timer may run a little early, and a long one runs in several legs.
      if (this.#armed.has(handle)) this.#schedule(handle, armed);
    }, delayMs);
    armed.timer.unref();
  }

  #remove(handle: number, armed: Armed): void {
    clearTimeout(armed.timer);
    this.#armed.delete(handle);
  }
}
