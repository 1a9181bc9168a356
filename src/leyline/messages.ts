/**
 * The messages and enums of proto/esper/leyline/v1, by name: each is a value (class or enum object) and a type.
 * The only place that knows how the generated module is shaped; nothing else in this package declares these again.
 *
 * uint64 fields hold a number or a {low, high} pair: read and write them with `fromUint64` and `toUint64`.
 * An enum object maps names to numbers and, by index, numbers to names: `EmergencyLevel[4]` is its name.
 */
import { esper, google } from './generated/leyline.js';

const v1 = esper.leyline.v1;

export const EmergencyLevel = v1.EmergencyLevel;
export type EmergencyLevel = esper.leyline.v1.EmergencyLevel;
export const TelemetryLevel = v1.TelemetryLevel;
export type TelemetryLevel = esper.leyline.v1.TelemetryLevel;
export const MessagePriority = v1.MessagePriority;
export type MessagePriority = esper.leyline.v1.MessagePriority;
export const HealthStatus = v1.HealthStatus;
export type HealthStatus = esper.leyline.v1.HealthStatus;
export const CircuitBreakerState = v1.CircuitBreakerState;
export type CircuitBreakerState = esper.leyline.v1.CircuitBreakerState;
export const DeliveryGuarantee = v1.DeliveryGuarantee;
export type DeliveryGuarantee = esper.leyline.v1.DeliveryGuarantee;
export const BusMessageType = v1.BusMessageType;
export type BusMessageType = esper.leyline.v1.BusMessageType;
export const SeedLifecycleStage = v1.SeedLifecycleStage;
export type SeedLifecycleStage = esper.leyline.v1.SeedLifecycleStage;
export const CommandType = v1.CommandType;
export type CommandType = esper.leyline.v1.CommandType;
export const SeedOperation = v1.SeedOperation;
export type SeedOperation = esper.leyline.v1.SeedOperation;
export const FieldReportOutcome = v1.FieldReportOutcome;
export type FieldReportOutcome = esper.leyline.v1.FieldReportOutcome;
export const ErrorSeverity = v1.ErrorSeverity;
export type ErrorSeverity = esper.leyline.v1.ErrorSeverity;

export const BusEnvelope = v1.BusEnvelope;
export type BusEnvelope = esper.leyline.v1.BusEnvelope;
export const EmergencySignal = v1.EmergencySignal;
export type EmergencySignal = esper.leyline.v1.EmergencySignal;
export const TelemetryPacket = v1.TelemetryPacket;
export type TelemetryPacket = esper.leyline.v1.TelemetryPacket;
export const MetricPoint = v1.MetricPoint;
export type MetricPoint = esper.leyline.v1.MetricPoint;
export const TelemetryEvent = v1.TelemetryEvent;
export type TelemetryEvent = esper.leyline.v1.TelemetryEvent;
export const TraceSpan = v1.TraceSpan;
export type TraceSpan = esper.leyline.v1.TraceSpan;
export const SystemHealth = v1.SystemHealth;
export type SystemHealth = esper.leyline.v1.SystemHealth;
export const PolicyUpdate = v1.PolicyUpdate;
export type PolicyUpdate = esper.leyline.v1.PolicyUpdate;
export const KernelPrefetchRequest = v1.KernelPrefetchRequest;
export type KernelPrefetchRequest = esper.leyline.v1.KernelPrefetchRequest;
export const KernelArtifactReady = v1.KernelArtifactReady;
export type KernelArtifactReady = esper.leyline.v1.KernelArtifactReady;
export const KernelArtifactError = v1.KernelArtifactError;
export type KernelArtifactError = esper.leyline.v1.KernelArtifactError;
export const KernelCatalogUpdate = v1.KernelCatalogUpdate;
export type KernelCatalogUpdate = esper.leyline.v1.KernelCatalogUpdate;
export const SystemStatePacket = v1.SystemStatePacket;
export type SystemStatePacket = esper.leyline.v1.SystemStatePacket;
export const HardwareContext = v1.HardwareContext;
export type HardwareContext = esper.leyline.v1.HardwareContext;
export const SeedState = v1.SeedState;
export type SeedState = esper.leyline.v1.SeedState;
export const AdaptationCommand = v1.AdaptationCommand;
export type AdaptationCommand = esper.leyline.v1.AdaptationCommand;
export const CommandSeedOperation = v1.CommandSeedOperation;
export type CommandSeedOperation = esper.leyline.v1.CommandSeedOperation;
export const CommandOptimizerAdjustment = v1.CommandOptimizerAdjustment;
export type CommandOptimizerAdjustment = esper.leyline.v1.CommandOptimizerAdjustment;
export const CommandCircuitBreaker = v1.CommandCircuitBreaker;
export type CommandCircuitBreaker = esper.leyline.v1.CommandCircuitBreaker;
export const FieldReport = v1.FieldReport;
export type FieldReport = esper.leyline.v1.FieldReport;
export const MitigationAction = v1.MitigationAction;
export type MitigationAction = esper.leyline.v1.MitigationAction;
export const ErrorEvent = v1.ErrorEvent;
export type ErrorEvent = esper.leyline.v1.ErrorEvent;
export const RollbackRequest = v1.RollbackRequest;
export type RollbackRequest = esper.leyline.v1.RollbackRequest;

export const Timestamp = google.protobuf.Timestamp;
export type Timestamp = google.protobuf.Timestamp;
export const Struct = google.protobuf.Struct;
export type Struct = google.protobuf.Struct;
