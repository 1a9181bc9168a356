/** The bus between hosts: Redis Streams, or this process's memory, behind one contract. */
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
export { createOona, type Oona } from './oona.ts';
export type { EmergencyReaderOptions, OonaOptions } from './options.ts';
export { DEFAULT_STREAMS, hostGroup, resolveStreams, type StreamNames } from './streams.ts';
export { createMemoryTransport, type MemoryTransportOptions } from './transport/memory.ts';
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
  EmergencySignalMessage,
  PublishOptions,
  PublishResult,
  TelemetryPacketMessage,
} from './types.ts';
