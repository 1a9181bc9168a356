/** Errors as counters of a fixed set: no code and no component is in a name, or a fault could fill a database. */
import type { Metrics } from '../../core/metrics.ts';
import { ErrorSeverity } from '../../leyline/messages.ts';
import type { ErrorBusSnapshot } from '../error-bus.ts';
import { ERROR_CODES, type ErrorEvent, type ErrorEventType } from '../error-event.ts';
import type { ErrorHandler } from '../error-handler.ts';
import type { ListenerSnapshot } from '../error-listener.ts';

const SEVERITIES: readonly string[] = Object.freeze(
  Object.values(ErrorSeverity)
    .filter((value) => typeof value === 'number')
    .map((value) => (ErrorSeverity[value] ?? '').replace('ERROR_SEVERITY_', '').toLowerCase()),
);

const ENGINE = 'pipeline.engine';

/** What concerns the engine is one family: its types are not bounded. */
const family = (type: ErrorEventType): string => (type.startsWith(`${ENGINE}.`) ? ENGINE : type);

/** `pipeline.error.memory_pressure.warning_total`; `pipeline.engine.critical_total`. */
export function errorCounterName({ type, severity }: Pick<ErrorEvent, 'type' | 'severity'>): string {
  return `${family(type)}.${SEVERITIES[severity] ?? 'error'}_total`;
}

/** Every name that metricsHandler counts under. */
export const ERROR_COUNTERS: readonly string[] = Object.freeze(
  [...new Set(Object.values(ERROR_CODES).map(({ type }) => family(type)))].flatMap((one) =>
    SEVERITIES.slice(1).map((severity) => `${one}.${severity}_total`),
  ),
);

/** When the last CRITICAL error was, Unix seconds; 0 while there was none. */
export const LAST_CRITICAL_GAUGE = 'pipeline.error.last_critical_ts';

/**
 * Counts every occurrence by type and severity, those of no event of their own included. All counters exist from the
 * start: a rate needs the 0 before the first error.
 */
export function metricsHandler({ metrics }: { readonly metrics: Metrics }): ErrorHandler {
  for (const name of ERROR_COUNTERS) metrics.increment(name, 0);
  metrics.setGauge(LAST_CRITICAL_GAUGE, 0);
  return Object.freeze({
    name: 'metrics',
    handle: (event) => {
      metrics.increment(errorCounterName(event), event.count);
      if (event.severity === ErrorSeverity.ERROR_SEVERITY_CRITICAL)
        metrics.setGauge(LAST_CRITICAL_GAUGE, event.occurredAtMs / 1000);
    },
  } satisfies ErrorHandler);
}

const SUMS = [
  'dropped',
  'queued',
  'failed',
  'timedOut',
  'hung',
] as const satisfies (keyof ListenerSnapshot)[];

/** How the bus itself is: gauges, to be set whenever metrics are read. The listeners' accounts are added up. */
export function setErrorBusGauges(metrics: Metrics, snapshot: ErrorBusSnapshot): void {
  const { fromHandlers, malformed, records, listeners } = snapshot;
  metrics.setGauge('faults.bus.from_handlers', fromHandlers);
  metrics.setGauge('faults.bus.malformed', malformed);
  metrics.setGauge('faults.bus.records', records.length);
  metrics.setGauge('faults.bus.listeners', listeners.length);
  for (const field of SUMS) {
    const name = field.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    metrics.setGauge(
      `faults.bus.${name}`,
      listeners.reduce((sum, listener) => sum + listener[field], 0),
    );
  }
}
