import type { Logger } from '../../src/core/logger.ts';
import { ErrorBus } from '../../src/faults/error-bus.ts';
import type { ErrorBusOptions } from '../../src/faults/error-bus-options.ts';
import type { ErrorEvent, ErrorReport } from '../../src/faults/error-event.ts';
import type { ErrorHandler } from '../../src/faults/error-handler.ts';
import { ErrorSeverity } from '../../src/leyline/messages.ts';
import { createManualClock } from './manual-clock.ts';

export const {
  ERROR_SEVERITY_DEBUG: DEBUG,
  ERROR_SEVERITY_INFO: INFO,
  ERROR_SEVERITY_WARNING: WARNING,
  ERROR_SEVERITY_ERROR: ERROR,
  ERROR_SEVERITY_CRITICAL: CRITICAL,
} = ErrorSeverity;

export function errorReport(given: Partial<ErrorReport> = {}): ErrorReport {
  return {
    severity: ERROR,
    code: 'ADAPTER_FAILED',
    message: 'it broke',
    component: 'adapter:http',
    ...given,
  };
}

export interface Collector extends ErrorHandler {
  readonly events: ErrorEvent[];
  /** 'CODE x count' of each. */
  told(): string[];
}

/** A listener that keeps what it is told. */
export function collector(given: Partial<ErrorHandler> = {}): Collector {
  const events: ErrorEvent[] = [];
  return {
    name: 'collector',
    handle: (event) => void events.push(event),
    ...given,
    events,
    told: () => events.map(({ code, count }) => `${code} x ${count}`),
  };
}

export interface KeptLogger extends Logger {
  readonly lines: { readonly level: string; readonly fields: object; readonly message: string }[];
}

export function keptLogger(): KeptLogger {
  const lines: KeptLogger['lines'] = [];
  const keep = (level: string) => (fields: object, message: string) =>
    void lines.push({ level, fields, message });
  return { lines, debug: keep('debug'), info: keep('info'), warn: keep('warn'), error: keep('error') };
}

/** A bus on a clock of the test's, and what its last resort was told. */
export function errorBus(options: ErrorBusOptions = {}) {
  const clock = createManualClock();
  const logger = keptLogger();
  const bus = new ErrorBus({ clock, logger }, options);
  return { clock, logger, bus };
}

/** After the turns of the event loop in which listeners are served. */
export async function turns(count = 4): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** Throws where there is nothing. */
export function present<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('nothing there');
  return value;
}
