import { errorCode } from '../../core/errors.ts';
import { isTransportError, TransportError, type TransportErrorCode } from '../errors.ts';

interface ReplyRule {
  readonly pattern: RegExp;
  readonly code: TransportErrorCode;
  readonly retryable: boolean;
  readonly hint: string;
}

const AUTH_RULE: ReplyRule = {
  pattern:
    /^(NOAUTH|WRONGPASS|NOPERM|ERR invalid password|ERR Client sent AUTH|ERR The user executing the script can't)/i,
  code: 'ESPER_OONA_AUTH',
  retryable: false,
  hint: 'check user and password in REDIS_URL, and the ACL of that user',
};

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
    pattern: /^(READONLY|UNBLOCKED|ERR WAIT cannot be used with replica)/,
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
    pattern: /^NOREPLICAS/,
    code: 'ESPER_OONA_NOT_REPLICATED',
    retryable: true,
    hint: 'fewer replicas are well than min-replicas-to-write asks for: bring them back',
  },
  {
    pattern: /^MISCONF/,
    code: 'ESPER_OONA_TRY_AGAIN',
    retryable: true,
    hint: 'Redis cannot write to its disk: make room, see its log',
  },
  {
    pattern: /^BUSY\b/,
    code: 'ESPER_OONA_TRY_AGAIN',
    retryable: true,
    hint: 'a script of somebody else runs too long: SCRIPT KILL ends it',
  },
  {
    pattern: /^(TRYAGAIN|CLUSTERDOWN|MASTERDOWN)\b/,
    code: 'ESPER_OONA_TRY_AGAIN',
    retryable: true,
    hint: 'slots are moving, or a primary is away; it passes when that is over',
  },
  AUTH_RULE,
];

const REDIRECT = /^(MOVED|ASK) (\d{1,5}) (?:\?|(\S*)):(\d{1,5})$/;

/** A node of a Cluster says which other node to ask. The Cluster's router follows it; others see it as any error. */
export class RedirectError extends TransportError {
  readonly kind: 'moved' | 'ask';
  readonly slot: number;
  /** '' means the host that answered. */
  readonly host: string;
  readonly port: number;

  constructor(message: string, [, kind = '', slot = '', host = '', port = '']: RegExpExecArray) {
    super('ESPER_OONA_REDIS', message, { retryable: true });
    this.kind = kind === 'ASK' ? 'ask' : 'moved';
    this.slot = Number(slot);
    this.host = host.replace(/^\[|\]$/g, '');
    this.port = Number(port);
  }
}

/** An error reply of the server, as against a connection that failed. */
export function isReplyError(error: unknown): error is Error {
  return error instanceof Error && error.name === 'ReplyError';
}

/** The first word of an error reply, which tells its kind; '' when `error` is none. */
export function replyKind(error: TransportError): string {
  return / answered "([A-Z]+)\b/.exec(error.message)?.[1] ?? '';
}

/** What OpenSSL and Node say when the certificate is not trusted, is another's, or the peer speaks no TLS. */
const TLS_CODE =
  /^(ERR_SSL_|ERR_TLS_|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_(GET|VERIFY|DECRYPT|DECODE)|HOSTNAME_MISMATCH|INVALID_CA|EPROTO$)/;
/** The first bytes of a TLS record, read as a reply. */
const TLS_BYTES = /Protocol error, got "\\u0015"/;

/**
 * The typed error of anything that a Redis client threw. The original is never kept as cause: ioredis hangs the
 * command with its arguments on it, which for AUTH is the password.
 */
export function toTransportError(error: unknown, what: string, server: string): TransportError {
  if (error instanceof TransportError) return error;
  const text = error instanceof Error ? error.message : String(error);
  return isReplyError(error) ? replyToError(text, what, server) : brokenToError(error, text, what, server);
}

function replyToError(text: string, what: string, server: string): TransportError {
  const rule = REPLY_RULES.find(({ pattern }) => pattern.test(text));
  if (rule !== undefined) {
    const message = `${what}: ${server} answered "${text}": ${rule.hint}`;
    return new TransportError(rule.code, message, { retryable: rule.retryable });
  }
  const message = `${what}: ${server} answered "${text}"`;
  const redirect = REDIRECT.exec(text);
  if (redirect !== null) {
    return new RedirectError(`${message}: it is one of a Cluster: use redis+cluster://`, redirect);
  }
  return new TransportError('ESPER_OONA_REDIS', message);
}

function brokenToError(error: unknown, text: string, what: string, server: string): TransportError {
  if (TLS_BYTES.test(text)) {
    const hint = 'the port speaks TLS: write rediss in REDIS_URL';
    return new TransportError('ESPER_OONA_TLS', `${what}: ${server} answered with TLS; ${hint}`);
  }
  if (TLS_CODE.test(errorCode(error) ?? '')) {
    const hint = 'check OONA_REDIS_TLS_CA, the names in its certificate, and that the port speaks TLS';
    return new TransportError('ESPER_OONA_TLS', `${what}: no TLS with ${server}: ${text}; ${hint}`);
  }
  // Sentinels are asked by ioredis, which repeats their reply inside an error of its own.
  if (/because (NOAUTH|WRONGPASS|NOPERM)/.test(text)) {
    const hint = 'check user and password of the sentinels (sentinelUser, sentinelPassword)';
    return new TransportError('ESPER_OONA_AUTH', `${what}: no primary from ${server}: ${text}; ${hint}`);
  }
  const hint = 'check REDIS_URL (rediss where the port speaks TLS) and that Redis runs';
  const message = `${what}: no connection to ${server}: ${text}; ${hint}`;
  return new TransportError('ESPER_OONA_DISCONNECTED', message, { retryable: true });
}

/** XINFO names a missing group by NOGROUP, but a missing stream by an error of its own; undefined for anything else. */
export function withoutGroup(error: unknown): TransportError | undefined {
  if (!isTransportError(error)) return undefined;
  if (error.code === 'ESPER_OONA_NO_GROUP') return error;
  const isMissing = error.code === 'ESPER_OONA_REDIS' && error.message.includes('no such key');
  return isMissing ? new TransportError('ESPER_OONA_NO_GROUP', error.message) : undefined;
}
