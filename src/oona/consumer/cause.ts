import { errorCode, errorMessage } from '../../core/errors.ts';
import { LONGEST_ERROR, withoutCredentials } from '../dead-letters/letter.ts';

const MAX_CODE_LENGTH = 100;

/** Why an entry is dead-lettered. */
export interface Cause {
  readonly code: string;
  readonly error: string;
}

/** One bounded line about anything that was thrown, without the credentials of a URL in it. */
export function errorText(error: unknown): string {
  const text = withoutCredentials(errorMessage(error)).toWellFormed();
  return text.length <= LONGEST_ERROR ? text : `${text.slice(0, LONGEST_ERROR - 1).toWellFormed()}…`;
}

/** The error's own code when it is one that can stand in a counter's name, else `fallback`. */
export function causeCode(error: unknown, fallback: string): string {
  const code = errorCode(error);
  return code !== undefined && code.length <= MAX_CODE_LENGTH && /^[A-Z][A-Z0-9_]*$/.test(code)
    ? code
    : fallback;
}
