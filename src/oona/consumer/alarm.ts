import type { Clock } from '../../core/clock.ts';

/**
 * One sleep for everything that has a due time. `onDue` looks for what is due and says by `wakeBy` when to look again.
 * It does not keep the process alive.
 */
export class Alarm {
  readonly #clock: Clock;
  readonly #onDue: () => void;
  #sleep: AbortController | undefined;
  #atMs = Number.POSITIVE_INFINITY;
  #closed = false;

  constructor(clock: Clock, onDue: () => void) {
    this.#clock = clock;
    this.#onDue = onDue;
  }

  /** Monotonic milliseconds. Costs next to nothing when it rings before that anyway. */
  wakeBy(atMs: number): void {
    if (this.#closed || atMs >= this.#atMs) return;
    this.#atMs = atMs;
    this.#sleep?.abort();
    const sleep = new AbortController();
    this.#sleep = sleep;
    this.#clock.sleep(Math.max(0, atMs - this.#clock.monotonicMs()), sleep.signal).then(
      () => {
        if (this.#closed || this.#sleep !== sleep) return;
        this.#atMs = Number.POSITIVE_INFINITY;
        this.#onDue();
      },
      () => undefined,
    );
  }

  close(): void {
    this.#closed = true;
    this.#sleep?.abort();
  }
}
