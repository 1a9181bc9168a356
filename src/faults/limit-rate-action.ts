import type { DegradationAction } from './degradation-types.ts';
import type { RateLimiter } from './rate-limiter.ts';
import type { Rate } from './rate-limiter-options.ts';

/** Limits a limiter further while its level is in force; what else limits it, and its own rate, are not touched. */
export function limitRateAction(limiter: RateLimiter, rate: Rate): DegradationAction {
  let lift: (() => void) | undefined;
  return Object.freeze({
    name: `limit rate of ${limiter.name}`,
    apply: () => {
      lift = limiter.limit(rate);
    },
    undo: () => lift?.(),
  });
}
