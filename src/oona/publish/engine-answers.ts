/** How the engine answered what this process asked of it, as counts that are taken away when they are looked at. */

export interface AnswerCounts {
  /** In time. */
  readonly good: number;
  /** Late, or failed. */
  readonly bad: number;
}

/** On the hot path of publishing: two plain numbers. */
export class EngineAnswers {
  readonly #targetMs: number;
  #good = 0;
  #bad = 0;

  constructor(targetMs: number) {
    this.#targetMs = targetMs;
  }

  /** From sending to the answer; what had waited before does not count. */
  answered(latencyMs: number): void {
    if (latencyMs <= this.#targetMs) this.#good += 1;
    else this.#bad += 1;
  }

  /** Of what says that the engine cannot take appends; not of a caller's abort. */
  failed(): void {
    this.#bad += 1;
  }

  /** What was counted since this was asked last. */
  take(): AnswerCounts {
    const counts = { good: this.#good, bad: this.#bad };
    this.#good = 0;
    this.#bad = 0;
    return counts;
  }
}
