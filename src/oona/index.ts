/** The bus between hosts: Redis Streams, or this process's memory, behind one contract. */

export {
  createDeadLetters,
  type DeadLetter,
  type DeadLetters,
  parseDeadLetter,
} from './dead-letters/index.ts';
export type { RejectedEmergency } from './emergency-inbox.ts';
export type { EmergencyReader } from './emergency-reader.ts';
export type { EmergencyReaderStats } from './emergency-stats.ts';
export {
  isTransportError,
  type RejectionCode,
  RejectionError,
  TransportError,
  type TransportErrorCode,
} from './errors.ts';
export type { RemovedHostGroup } from './host-groups.ts';
export type { HealthSnapshot, HealthzResult } from './observe/health.ts';
export type { BusMetricsSnapshot } from './observe/metrics-snapshot.ts';
export type { ObserveOptions } from './observe/options.ts';
export type { SloAlert, SloSnapshot } from './observe/slo-tracker.ts';
export { createOona, type Oona } from './oona.ts';
export type { OonaOptions } from './options.ts';
export type { ConservativeSwitch } from './publish/conservative-switch.ts';
export type { PublishErrorEvent } from './publish/error-events.ts';
export type { ConservativeModeOptions, PublishingOptions } from './publish/options.ts';
export type { EmergencyReaderOptions } from './reader-options.ts';
export { DEFAULT_STREAMS, hostGroup, resolveStreams, type StreamNames } from './streams.ts';
export type { TraceOptions } from './trace.ts';
export { createMemoryTransport } from './transport/memory.ts';
export type { MemoryTransportOptions } from './transport/memory-options.ts';
export { createRedisTransport, type RedisTransportOptions } from './transport/redis.ts';
export { maskRedisUrl } from './transport/redis-url.ts';
export type {
  AppendRequest,
  AppendResult,
  BusTransport,
  CallOptions,
  GroupInfo,
  ReadRequest,
  StreamEntry,
  TransportReader,
} from './transport/transport.ts';
export type {
  EmergencyDelivery,
  EmergencyHandler,
  EmergencyPublisher,
  EmergencyPublishOptions,
  EmergencySignalMessage,
  PublishOptions,
  PublishResult,
  TelemetryPacketMessage,
} from './types.ts';
export type {
  BusMessage,
  Consumer,
  ConsumerOptions,
  ConsumerStats,
  Delivery,
  DeliveryHandler,
  ReceivedMessage,
  WorkPublishOptions,
  WorkPublishResult,
  WorkStream,
} from './work-types.ts';
