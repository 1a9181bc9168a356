import type { Clock } from '../core/clock.ts';

/** A reading is used this long: reading the time for each error would cost more than the rest of telling it. */
const FRESH_MS = 50;

/**
 * Unix time, read again when it is asked for after a pause, so that a rare error has its exact time and only those of
 * a flood share one. No timer runs while nothing happens, and none holds the process.
 */
export class CoarseClock {
  /** Valid while `isFresh`. */
  wallMs: number;
  isFresh = false;
  readonly #clock: Pick<Clock, 'wallMs' | 'sleep'>;
  #isTicking = false;

  constructor(clock: Pick<Clock, 'wallMs' | 'sleep'>) {
    this.#clock = clock;
    this.wallMs = clock.wallMs();
  }

  refresh(): void {
    this.wallMs = this.#clock.wallMs();
    this.isFresh = true;
    if (this.#isTicking) return;
    this.#isTicking = true;
    const stale = (): void => {
      this.#isTicking = false;
      this.isFresh = false;
    };
    this.#clock.sleep(FRESH_MS).then(stale, stale);
  }
}
