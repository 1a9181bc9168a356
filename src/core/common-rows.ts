/** Rows of options that many tables have. */
import { type Clock, systemClock } from './clock.ts';
import { type Logger, silentLogger } from './logger.ts';
import type { Metrics } from './metrics.ts';
import { hasMethods, isFunction, needed, value } from './option-rows.ts';
import { type Random, systemRandom } from './random.ts';

const CLOCK = {
  text: 'Where time comes from; tests give one that they set.',
  allowed: 'a Clock',
  accepts: hasMethods('monotonicNs', 'monotonicMs', 'wallMs', 'sleep'),
};
const METRICS = {
  text: 'Counters and gauges are kept in it.',
  allowed: 'a Metrics',
  accepts: hasMethods('increment', 'setGauge', 'value', 'snapshot'),
};
const LOGGER = {
  text: 'What to log with: four methods, those of a pino instance.',
  allowed: 'an object with the methods debug, info, warn and error',
  accepts: hasMethods('debug', 'info', 'warn', 'error'),
};

export const clockRow = value<Clock>({
  ...CLOCK,
  ...{ default: systemClock, defaultText: "the system's" },
});

export const randomRow = value<Random>({
  text: 'Random numbers from 0 to below 1, for the jitter of waits and for names; tests give their own.',
  allowed: 'a function',
  ...{ default: systemRandom, defaultText: "the system's" },
  accepts: isFunction,
});

export const metricsRow = value<Metrics | undefined>({
  ...METRICS,
  ...{ default: undefined, defaultText: 'a new one' },
});

export const loggerRow = value<Logger>({
  ...LOGGER,
  ...{ default: silentLogger, defaultText: 'one that writes nothing' },
});

export const neededClockRow = needed<Clock>(CLOCK);
export const neededMetricsRow = needed<Metrics>(METRICS);
export const neededLoggerRow = needed<Logger>(LOGGER);

export const signalRow = value<AbortSignal | undefined>({
  text: 'Ends the call.',
  allowed: 'an AbortSignal',
  ...{ default: undefined, defaultText: 'none' },
  accepts: hasMethods('addEventListener', 'throwIfAborted'),
});
