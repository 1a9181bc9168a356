export { type BackoffOptions, backoffDelayMs } from './backoff.ts';
export {
  type BreakerChange,
  BreakerOpenError,
  type BreakerSnapshot,
  type BreakerState,
  CircuitBreaker,
  type CircuitBreakerParts,
  isUsualFailure,
  type Permit,
} from './circuit-breaker.ts';
export { CIRCUIT_BREAKER_OPTIONS, type CircuitBreakerOptions } from './circuit-breaker-options.ts';
export { type Clock, systemClock } from './clock.ts';
export { errorCode, errorMessage, FastpathError, OptionError } from './errors.ts';
export { type Logger, silentLogger } from './logger.ts';
export { Metrics } from './metrics.ts';
export { refuseUnknownKeys, requireRange, resolveOptions } from './options.ts';
export { type PrometheusText, prometheusName, prometheusText } from './prometheus.ts';
export { type Random, systemRandom } from './random.ts';
