import { FastpathError } from '../core/errors.ts';

/** Reason of the signal of a handler's call that took too long. */
export class HandlerTimeoutError extends FastpathError {
  declare readonly code: 'ESPER_FAULTS_HANDLER_TIMEOUT';

  constructor(handler: string, timeoutMs: number) {
    super('ESPER_FAULTS_HANDLER_TIMEOUT', `error handler ${handler} took more than ${timeoutMs} ms`);
  }
}

/** The error bus or rate limiter was closed by this process. */
export class FaultsClosedError extends FastpathError {
  declare readonly code: 'ESPER_FAULTS_CLOSED';

  constructor(what: string) {
    super('ESPER_FAULTS_CLOSED', `${what} is closed`);
  }
}

/** There are no tokens for it now, or too many wait for some already. */
export class RateLimitedError extends FastpathError {
  declare readonly code: 'ESPER_FAULTS_RATE_LIMITED';
  /** Trying earlier is useless, milliseconds; infinite while the rate is 0. */
  readonly retryAfterMs: number;

  constructor(limiter: string, retryAfterMs: number) {
    const when = Number.isFinite(retryAfterMs) ? `for ${Math.ceil(retryAfterMs)} ms` : 'while the rate is 0';
    super('ESPER_FAULTS_RATE_LIMITED', `${limiter}: no tokens ${when}`, { retryable: true });
    this.retryAfterMs = retryAfterMs;
  }
}
