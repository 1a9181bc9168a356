// The one place beside core/clock.ts that sets timers: the native timer thread has no other counterpart here.
import { clearTimeout, setTimeout } from 'node:timers';
import { FastpathError } from '../../core/errors.ts';
import type { NativeDeadlineStats } from '../contract.ts';

const MAX_ARMED = 4096;
/** Longest delay setTimeout takes, milliseconds; a longer one would fire at once. */
const MAX_DELAY_MS = 2 ** 31 - 1;

interface Armed {
  readonly owner: object;
  readonly deadlineNs: bigint;
  readonly fire: () => void;
  timer: NodeJS.Timeout | undefined;
}

const KEPT_OVERRUNS = 1024;

interface OwnerStats {
  armed: number;
  readonly overrunsNs: { fired: number; max: number; readonly latest: number[] };
}

/**
 * Deadlines of one twin segment. A timer of the event loop fires only when the loop is free, so whoever looks at
 * the segment calls `fireOverdue` first: a deadline is then never reported as met after it passed.
 */
export class TwinDeadlines {
  readonly #armed = new Map<number, Armed>();
  readonly #owners = new WeakMap<object, OwnerStats>();
  readonly #nowNs: () => bigint;
  #nextHandle = 1;

  constructor(nowNs: () => bigint) {
    this.#nowNs = nowNs;
  }

  /** Throws FastpathError `ESPER_NATIVE_DEADLINES_FULL` when the owner has 4096 armed already. */
  arm(owner: object, deadlineNs: bigint, fire: () => void): number {
    const own = this.#ownerStats(owner);
    if (own.armed >= MAX_ARMED) {
      const message = `${MAX_ARMED} deadlines are armed already; disarm one first`;
      throw new FastpathError('ESPER_NATIVE_DEADLINES_FULL', message, { retryable: true });
    }
    const handle = this.#nextHandle++;
    const armed: Armed = { owner, deadlineNs, fire, timer: undefined };
    this.#armed.set(handle, armed);
    own.armed += 1;
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
      this.note(armed.owner, armed.deadlineNs);
    }
  }

  /** A deadline of that owner was kept now. */
  note(owner: object, deadlineNs: bigint): void {
    const { overrunsNs } = this.#ownerStats(owner);
    const overrunNs = Number(this.#nowNs() - deadlineNs);
    overrunsNs.fired += 1;
    overrunsNs.latest[overrunsNs.fired % KEPT_OVERRUNS] = overrunNs;
    overrunsNs.max = Math.max(overrunsNs.max, overrunNs);
  }

  /** Percentiles are of the latest 1024. */
  stats(owner: object): NativeDeadlineStats {
    const { armed, overrunsNs } = this.#ownerStats(owner);
    const sorted = overrunsNs.latest.filter((ns) => ns !== undefined).sort((a, b) => a - b);
    const at = (share: number): number => sorted[Math.ceil(sorted.length * share) - 1] ?? 0;
    return {
      armed,
      fired: overrunsNs.fired,
      overrunMaxNs: overrunsNs.max,
      overrunP50Ns: at(0.5),
      overrunP99Ns: at(0.99),
    };
  }

  #ownerStats(owner: object): OwnerStats {
    let stats = this.#owners.get(owner);
    if (stats === undefined) {
      stats = { armed: 0, overrunsNs: { fired: 0, max: 0, latest: [] } };
      this.#owners.set(owner, stats);
    }
    return stats;
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
    if (this.#armed.delete(handle)) this.#ownerStats(armed.owner).armed -= 1;
  }
}
