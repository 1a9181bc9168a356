export { AttachError, NativeLoadError } from '../native/errors.ts';
export {
  BUCKET_COUNT,
  bucketLowNs,
  bucketValueNs,
  bucketWidthNs,
  RELATIVE_ERROR,
  VALUE_LIMIT_NS,
} from '../native/histogram-buckets.ts';
export { openEmergencySignal } from './emergency-signal.ts';
export {
  AlreadyJoinedError,
  HistogramFormatError,
  HistogramMismatchError,
  ParticipantsFullError,
  RollbackPendingError,
  SignalClosedError,
} from './errors.ts';
export type { HgrmOptions } from './histogram-export/hgrm.ts';
export type { OtelExponentialHistogram, OtelOptions } from './histogram-export/otel-exponential.ts';
export { DEFAULT_BUCKETS_SECONDS, type PrometheusOptions } from './histogram-export/prometheus.ts';
export type { HistogramJson } from './histogram-json.ts';
export { HistogramSnapshot } from './histogram-snapshot.ts';
export { LatencyHistogram, type OpenHistogramOptions, openLatencyHistogram } from './latency-histogram.ts';
export type {
  Acknowledgements,
  DeadlineStats,
  JoinOptions,
  Participant,
  Participation,
  StaleEvent,
} from './participant-types.ts';
export { PHASES, type Phase, type PhaseLimitsMs } from './phases.ts';
export type { EndScope } from './pulse.ts';
export { openRollbackSignal } from './rollback-signal.ts';
export type {
  ClearFields,
  ClearResult,
  Degraded,
  EmergencyRecord,
  EmergencySignal,
  EmergencyState,
  HeartbeatFields,
  MemoryFields,
  OpenSignalOptions,
  Raised,
  RaiseFields,
  RollbackRecord,
  RollbackRequestFields,
  RollbackSignal,
  RollbackState,
  RollbackTier,
  Seen,
  SignalStats,
  TriggerFields,
  WatchBatch,
  WatchEvent,
  WatchOptions,
} from './types.ts';
