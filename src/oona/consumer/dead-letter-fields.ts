import { errorCode, errorMessage } from '../../core/errors.ts';
import type { DeadLetterFields } from '../transport/work.ts';
import type { ResolvedConsumerOptions } from './options.ts';
import type { Work } from './work.ts';

const MAX_ERROR_LENGTH = 1000;
const MAX_CODE_LENGTH = 100;

/** Why an entry is dead-lettered. */
export interface Cause {
  readonly code: string;
  readonly error: string;
}

/** Messages of drivers love to quote the URL that they were given, password and all. */
export function withoutCredentials(text: string): string {
  return text.replace(/([a-z][a-z0-9+.-]*:\/\/)[^\s/@]*@/gi, '$1***@');
}

/** One bounded line about anything that was thrown, without the credentials of a URL in it. */
export function errorText(error: unknown): string {
  const text = withoutCredentials(errorMessage(error)).toWellFormed();
  return text.length <= MAX_ERROR_LENGTH ? text : `${text.slice(0, MAX_ERROR_LENGTH - 1).toWellFormed()}…`;
}

/** The error's own code when it is one that can stand in a counter's name, else `fallback`. */
export function causeCode(error: unknown, fallback: string): string {
  const code = errorCode(error);
  return code !== undefined && code.length <= MAX_CODE_LENGTH && /^[A-Z][A-Z0-9_]*$/.test(code)
    ? code
    : fallback;
}

/** All times are Unix milliseconds. */
export function deadLetterFields(
  work: Work,
  cause: Cause,
  { stream, group, consumer }: ResolvedConsumerOptions,
  wallMs: number,
): DeadLetterFields {
  return {
    reason: cause.code,
    error: cause.error,
    origin_stream: stream,
    origin_id: work.id,
    group,
    consumer,
    delivery_count: String(work.deliveryCount),
    first_at_ms: String(Math.floor(work.firstAtMs)),
    last_at_ms: String(Math.floor(wallMs)),
    ...(work.messageType === undefined ? {} : { message_type: work.messageType }),
    ...(work.eventId === undefined ? {} : { event_id: work.eventId }),
  };
}
