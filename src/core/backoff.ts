import type { Random } from './random.ts';

export interface BackoffOptions {
  /** First delay's upper bound, milliseconds. */
  readonly baseMs: number;
  /** No delay exceeds this, milliseconds; applied after the jitter. */
  readonly capMs: number;
}

/**
 * Exponential back-off with full jitter: attempt n waits uniformly in [0, min(cap, base * 2^n)).
 * Full jitter spreads a fleet that failed together (AWS Architecture Blog, "Exponential Backoff And Jitter").
 */
export function backoffDelayMs(attempt: number, options: BackoffOptions, random: Random): number {
  const ceiling = Math.min(options.capMs, options.baseMs * 2 ** Math.min(attempt, 30));
  return Math.min(options.capMs, random() * ceiling);
}
