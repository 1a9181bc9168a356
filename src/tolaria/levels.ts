import { OptionError } from '../core/errors.ts';
import { EmergencyLevel } from '../leyline/messages.ts';

const { EMERGENCY_LEVEL_NOTICE: NOTICE, EMERGENCY_LEVEL_HALT: HALT } = EmergencyLevel;

/** From here up an emergency takes the fast path: the flag, then the emergency stream. */
export const FAST_PATH_LEVEL = EmergencyLevel.EMERGENCY_LEVEL_CONSERVATIVE;

const NAMES: readonly string[] = Array.from({ length: HALT + 1 }, (_, level) =>
  String(EmergencyLevel[level]).replace('EMERGENCY_LEVEL_', '').toLowerCase(),
);

/** 'notice', 'elevated', 'conservative', 'halt': for logs and metric names. */
export function levelName(level: EmergencyLevel): string {
  return NAMES[level] ?? `level-${level}`;
}

/** Throws `OptionError` unless `level` is NOTICE to HALT. */
export function requireLevel(owner: string, level: EmergencyLevel): EmergencyLevel {
  if (!Number.isInteger(level) || level < NOTICE || level > HALT) {
    throw new OptionError(
      `${owner}: level must be an integer from ${NOTICE} to ${HALT}, got ${String(level)}`,
    );
  }
  return level;
}
