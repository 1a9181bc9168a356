import type { EmergencyLevel } from '../leyline/messages.ts';
import { flag, memorySize, wholeNumber } from './setting-rules.ts';

/** What the supervisor watches of its own process, and what its own errors raise. */
export const OWN_HEALTH_RULES = Object.freeze({
  WEATHERLIGHT_MEMORY_MONITOR: flag,
  WEATHERLIGHT_MEMORY_LIMIT: memorySize,
  WEATHERLIGHT_MEMORY_INTERVAL_MS: wholeNumber(1, 600_000, 'milliseconds'),
  WEATHERLIGHT_ESCALATION_LEVEL: wholeNumber(0, 4, 'an emergency level, 0 for none,'),
});

export interface OwnHealthSettings {
  /** false: the memory of this process is not watched. */
  readonly memoryMonitor: boolean;
  /** undefined: that of the cgroup, else MEMORY_LIMIT; where there is none either, nothing is watched. */
  readonly memoryLimitBytes: number | undefined;
  readonly memoryIntervalMs: number;
  /** Raised on this host's flag by an internal error that will not mend itself; 0: none. */
  readonly escalationLevel: EmergencyLevel;
}

interface OwnHealthValues {
  readonly WEATHERLIGHT_MEMORY_MONITOR?: boolean;
  readonly WEATHERLIGHT_MEMORY_LIMIT?: number;
  readonly WEATHERLIGHT_MEMORY_INTERVAL_MS?: number;
  readonly WEATHERLIGHT_ESCALATION_LEVEL?: number;
}

export function ownHealthOf(values: OwnHealthValues): OwnHealthSettings {
  return Object.freeze({
    memoryMonitor: values.WEATHERLIGHT_MEMORY_MONITOR ?? true,
    memoryLimitBytes: values.WEATHERLIGHT_MEMORY_LIMIT,
    memoryIntervalMs: values.WEATHERLIGHT_MEMORY_INTERVAL_MS ?? 1000,
    escalationLevel: values.WEATHERLIGHT_ESCALATION_LEVEL ?? 1,
  });
}

/** For the table of settings. */
export function shownOwnHealth(settings: OwnHealthSettings): Record<keyof OwnHealthValues, unknown> {
  return {
    WEATHERLIGHT_MEMORY_MONITOR: settings.memoryMonitor,
    WEATHERLIGHT_MEMORY_LIMIT: settings.memoryLimitBytes ?? '(found out)',
    WEATHERLIGHT_MEMORY_INTERVAL_MS: settings.memoryIntervalMs,
    WEATHERLIGHT_ESCALATION_LEVEL: settings.escalationLevel,
  };
}
