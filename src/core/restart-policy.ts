import { backoffDelayMs } from './backoff.ts';
import type { Random } from './random.ts';

export interface RestartRules {
  /** First delay's upper bound, and no delay's, milliseconds. */
  readonly baseMs: number;
  readonly capMs: number;
  /** A run of at least this long was a healthy one: the next failure is a first one. */
  readonly healthyAfterMs: number;
  /** More failures than this within `windowMs`: given up. 0: never. */
  readonly maxRestarts: number;
  readonly windowMs: number;
}

/** When something that ended with a failure is started again: exponential back-off with full jitter, and an end of it. */
export class RestartPolicy {
  readonly #rules: RestartRules;
  readonly #random: Random;
  #attempt = 0;
  /** Times of the failures that still count, oldest first; at most `maxRestarts` + 1. */
  #failuresAtMs: number[] = [];

  constructor(rules: RestartRules, random: Random) {
    this.#rules = rules;
    this.#random = random;
  }

  /** It failed at `nowMs` after `ranMs`: how long to wait before the next start, or undefined when it is given up. */
  failed(nowMs: number, ranMs: number): number | undefined {
    const { healthyAfterMs, maxRestarts, windowMs } = this.#rules;
    if (ranMs >= healthyAfterMs) this.#attempt = 0;
    if (maxRestarts > 0) {
      this.#failuresAtMs = this.#failuresAtMs.filter((atMs) => nowMs - atMs < windowMs);
      this.#failuresAtMs.push(nowMs);
      if (this.#failuresAtMs.length > maxRestarts) return undefined;
    }
    const delayMs = backoffDelayMs(this.#attempt, this.#rules, this.#random);
    this.#attempt += 1;
    return delayMs;
  }
}
