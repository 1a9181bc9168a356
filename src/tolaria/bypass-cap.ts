import type { Clock } from '../core/clock.ts';
import { requireRange } from '../core/options.ts';

/** 'token': passes and took a token. 'free': exempt, passes without one. 'capped': has to go elsewhere. */
export type Admission = 'token' | 'free' | 'capped';

export interface BypassCap {
  /**
   * One message wants to go to the emergency stream. `exempt` (a raise of the level, every HALT, a clear) always
   * passes and takes a token only if there is one; a repeat needs a token.
   */
  admit(exempt: boolean): Admission;
  /** A message admitted with 'token' was not published: its token is there for the next one. */
  giveBack(admission: Admission): void;
  /** Whole tokens left right now. */
  available(): number;
}

const MINUTE_MS = 60_000;
/** Sixty refills of a sixtieth add up to a little less than one in floating point. */
const ROUNDING = 1e-9;

/**
 * Token bucket that holds `maxPerMin` tokens (0-1000000) and fills at that rate. Times come from the monotonic
 * clock, so a step of the wall clock neither opens nor shuts it. With 0 no repeat ever passes.
 */
export function createBypassCap(maxPerMin: number, clock: Clock): BypassCap {
  requireRange('bypass cap', 'maxPerMin', maxPerMin, 0, 1_000_000);
  let tokens = maxPerMin;
  let filledAtMs = clock.monotonicMs();

  const refill = (): void => {
    const nowMs = clock.monotonicMs();
    tokens = Math.min(maxPerMin, tokens + ((nowMs - filledAtMs) * maxPerMin) / MINUTE_MS);
    filledAtMs = nowMs;
  };

  return {
    admit: (exempt) => {
      refill();
      if (tokens < 1 - ROUNDING) return exempt ? 'free' : 'capped';
      tokens = Math.max(0, tokens - 1);
      return 'token';
    },
    giveBack: (admission) => {
      refill();
      if (admission === 'token') tokens = Math.min(maxPerMin, tokens + 1);
    },
    available: () => {
      refill();
      return Math.floor(tokens + ROUNDING);
    },
  };
}
