/** How near the end memory is; in this order. */
export const MEMORY_LEVELS = Object.freeze(['normal', 'warning', 'error', 'critical', 'shutdown'] as const);

export type MemoryLevel = (typeof MEMORY_LEVELS)[number];

/** 0 for 'normal', 4 for 'shutdown'. */
export const levelRank = (level: MemoryLevel): number => MEMORY_LEVELS.indexOf(level);

export interface LevelRules {
  /** Shares of the limit, ascending: of 'warning', 'error', 'critical', 'shutdown'. */
  readonly thresholds: readonly [number, number, number, number];
  readonly margin: number;
  readonly dwellMs: number;
}

/**
 * Which level a share of the limit means. A level is reached at once, and left when the share was below its threshold
 * less the margin for the dwell time without a break: what swings around a threshold is one event, not hundreds.
 */
export class LevelTracker {
  readonly #rules: LevelRules;
  #rank = 0;
  #belowSinceMs: number | undefined;

  constructor(rules: LevelRules) {
    this.#rules = rules;
  }

  get level(): MemoryLevel {
    return MEMORY_LEVELS[this.#rank] ?? 'normal';
  }

  /**
   * `peak`: highest share since the update before, which decides what is reached; `share`: the one now, which decides
   * what is left. Returns the level before when it changed.
   */
  update(share: number, peak: number, nowMs: number): MemoryLevel | undefined {
    const before = this.level;
    const { thresholds, margin, dwellMs } = this.#rules;
    const reached = thresholds.filter((threshold) => Math.max(share, peak) >= threshold).length;
    const kept = thresholds.filter((threshold) => share >= threshold - margin).length;
    if (reached > this.#rank) {
      this.#rank = reached;
      this.#belowSinceMs = undefined;
    }
    if (kept >= this.#rank) {
      this.#belowSinceMs = undefined;
    } else {
      this.#belowSinceMs ??= nowMs;
      if (nowMs - this.#belowSinceMs >= dwellMs) {
        this.#rank = Math.max(kept, reached);
        this.#belowSinceMs = undefined;
      }
    }
    return this.level === before ? undefined : before;
  }
}
