import { type BreakerState, CircuitBreaker } from '../../core/circuit-breaker.ts';
import type { CircuitBreakerOptions } from '../../core/circuit-breaker-options.ts';
import type { Clock } from '../../core/clock.ts';
import { errorCode } from '../../core/errors.ts';
import type { Logger } from '../../core/logger.ts';
import type { Metrics } from '../../core/metrics.ts';
import { CircuitBreakerState } from '../../leyline/messages.ts';
import { isTransportError } from '../errors.ts';

export interface PublishBreakerParts {
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly metrics: Metrics;
  readonly logger: Logger;
}

/**
 * One broken connection fails every publish under way at once, which is no outage: only failures that go on for half a
 * second are one.
 */
const DEFAULTS: CircuitBreakerOptions = Object.freeze({
  tripOn: 'consecutive',
  consecutiveFailures: 5,
  consecutiveSpanMs: 500,
  openBaseMs: 500,
  openCapMs: 10_000,
});

/** The caller's own doing, or one stream's: nothing to keep all publishing back for. */
const NOT_FAILURES: ReadonlySet<string> = new Set([
  'ESPER_OONA_ABORTED',
  'ESPER_OONA_CLOSED',
  'ESPER_OONA_WRONG_TYPE',
]);

/**
 * True for what says that the engine cannot take appends now. Back-pressure is an answer, and what handlers do is not
 * seen here at all.
 */
export function isPublishFailure(error: unknown): boolean {
  return isTransportError(error) && !NOT_FAILURES.has(errorCode(error) ?? '');
}

/** As Leyline numbers it; a breaker that was opened by hand is open. */
export const LEYLINE_STATES: Readonly<Record<BreakerState, CircuitBreakerState>> = Object.freeze({
  closed: CircuitBreakerState.CIRCUIT_STATE_CLOSED,
  open: CircuitBreakerState.CIRCUIT_STATE_OPEN,
  'half-open': CircuitBreakerState.CIRCUIT_STATE_HALF_OPEN,
  isolated: CircuitBreakerState.CIRCUIT_STATE_OPEN,
});

const STATE = 'oona.publish.breaker_state';
const OPENED = 'oona.publish.breaker_opened_total';

/** The breaker of all publishing of a bus. Throws OptionError. */
export function createPublishBreaker(
  { clock, metrics, logger }: PublishBreakerParts,
  options: CircuitBreakerOptions = {},
): CircuitBreaker {
  const parts = { name: 'oona publish', clock, logger, isFailure: isPublishFailure };
  const breaker = new CircuitBreaker(parts, { ...DEFAULTS, ...options });
  metrics.setGauge(STATE, LEYLINE_STATES.closed);
  breaker.onChange(({ from, to, openMs }) => {
    metrics.setGauge(STATE, LEYLINE_STATES[to]);
    if (to === 'open') metrics.increment(OPENED);
    logger.warn({ from, to, openMs }, `oona publish: breaker ${to}`);
  });
  return breaker;
}
