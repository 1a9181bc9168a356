export { Acknowledgement, type AcknowledgementHolder } from './acknowledgement.ts';
export type { Adapter, AdapterContext, AdapterStats } from './adapter.ts';
export { type Bus, type BusStats, createBus, type PublishOptions, type Subscription } from './bus.ts';
export {
  BUS_OPTIONS,
  type BusOptions,
  type BusPolicy,
  type LimitOverride,
  type QueueLimits,
  SUBSCRIPTION_OPTIONS,
  type SubscribeOptions,
} from './bus-options.ts';
export type { Emitter, EmitterStats } from './emitter.ts';
export { Engine, engine } from './engine.ts';
export { setEngineGauges } from './engine-gauges.ts';
export {
  ENGINE_OPTIONS,
  type EngineOptions,
  type EngineParts,
  type GivenAdapter,
  type GivenEmitter,
} from './engine-options.ts';
export type { EngineHealth, EngineState, EngineStats, StopReport } from './engine-types.ts';
export { PipelineError, type PipelineErrorCode, retryAfterOf } from './errors.ts';
export type { Delivery, Handler } from './handler-calls.ts';
export {
  ADAPTER_OPTIONS,
  type AdapterOptions,
  EMITTER_OPTIONS,
  type EmitterOptions,
} from './part-options.ts';
export type { DropCounts, DropReason, SubscriptionStats } from './subscription-stats.ts';
export type { PartState, PartStats } from './supervised-part.ts';
export type { Transform } from './transform.ts';
