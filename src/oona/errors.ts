import { FastpathError } from '../core/errors.ts';

export type TransportErrorCode =
  /** The deadline passed; the outcome on the server is unknown. Retryable: appends are deduplicated. */
  | 'ESPER_OONA_TIMEOUT'
  /** No connection, or it broke during the call. Retryable. */
  | 'ESPER_OONA_DISCONNECTED'
  /** The consumer group (or its stream) is gone: call ensureGroup first. */
  | 'ESPER_OONA_NO_GROUP'
  /** The stream's name holds another type of value. */
  | 'ESPER_OONA_WRONG_TYPE'
  /** Redis reached maxmemory. Retryable. */
  | 'ESPER_OONA_OUT_OF_MEMORY'
  /** The server is a replica now; the connection was dropped to find the new primary. Retryable. */
  | 'ESPER_OONA_READONLY'
  /** The server is still loading its data. Retryable. */
  | 'ESPER_OONA_LOADING'
  /** The server or its Cluster cannot do it now (TRYAGAIN, CLUSTERDOWN, MASTERDOWN, BUSY, MISCONF). Retryable. */
  | 'ESPER_OONA_TRY_AGAIN'
  /** Wrong or missing credentials, or a command that the user may not run. */
  | 'ESPER_OONA_AUTH'
  /** The server's certificate is not trusted, or one side speaks TLS and the other does not. */
  | 'ESPER_OONA_TLS'
  /** Stored on the primary, but not on as many replicas as was asked for within the deadline. Retryable. */
  | 'ESPER_OONA_NOT_REPLICATED'
  /** The transport or bus was closed by this process. */
  | 'ESPER_OONA_CLOSED'
  /** The caller's AbortSignal fired; the outcome on the server is unknown. */
  | 'ESPER_OONA_ABORTED'
  /** Any other error reply. */
  | 'ESPER_OONA_REDIS';

/** What a transport rejects with, whatever engine is behind it. Never carries a secret. */
export class TransportError extends FastpathError {
  declare readonly code: TransportErrorCode;

  constructor(
    code: TransportErrorCode,
    message: string,
    options: { cause?: unknown; retryable?: boolean } = {},
  ) {
    super(code, message, options);
  }
}

export function isTransportError(error: unknown): error is TransportError {
  return error instanceof TransportError;
}

export type RejectionCode =
  /** Signed for another stream: somebody replayed it here. */
  | 'ESPER_OONA_WRONG_STREAM'
  /** Older than `maxAgeMs`. */
  | 'ESPER_OONA_TOO_OLD'
  /** Issued further in the future than `maxFutureSkewMs`. */
  | 'ESPER_OONA_FROM_FUTURE'
  /** The event was handled already, under another entry id. */
  | 'ESPER_OONA_REPLAYED'
  /** The bus demands an identity, and the message has neither event id nor request id. */
  | 'ESPER_OONA_UNIDENTIFIED';

/** Why a message that decodes and verifies is still refused. */
export class RejectionError extends FastpathError {
  declare readonly code: RejectionCode;

  constructor(code: RejectionCode, message: string) {
    super(code, message);
  }
}

export function closedError(what: string): TransportError {
  return new TransportError(
    'ESPER_OONA_CLOSED',
    `${what}: the bus was closed by this process; open a new one`,
  );
}

export function abortedError(what: string, signal: AbortSignal): TransportError {
  return new TransportError('ESPER_OONA_ABORTED', `${what}: aborted by its caller`, {
    cause: signal.reason,
    retryable: true,
  });
}
