import { FastpathError } from '../core/errors.ts';

export type TolariaErrorCode =
  /** A method was called after close(). */
  | 'ESPER_TOLARIA_CLOSED'
  /** Another guard uses the same signal object; its slot can speak for one training only. Open it once more. */
  | 'ESPER_TOLARIA_SIGNAL_IN_USE'
  /** The shared flag refused a trigger or a clear; the emergency went out without it. See `cause`. */
  | 'ESPER_TOLARIA_FLAG_FAILED'
  /** The bus threw, or did not settle within twice the publish deadline; given as the code of a failed publish. */
  | 'ESPER_TOLARIA_PUBLISH_FAILED'
  /** `restore` threw; the state of the model is unknown. See `cause`. */
  | 'ESPER_TOLARIA_RESTORE_FAILED'
  /** `snapshot` or `restore` returned a promise; both must be synchronous. */
  | 'ESPER_TOLARIA_ASYNC_CALLBACK'
  /** `snapshot` threw. See `cause`. */
  | 'ESPER_TOLARIA_SNAPSHOT_FAILED';

/** What went wrong around the controller or the guard. They reach a caller in results and events, see each code. */
export class TolariaError extends FastpathError {
  constructor(code: TolariaErrorCode, message: string, options: { cause?: unknown } = {}) {
    super(code, message, options);
  }
}

/** One environment variable that was refused: what it was, and what it may be. */
export interface TolariaSettingProblem {
  readonly variable: string;
  readonly value: string;
  readonly allowed: string;
}

/** The TOLARIA_ variables do not give usable settings. Code ESPER_TOLARIA_SETTING_INVALID; all problems at once. */
export class TolariaSettingsError extends FastpathError {
  readonly problems: readonly TolariaSettingProblem[];

  constructor(problems: readonly TolariaSettingProblem[]) {
    const lines = problems.map(
      ({ variable, value, allowed }) => `${variable}: ${value}; allowed: ${allowed}`,
    );
    super('ESPER_TOLARIA_SETTING_INVALID', lines.join('\n'));
    this.problems = problems;
  }
}
