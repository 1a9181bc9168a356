import { TransportError, type TransportErrorCode } from '../errors.ts';

interface ReplyRule {
  readonly pattern: RegExp;
  readonly code: TransportErrorCode;
  readonly retryable: boolean;
  readonly hint: string;
}

/** Error replies by their first word; the hint names what an operator can turn. */
const REPLY_RULES: readonly ReplyRule[] = [
  {
    pattern: /^NOGROUP|stream key no longer exists|consumer group .*no longer exists/i,
    code: 'ESPER_OONA_NO_GROUP',
    retryable: false,
    hint: 'the group was removed (FLUSHALL, failover): ensureGroup creates it again',
  },
  {
    pattern: /^WRONGTYPE/,
    code: 'ESPER_OONA_WRONG_TYPE',
    retryable: false,
    hint: 'the stream name holds another kind of value: set another OONA_*_STREAM or remove that key',
  },
  {
    pattern: /^OOM/,
    code: 'ESPER_OONA_OUT_OF_MEMORY',
    retryable: true,
    hint: 'raise maxmemory of Redis or lower OONA_MESSAGE_TTL_MS',
  },
  {
    pattern: /^(READONLY|UNBLOCKED)/,
    code: 'ESPER_OONA_READONLY',
    retryable: true,
    hint: 'the server is a replica now; reconnecting. If it stays so, point REDIS_URL at the primary',
  },
  {
    pattern: /^LOADING/,
    code: 'ESPER_OONA_LOADING',
    retryable: true,
    hint: 'Redis is reading its data from disk; wait',
  },
  {
    pattern: /^(NOAUTH|WRONGPASS|NOPERM|ERR invalid password|ERR Client sent AUTH)/i,
    code: 'ESPER_OONA_AUTH',
    retryable: false,
    hint: 'check user and password in REDIS_URL, and the ACL of that user',
  },
];

/** Replies that pass by themselves although they have no code of their own. */
const TRANSIENT_REPLY = /^(BUSY|TRYAGAIN|CLUSTERDOWN|MASTERDOWN|MISCONF|NOREPLICAS)\b/;

/** An error reply of the server, as against a connection that failed. */
export function isReplyError(error: unknown): error is Error {
  return error instanceof Error && error.name === 'ReplyError';
}

/**
 * The typed error of anything that a Redis client threw. The original is never kept as cause: ioredis hangs the
 * command with its arguments on it, which for AUTH is the password.
 */
export function toTransportError(error: unknown, what: string, server: string): TransportError {
  if (error instanceof TransportError) return error;
  const text = error instanceof Error ? error.message : String(error);
  if (!isReplyError(error)) {
    const message = `${what}: no connection to ${server}: ${text}; check REDIS_URL and that Redis runs`;
    return new TransportError('ESPER_OONA_DISCONNECTED', message, { retryable: true });
  }
  const rule = REPLY_RULES.find(({ pattern }) => pattern.test(text));
  if (rule !== undefined) {
    const message = `${what}: ${server} answered "${text}": ${rule.hint}`;
    return new TransportError(rule.code, message, { retryable: rule.retryable });
  }
  return new TransportError('ESPER_OONA_REDIS', `${what}: ${server} answered "${text}"`, {
    retryable: TRANSIENT_REPLY.test(text),
  });
}
