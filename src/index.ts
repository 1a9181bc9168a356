/** What trainers and supervisors need, by name. Each layer has a subpath with the rest: `@esper/fastpath/oona`, … */
export {
  type Clock,
  errorCode,
  FastpathError,
  type Logger,
  Metrics,
  OptionError,
  systemClock,
} from './core/index.ts';
export {
  createMemoryMonitor,
  ErrorBus,
  type ErrorEvent,
  type ErrorHandler,
  type ErrorReport,
  type ErrorSink,
  escalateHandler,
  GracefulDegradation,
  logHandler,
  type MemoryMonitor,
  metricsHandler,
  shutdownHandler,
  telemetryHandler,
} from './faults/index.ts';
export {
  BusMessageType,
  createKeyRing,
  EmergencyLevel,
  type KeyRing,
  MessagePriority,
} from './leyline/index.ts';
export { loadNative } from './native/index.ts';
export {
  type BusMessage,
  type Consumer,
  type ConsumerOptions,
  createMemoryTransport,
  createOona,
  createRedisTransport,
  type Delivery,
  type DeliveryHandler,
  type EmergencyDelivery,
  type EmergencyPublisher,
  type Oona,
  type PublishResult,
  type WorkPublishOptions,
  type WorkPublishResult,
} from './oona/index.ts';
export {
  type Adapter,
  type Bus,
  createBus,
  type Emitter,
  type Engine,
  type EngineOptions,
  engine,
} from './pipeline/index.ts';
export {
  type ClearResult,
  type Degraded,
  type EmergencyRecord,
  type EmergencySignal,
  HistogramSnapshot,
  type LatencyHistogram,
  openEmergencySignal,
  openLatencyHistogram,
  openRollbackSignal,
  type RollbackSignal,
  type WatchEvent,
} from './signals/index.ts';
export {
  controllerOptionsFrom,
  createEmergencyController,
  createTrainingGuard,
  type EmergencyController,
  guardOptionsFrom,
  type StepOutcome,
  type TrainingGuard,
  tolariaSettingsFromEnv,
} from './tolaria/index.ts';
export { createWeatherlight, loadSettings, type Weatherlight } from './weatherlight/index.ts';
