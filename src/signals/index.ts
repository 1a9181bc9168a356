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
export { ParticipantsFullError, RollbackPendingError, SignalClosedError } from './errors.ts';
export { HistogramSnapshot } from './histogram-snapshot.ts';
export { LatencyHistogram, type OpenHistogramOptions, openLatencyHistogram } from './latency-histogram.ts';
export { openRollbackSignal } from './rollback-signal.ts';
export type {
  ClearFields,
  ClearResult,
  Degraded,
  EmergencyRecord,
  EmergencySignal,
  EmergencyState,
  OpenSignalOptions,
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
