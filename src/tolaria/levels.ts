import { OptionError } from '../core/errors.ts';
import { EmergencyLevel } from '../leyline/messages.ts';

const { EMERGENCY_LEVEL_NOTICE: NOTICE, EMERGENCY_LEVEL_HALT: HALT } = EmergencyLevel;

/** From here up an emergency takes the fast path: the flag, then the emergency stream. */
export const FAST_PATH_LEVEL = EmergencyLevel.EMERGENCY_LEVEL_CONSERVATIVE;

/** 'notice', 'elevated', 'conservative', 'halt': for logs and metric names. */
export function levelName(level: EmergencyLevel): string {
  return (EmergencyLevel[level] ?? `level-${level}`).replace('EMERGENCY_LEVEL_', '').toLowerCase();
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
