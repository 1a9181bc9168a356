import type { Clock } from '../core/clock.ts';

const TICKS = 8;

export interface WatchedCall {
  startedAtTick: number;
}

/**
 * Finds calls that take too long, by one timer for all of them that runs only while there are any: a timer a call would
 * cost more than most calls. Never early, and late by at most an eighth of the time-out.
 */
export class CallWatch<C extends WatchedCall> {
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #stop: AbortSignal;
  readonly #onOverdue: (call: C) => void;
  readonly #calls = new Set<C>();
  #tick = 0;
  #isTicking = false;

  /** `timeoutMs` 0: nothing is ever overdue. */
  constructor(clock: Clock, timeoutMs: number, stop: AbortSignal, onOverdue: (call: C) => void) {
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
    this.#stop = stop;
    this.#onOverdue = onOverdue;
  }

  get calls(): ReadonlySet<C> {
    return this.#calls;
  }

  begin(call: C): void {
    call.startedAtTick = this.#tick;
    this.#calls.add(call);
    if (!this.#isTicking && this.#timeoutMs > 0) void this.#run();
  }

  /** Of one that is watched: it counts as begun now. */
  again(call: C): void {
    call.startedAtTick = this.#tick;
  }

  /** Neither ended nor given up. */
  isWatched(call: C): boolean {
    return this.#calls.has(call);
  }

  /** False when the call was given up before. */
  end(call: C): boolean {
    return this.#calls.delete(call);
  }

  async #run(): Promise<void> {
    this.#isTicking = true;
    while (this.#calls.size > 0 && !this.#stop.aborted) {
      // Somebody may await the call's end: it must come although nothing else is left to run.
      await this.#clock
        .sleep(this.#timeoutMs / TICKS, this.#stop, { keepAlive: true })
        .catch(() => undefined);
      this.#tick += 1;
      for (const call of this.#calls) {
        // One tick more than TICKS: it began somewhere within the first.
        if (this.#tick - call.startedAtTick <= TICKS) continue;
        this.#calls.delete(call);
        this.#onOverdue(call);
      }
    }
    this.#isTicking = false;
  }
}
