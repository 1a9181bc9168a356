import { BreakerOpenError } from '../../core/circuit-breaker.ts';
import { errorCode, errorMessage, FastpathError } from '../../core/errors.ts';
import { isTransportError } from '../errors.ts';
import type { WorkPublishResult } from '../work-types.ts';

/** 'failed' is what the bus's state did, 'rejected' what the message or the caller did. */
export function failureOf(
  error: unknown,
  stream: string,
  latencyMs: number,
): Extract<WorkPublishResult, { outcome: 'failed' | 'rejected' }> {
  const code = errorCode(error) ?? 'ESPER_OONA_UNEXPECTED';
  const reason = errorMessage(error);
  const isBus = isTransportError(error) || code === 'ESPER_BREAKER_OPEN';
  if (!isBus) return { outcome: 'rejected', code, reason, stream, latencyMs };
  const retryable = error instanceof FastpathError && error.retryable;
  const failed = { outcome: 'failed', code, reason, retryable, stream, latencyMs } as const;
  const retryAfterMs = error instanceof BreakerOpenError ? error.retryAfterMs : undefined;
  return retryAfterMs === undefined ? failed : { ...failed, retryAfterMs };
}
