/** Errors as events, who acts on them, rate limits and graceful degradation. */
export { type DegradationParts, GracefulDegradation } from './degradation.ts';
export { DEGRADATION_OPTIONS, type DegradationOptions } from './degradation-options.ts';
export type { DegradationAction, DegradationLevel, DegradationSnapshot } from './degradation-types.ts';
export {
  ErrorBus,
  type ErrorBusClosed,
  type ErrorBusParts,
  type ErrorBusSnapshot,
  type RecordSnapshot,
} from './error-bus.ts';
export { ERROR_BUS_OPTIONS, type ErrorBusOptions } from './error-bus-options.ts';
export {
  ERROR_CODES,
  type ErrorCode,
  type ErrorEvent,
  type ErrorEventType,
  type ErrorReport,
  type ErrorSink,
  errorCodeEntry,
  type KnownErrorCode,
} from './error-event.ts';
export type { ErrorHandler } from './error-handler.ts';
export type { ListenerSnapshot } from './error-listener.ts';
export { fromErrorMessage, toErrorMessage } from './error-wire.ts';
export { FaultsClosedError, HandlerTimeoutError, RateLimitedError } from './errors.ts';
export {
  DEFAULT_ESCALATION_RULES,
  ESCALATION_OPTIONS,
  type EscalateHandler,
  type EscalateHandlerParts,
  type EscalationOptions,
  type EscalationRule,
  escalateHandler,
} from './handlers/escalate.ts';
export { type LogHandlerParts, logHandler } from './handlers/log.ts';
export {
  ERROR_COUNTERS,
  errorCounterName,
  LAST_CRITICAL_GAUGE,
  metricsHandler,
  setErrorBusGauges,
} from './handlers/metrics.ts';
export { shutdownHandler } from './handlers/shutdown.ts';
export {
  type TelemetryHandler,
  type TelemetryHandlerParts,
  type TelemetryHandlerSnapshot,
  telemetryHandler,
} from './handlers/telemetry.ts';
export { stderrLogger } from './last-resort.ts';
export { limitRateAction } from './limit-rate-action.ts';
export type { ForcedGcOutcome } from './memory/forced-gc.ts';
export { levelRank, MEMORY_LEVELS, type MemoryLevel } from './memory/level.ts';
export type { MemoryLimit, MemoryLimitSource } from './memory/limit.ts';
export { createMemoryMonitor } from './memory/monitor.ts';
export { MEMORY_OPTIONS, type MemoryMonitorOptions } from './memory/options.ts';
export type { MemoryTrouble, MemoryTroubleCode } from './memory/troubles.ts';
export type {
  MemoryKind,
  MemoryLevelChange,
  MemoryMonitor,
  MemoryMonitorParts,
  MemoryStatus,
  MemoryUse,
} from './memory/types.ts';
export { RateLimiter, type RateLimiterParts, type RateLimiterSnapshot } from './rate-limiter.ts';
export { RATE_LIMITER_OPTIONS, type Rate, type RateLimiterOptions } from './rate-limiter-options.ts';
