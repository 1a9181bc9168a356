import { FastpathError } from '../core/errors.ts';
import type { Participant } from '../signals/participant-types.ts';

/** One variable that was refused: what it was, and what it may be. */
export interface SettingProblem {
  readonly variable: string;
  /** The value as given; masked for secrets; '(not set)' when it is missing. */
  readonly value: string;
  readonly allowed: string;
}

/**
 * The environment does not give usable settings. Codes: ESPER_WEATHERLIGHT_SETTING_MISSING (a required variable is
 * not set) and ESPER_WEATHERLIGHT_SETTING_INVALID (a value is outside what its variable allows).
 */
export class SettingsError extends FastpathError {
  readonly problems: readonly SettingProblem[];

  constructor(code: SettingsErrorCode, problems: readonly SettingProblem[]) {
    super(code, problems.map(describeProblem).join('\n'));
    this.problems = problems;
  }
}

export type SettingsErrorCode = 'ESPER_WEATHERLIGHT_SETTING_MISSING' | 'ESPER_WEATHERLIGHT_SETTING_INVALID';

function describeProblem(problem: SettingProblem): string {
  return `${problem.variable}: ${problem.value}; allowed: ${problem.allowed}`;
}

/** The supervisor was used against its life cycle. Code ESPER_WEATHERLIGHT_STATE. */
export class WeatherlightStateError extends FastpathError {
  constructor(message: string) {
    super('ESPER_WEATHERLIGHT_STATE', message);
  }
}

/** A trainer lives, but its loop has not turned for longer than its phase allows. Code ESPER_WEATHERLIGHT_TRAINER_STALE. */
export class TrainerStaleError extends FastpathError {
  constructor({ name, pid, phase, limitMs, staleForMs }: Participant) {
    const silentS = ((limitMs + staleForMs) / 1000).toFixed(1);
    const message = `trainer ${name} (pid ${pid}) has been silent for ${silentS} s while ${phase}, at most ${limitMs / 1000} s are expected`;
    super('ESPER_WEATHERLIGHT_TRAINER_STALE', message);
  }
}

/** A HALT whose acknowledgements cannot be seen from here. Code ESPER_WEATHERLIGHT_HALT_BLIND. */
export class HaltBlindError extends FastpathError {
  constructor(signalId: string, reason: string) {
    const message = `HALT ${signalId}: this supervisor's flag is process-local (${reason}), so it sees no trainer`;
    super('ESPER_WEATHERLIGHT_HALT_BLIND', message);
  }
}
