export { bootId } from './boot-id.ts';
export { controllerOptionsFrom } from './controller-options.ts';
export type {
  ControllerClearFields,
  ControllerEvent,
  ControllerListener,
  EmergencyController,
  EmergencyControllerOptions,
  EscalateFields,
  Escalation,
  Route,
} from './controller-types.ts';
export { createEmergencyController } from './emergency-controller.ts';
export {
  TolariaError,
  type TolariaErrorCode,
  type TolariaSettingProblem,
  TolariaSettingsError,
} from './errors.ts';
export { guardOptionsFrom } from './guard-options.ts';
export type {
  GuardEvent,
  GuardEventBody,
  GuardStats,
  StepOutcome,
  StepReport,
  TrainingGuard,
  TrainingGuardOptions,
} from './guard-types.ts';
export { type EmergencyFacts, type Sender, toEmergencySignal, toTelemetryPacket } from './messages.ts';
export { type TolariaSettings, tolariaSettingsFromEnv } from './settings.ts';
export type { Anomaly } from './step-judge.ts';
export { createTrainingGuard } from './training-guard.ts';
