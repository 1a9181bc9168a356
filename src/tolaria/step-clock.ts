import type { Clock } from '../core/clock.ts';

/** Measures the time from one step() to the next against the step deadline. */
export class StepClock {
  readonly #clock: Clock;
  readonly #deadlineMs: number;
  /** When the last step() ended; undefined: the next gap does not count. */
  #lastMs: number | undefined;
  #suspended = 0;

  constructor(clock: Clock, deadlineMs: number) {
    this.#clock = clock;
    this.#deadlineMs = deadlineMs;
  }

  /** The gap in milliseconds when it was too long, else 0. */
  tooLong(): number {
    const nowMs = this.#clock.monotonicMs();
    const lastMs = this.#lastMs;
    this.#lastMs = this.#suspended > 0 ? undefined : nowMs;
    if (lastMs === undefined || this.#suspended > 0) return 0;
    const gapMs = nowMs - lastMs;
    return gapMs > this.#deadlineMs ? gapMs : 0;
  }

  /** The guard's own work (a snapshot, a restore) is not the step's. */
  restart(): void {
    this.#lastMs = this.#clock.monotonicMs();
  }

  /** Nothing was expected: the next gap does not count. */
  forget(): void {
    this.#lastMs = undefined;
  }

  /** Until the returned function is called, gaps do not count; calls nest. */
  suspend(): () => void {
    this.#suspended += 1;
    this.#lastMs = undefined;
    let open = true;
    return () => {
      if (!open) return;
      open = false;
      this.#suspended -= 1;
      this.restart();
    };
  }
}
