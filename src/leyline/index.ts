/** The contract with peers: messages, envelope, signatures. */
export {
  type CodableType,
  type DecodeLimits,
  decodeMessage,
  encodeMessage,
  isCodableType,
  type MessageInput,
  type MessageOf,
} from './codec.ts';
export {
  buildEmergencySignal,
  clearAttributes,
  clearedSignalId,
  type EmergencyFields,
  type EmergencyInput,
  emergencyChecksum,
  readEmergencySignal,
} from './emergency.ts';
export {
  type Attributes,
  ENVELOPE_ATTRIBUTES,
  type EnvelopeContent,
  type OpenedEnvelope,
  openEnvelope,
  type SignedEntry,
  sealEnvelope,
} from './envelope.ts';
export {
  LeylineError,
  type LeylineErrorCode,
  SignatureError,
  type SignatureErrorCode,
} from './errors.ts';
export {
  createKeyRing,
  type KeyOptions,
  type KeyRing,
  type KeyRingOptions,
} from './key-ring.ts';
export {
  AdaptationCommand,
  BusEnvelope,
  BusMessageType,
  CircuitBreakerState,
  CommandCircuitBreaker,
  CommandOptimizerAdjustment,
  CommandSeedOperation,
  CommandType,
  DeliveryGuarantee,
  EmergencyLevel,
  EmergencySignal,
  ErrorEvent,
  ErrorSeverity,
  FieldReport,
  FieldReportOutcome,
  HardwareContext,
  HealthStatus,
  KernelArtifactError,
  KernelArtifactReady,
  KernelCatalogUpdate,
  KernelPrefetchRequest,
  MessagePriority,
  MetricPoint,
  MitigationAction,
  PolicyUpdate,
  RollbackRequest,
  SeedLifecycleStage,
  SeedOperation,
  SeedState,
  Struct,
  SystemHealth,
  SystemStatePacket,
  TelemetryEvent,
  TelemetryLevel,
  TelemetryPacket,
  Timestamp,
  TraceSpan,
} from './messages.ts';
export {
  type TimestampLike,
  timestampFromWallMs,
  wallMsFromTimestamp,
} from './timestamps.ts';
export {
  fromUint64,
  toUint64,
  type Uint64Field,
} from './uint64.ts';
