/** One alert's beginning and end: hysteresis, and a bound on how often it is told. */

export interface AlertPace {
  /** The value stays below the limit times this before the alert may end. */
  readonly clearRatio: number;
  /** … for this long, milliseconds. */
  readonly clearAfterMs: number;
  /** From one telling of a beginning to the next, milliseconds. */
  readonly minIntervalMs: number;
}

/** How a value stands to its limit: 'between' keeps an alert that is active and begins none. */
export type Standing = 'over' | 'between' | 'under';

export class AlertLatch {
  readonly #pace: AlertPace;
  #activeSinceMs: number | undefined;
  #underSinceMs: number | undefined;
  #toldAtMs = Number.NEGATIVE_INFINITY;
  #isTold = false;
  #suppressed = 0;

  constructor(pace: AlertPace) {
    this.#pace = pace;
  }

  get active(): boolean {
    return this.#activeSinceMs !== undefined;
  }

  /** Monotonic, milliseconds. */
  get activeSinceMs(): number | undefined {
    return this.#activeSinceMs;
  }

  /**
   * What is to be told now, if anything. The end is told when the beginning was. A beginning that comes too soon after
   * the last one told is counted, and told later if the alert is still active then.
   */
  update(standing: Standing, nowMs: number): 'begin' | 'end' | undefined {
    if (standing !== 'under') this.#underSinceMs = undefined;
    if (this.#activeSinceMs === undefined) {
      if (standing !== 'over') return undefined;
      this.#activeSinceMs = nowMs;
      this.#isTold = false;
      if (this.#isTooSoon(nowMs)) this.#suppressed += 1;
    } else if (standing === 'under') {
      this.#underSinceMs ??= nowMs;
      if (nowMs - this.#underSinceMs >= this.#pace.clearAfterMs) return this.#end();
    }
    if (this.#isTold || this.#isTooSoon(nowMs)) return undefined;
    this.#isTold = true;
    this.#toldAtMs = nowMs;
    return 'begin';
  }

  /** Beginnings that were not told since this was asked last. */
  takeSuppressed(): number {
    const count = this.#suppressed;
    this.#suppressed = 0;
    return count;
  }

  #end(): 'end' | undefined {
    this.#activeSinceMs = undefined;
    this.#underSinceMs = undefined;
    return this.#isTold ? 'end' : undefined;
  }

  #isTooSoon(nowMs: number): boolean {
    return nowMs - this.#toldAtMs < this.#pace.minIntervalMs;
  }
}

/** `value` against `limit`. A limit of 0 is passed by any value above it, and left at 0. */
export function standingOf(value: number, limit: number, clearRatio: number): Standing {
  if (value > limit) return 'over';
  return value <= limit * clearRatio ? 'under' : 'between';
}
