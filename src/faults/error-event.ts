/** Errors as events: what a part reports, what listeners get, and the codes with their types. */
import { ErrorSeverity } from '../leyline/messages.ts';

/** What an event is about. `pipeline.error.*` are six; what concerns the engine itself is `pipeline.engine.*`. */
export type ErrorEventType =
  | 'pipeline.error.memory_pressure'
  | 'pipeline.error.buffer_saturated'
  | 'pipeline.error.publish_blocked'
  | 'pipeline.error.event_dropped'
  | 'pipeline.error.adapter_failed'
  | 'pipeline.error.emitter_failed'
  | `pipeline.engine.${string}`;

/** What happened, as whoever noticed it tells it. */
export interface ErrorReport {
  readonly severity: ErrorSeverity;
  /** Stable, of few values: 'MEMORY_PRESSURE', 'BUFFER_SATURATED'; ERROR_CODES has those of this package. */
  readonly code: string;
  /** For people. Cut at 2,048 characters in the event. */
  readonly message: string;
  /** Of few values, as they name a record and a metric's label: 'monitor:memory', 'adapter:http'. */
  readonly component: string;
  /** Made text in the turn of the event loop after `emit`, and only when somebody listens: hand over, do not change. */
  readonly context?: Readonly<Record<string, unknown>>;
  /** What was thrown, for the stack. */
  readonly error?: unknown;
  /** Does the component go on by itself? Default: unless CRITICAL. */
  readonly recoverable?: boolean;
  /** Default: by code, see `errorType`. */
  readonly type?: ErrorEventType;
}

/** Where every part reports to. Never blocks, never throws. */
export interface ErrorSink {
  emit(report: ErrorReport): void;
}

/** What listeners get: frozen, of plain values only. */
export interface ErrorEvent {
  /** Unique among all processes. */
  readonly id: string;
  readonly severity: ErrorSeverity;
  readonly code: string;
  readonly type: ErrorEventType;
  readonly message: string;
  readonly component: string;
  /** Unix milliseconds, of a clock read up to 50 ms before, or as long as the event loop has been blocked since. */
  readonly occurredAtMs: number;
  readonly context: Readonly<Record<string, string>>;
  /** '' where no error was given. */
  readonly stackTrace: string;
  readonly recoverable: boolean;
  /** How often it happened since it was last told to this listener; at least 1. */
  readonly count: number;
}

export interface ErrorCode {
  readonly type: ErrorEventType;
  /** Of an event that came without one. */
  readonly severity: ErrorSeverity;
}

const { ERROR_SEVERITY_INFO: INFO, ERROR_SEVERITY_WARNING: WARNING } = ErrorSeverity;
const { ERROR_SEVERITY_ERROR: ERROR, ERROR_SEVERITY_CRITICAL: CRITICAL } = ErrorSeverity;

const code = (type: ErrorEventType, severity: ErrorSeverity): ErrorCode => Object.freeze({ type, severity });

/** The codes of this package. Others may be used: they are of type `pipeline.engine.other`. */
export const ERROR_CODES = Object.freeze({
  MEMORY_PRESSURE: code('pipeline.error.memory_pressure', WARNING),
  BUFFER_SATURATED: code('pipeline.error.buffer_saturated', WARNING),
  BACK_PRESSURE_ACTIVE: code('pipeline.error.publish_blocked', INFO),
  EVENT_DROPPED: code('pipeline.error.event_dropped', ERROR),
  ADAPTER_FAILED: code('pipeline.error.adapter_failed', ERROR),
  ADAPTER_CIRCUIT_OPEN: code('pipeline.error.adapter_failed', CRITICAL),
  EMITTER_FAILED: code('pipeline.error.emitter_failed', ERROR),
  EMITTER_CIRCUIT_OPEN: code('pipeline.error.emitter_failed', CRITICAL),
  SUBSCRIBER_FAILED: code('pipeline.engine.subscriber_failed', ERROR),
  TRANSFORM_FAILED: code('pipeline.engine.transform_failed', ERROR),
  STOP_FAILED: code('pipeline.engine.stop_failed', ERROR),
  DEGRADED_MODE_ACTIVATED: code('pipeline.engine.degraded_mode_activated', CRITICAL),
  DEGRADED_MODE_LOWERED: code('pipeline.engine.degraded_mode_lowered', INFO),
  DEGRADED_MODE_CLEARED: code('pipeline.engine.degraded_mode_cleared', INFO),
  DEGRADATION_ACTION_FAILED: code('pipeline.engine.degradation_action_failed', ERROR),
});

export type KnownErrorCode = keyof typeof ERROR_CODES;

const TYPES: ReadonlySet<string> = new Set(Object.values(ERROR_CODES).map(({ type }) => type));

/** One of the six, or `pipeline.engine.` with a name of up to 64 characters. */
export function isErrorEventType(type: unknown): type is ErrorEventType {
  return typeof type === 'string' && (TYPES.has(type) || /^pipeline\.engine\.[\w.]{1,64}$/.test(type));
}

const OTHER: ErrorCode = code('pipeline.engine.other', ERROR);

/** Type and usual severity of a code; of any other than those of ERROR_CODES: `pipeline.engine.other` and ERROR. */
export function errorCodeEntry(name: string): ErrorCode {
  return Object.hasOwn(ERROR_CODES, name) ? ERROR_CODES[name as KnownErrorCode] : OTHER;
}
