import type { Clock } from '../core/clock.ts';
import { errorCode, errorMessage } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import type { Metrics } from '../core/metrics.ts';
import { ErrorBus } from '../faults/error-bus.ts';
import type { ErrorEvent } from '../faults/error-event.ts';
import type { ErrorHandler } from '../faults/error-handler.ts';
import { type EscalationRule, escalateHandler } from '../faults/handlers/escalate.ts';
import { logHandler } from '../faults/handlers/log.ts';
import { metricsHandler, setErrorBusGauges } from '../faults/handlers/metrics.ts';
import { telemetryHandler } from '../faults/handlers/telemetry.ts';
import { BusMessageType, type EmergencyLevel, ErrorSeverity } from '../leyline/messages.ts';
import type { Oona } from '../oona/oona.ts';
import type { PublishErrorEvent } from '../oona/publish/error-events.ts';
import type { EventHub } from './events.ts';
import { LastErrors } from './last-errors.ts';
import type { LastError } from './snapshot.ts';

export interface InternalErrorsParts {
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly hub: Pick<EventHub, 'emit'>;
  /** How long close() waits for what is still to be told. */
  readonly drainTimeoutMs: number;
}

/** Before the name of a part in `component`; LastError and the event `error` have the name alone. */
const OWN = 'weatherlight:';
const { ERROR_SEVERITY_ERROR, ERROR_SEVERITY_CRITICAL } = ErrorSeverity;
const STORED: readonly string[] = ['published', 'duplicate', 'rerouted', 'deferred'];

/**
 * What becomes an emergency of this host: what will not mend itself, and no open breaker. `level` 0: nothing. Not the
 * usual rules: a supervisor in need is no reason to roll back the trainings of all hosts.
 */
export function escalationRules(level: EmergencyLevel): readonly EscalationRule[] {
  return [{ minSeverity: ERROR_SEVERITY_CRITICAL, recoverable: false, level }];
}

/** The error bus of the supervisor and who listens to it. Every internal error goes through it. */
export class InternalErrors {
  readonly #parts: InternalErrorsParts;
  readonly #bus: ErrorBus;
  readonly #last = new LastErrors();
  #isClosed = false;

  constructor(parts: InternalErrorsParts) {
    const { clock, logger, metrics, drainTimeoutMs } = parts;
    this.#parts = parts;
    this.#bus = new ErrorBus({ clock, logger }, { drainTimeoutMs });
    this.#bus.listen(this.#keeper());
    this.#bus.listen(logHandler({ logger }));
    this.#bus.listen(metricsHandler({ metrics }));
  }

  /** For parts that report by themselves. */
  get bus(): ErrorBus {
    return this.#bus;
  }

  /** Never throws. `where`: which part, of few values. */
  report(where: string, error: unknown): void {
    const code = errorCode(error) ?? 'ESPER_WEATHERLIGHT_INTERNAL';
    const message = errorMessage(error);
    const component = `${OWN}${where}`;
    this.#bus.emit({ severity: ERROR_SEVERITY_ERROR, code, message, component, error });
    // Of the last steps of a stop: nobody listens any more.
    if (!this.#isClosed) return;
    this.#parts.logger.error({ where, code, error: message }, 'internal error');
    this.#keep(component, code, message, 1);
  }

  /** Trouble that the bus between hosts tells of itself. */
  reportBus({ count, context, ...report }: PublishErrorEvent): void {
    this.#bus.emit({ ...report, context: { ...context, count } });
  }

  /** Publishes warnings and worse, one at a time: while one is under way, equal ones are counted on the next. */
  publishOn(oona: Pick<Oona, 'publish'>): void {
    const type = BusMessageType.BUS_MESSAGE_TYPE_ERROR_EVENT;
    this.#bus.listen(
      telemetryHandler({
        publish: async (message, signal) =>
          STORED.includes((await oona.publish({ type, message }, { signal })).outcome),
      }),
    );
  }

  /** Raises what will not mend itself on this host's flag. Nothing with level 0. */
  escalateAt(level: EmergencyLevel, raise: (level: EmergencyLevel, reason: string) => void): void {
    const { clock } = this.#parts;
    this.#bus.listen(escalateHandler({ escalate: raise, rules: escalationRules(level), clock }));
  }

  setGauges(): void {
    setErrorBusGauges(this.#parts.metrics, this.#bus.snapshot());
  }

  list(): LastError[] {
    return this.#last.list(this.#parts.clock.monotonicMs());
  }

  /** Tells what is still to be told. Errors from now on are kept and logged, and told nowhere else. */
  async close(): Promise<void> {
    await this.#bus.close();
    this.#isClosed = true;
  }

  /** Counter, last errors, and the event `error`. */
  #keeper(): ErrorHandler {
    return {
      name: 'weatherlight',
      minSeverity: ERROR_SEVERITY_ERROR,
      handle: ({ component, code, message, count }: ErrorEvent) =>
        this.#keep(component, code, message, count),
    };
  }

  #keep(component: string, code: string, text: string, count: number): void {
    const { clock, metrics, hub } = this.#parts;
    const where = component.startsWith(OWN) ? component.slice(OWN.length) : component;
    const message = count === 1 ? text : `${text} (and ${count - 1} more with this code)`;
    metrics.increment('weatherlight.errors_total', count);
    this.#last.add({ where, code, message, wallMs: clock.wallMs() }, clock.monotonicMs());
    hub.emit({ type: 'error', where, code, message });
  }
}
