/** The supervisor of one host: detects emergencies, carries them to and from other hosts, follows halts. */
export type { BusState } from './bus-link.ts';
export type { DetectionSnapshot, LatencySnapshot } from './detection.ts';
export {
  type SettingProblem,
  SettingsError,
  type SettingsErrorCode,
  WeatherlightStateError,
} from './errors.ts';
export type {
  BridgedClearOutcome,
  DetectionPath,
  EmergencySummary,
  EventListener,
  HaltAnswer,
  WeatherlightEvent,
  WeatherlightEventBody,
} from './events.ts';
export type { HaltSnapshot } from './halt.ts';
export { Secret } from './secret.ts';
export type { LogLevel } from './setting-rules.ts';
export {
  describeSettings,
  type Environment,
  loadSettings,
  type SettingName,
  type SettingRow,
  type Settings,
  type Streams,
} from './settings.ts';
export type { LastError, WeatherlightSnapshot } from './snapshot.ts';
export {
  createWeatherlight,
  type StopReport,
  type Weatherlight,
  type WeatherlightDeps,
} from './weatherlight.ts';
