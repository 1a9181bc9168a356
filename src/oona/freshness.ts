import { RejectionError } from './errors.ts';

export interface FreshnessLimits {
  /** Older messages are refused, milliseconds; exactly this old is accepted. */
  readonly maxAgeMs: number;
  /** Messages dated further ahead are refused, milliseconds: clocks of hosts differ. */
  readonly maxFutureSkewMs: number;
}

/** Throws RejectionError: ESPER_OONA_TOO_OLD or ESPER_OONA_FROM_FUTURE. Both times are Unix milliseconds. */
export function requireFresh(issuedAtMs: number, nowMs: number, limits: FreshnessLimits): void {
  const ageMs = nowMs - issuedAtMs;
  if (ageMs > limits.maxAgeMs) {
    const text = `issued ${Math.round(ageMs)} ms ago, maxAgeMs is ${limits.maxAgeMs}`;
    throw new RejectionError('ESPER_OONA_TOO_OLD', text);
  }
  if (-ageMs > limits.maxFutureSkewMs) {
    const text = `issued ${Math.round(-ageMs)} ms in the future, maxFutureSkewMs is ${limits.maxFutureSkewMs}; check the clocks`;
    throw new RejectionError('ESPER_OONA_FROM_FUTURE', text);
  }
}
