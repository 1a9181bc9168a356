import { FastpathError } from '../core/errors.ts';

export type PipelineErrorCode =
  /** Closed or stopped: nothing more is taken. */
  | 'ESPER_PIPELINE_CLOSED'
  /** The event alone is larger than `maxBytes`, or its size cannot be told. */
  | 'ESPER_PIPELINE_TOO_LARGE'
  /** No room, and waiting for it is not allowed or no longer possible. Retryable. */
  | 'ESPER_PIPELINE_REFUSED'
  /** To be acknowledged, and nobody is there to deliver it to. Retryable. */
  | 'ESPER_PIPELINE_NO_SUBSCRIBER'
  /** A subscriber failed, took too long, or the delivery was called off. Retryable; `cause` says why. */
  | 'ESPER_PIPELINE_NOT_DELIVERED'
  /** A call did not end in its time. Retryable. */
  | 'ESPER_PIPELINE_TIMEOUT'
  /** A part that must start did not. */
  | 'ESPER_PIPELINE_START_FAILED'
  /** Started twice, or used before it was started. */
  | 'ESPER_PIPELINE_STATE';

export interface PipelineErrorDetails {
  readonly cause?: unknown;
  /** Makes it retryable. Trying earlier is useless, milliseconds. */
  readonly retryAfterMs?: number;
}

/** What the pipeline refuses and rejects with. */
export class PipelineError extends FastpathError {
  declare readonly code: PipelineErrorCode;
  /** For a Retry-After header; undefined where a retry does not help. */
  readonly retryAfterMs: number | undefined;

  constructor(code: PipelineErrorCode, message: string, details: PipelineErrorDetails = {}) {
    const { cause, retryAfterMs } = details;
    super(code, message, { cause, retryable: retryAfterMs !== undefined });
    this.retryAfterMs = retryAfterMs;
  }
}

/** `retryAfterMs` of anything that was thrown, else `fallback`. */
export function retryAfterOf(error: unknown, fallback: number): number {
  if (typeof error !== 'object' || error === null) return fallback;
  const { retryAfterMs } = error as { retryAfterMs?: unknown };
  return typeof retryAfterMs === 'number' && retryAfterMs > 0 ? retryAfterMs : fallback;
}
