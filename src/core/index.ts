export { type BackoffOptions, backoffDelayMs } from './backoff.ts';
export { type Clock, systemClock } from './clock.ts';
export { errorCode, errorMessage, FastpathError, OptionError } from './errors.ts';
export { type Logger, silentLogger } from './logger.ts';
export { Metrics } from './metrics.ts';
export { refuseUnknownKeys, requireRange, resolveOptions } from './options.ts';
export { type Random, systemRandom } from './random.ts';
