import type { Socket } from 'node:net';
import { Redis } from 'ioredis';
import { TransportError } from '../errors.ts';
import type { RedisEndpoint } from './redis-endpoint.ts';
import { isReplyError } from './redis-errors.ts';
import type { RedisNode } from './redis-url.ts';

/**
 * An ioredis client for one socket. It never reconnects by itself: its own retries resend commands whose caller has
 * given up, and can leave promises unsettled for ever.
 */
export function openClient(
  endpoint: RedisEndpoint,
  name: string,
  failures: number,
  connectTimeoutMs: number,
): Redis {
  return new Redis({
    ...endpoint.clientOptions(failures, connectTimeoutMs),
    connectionName: name,
    connectTimeout: connectTimeoutMs,
    // RESP2 has one shape per reply whatever the server's version.
    protocol: 2,
    lazyConnect: true,
    enableOfflineQueue: false,
    // A server that is loading says so by LOADING, which reaches the caller at once.
    enableReadyCheck: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: null,
    retryStrategy: null,
    disableClientInfo: true,
  });
}

/** Ends a client for good; its unanswered commands reject. */
export function discard(client: Redis): void {
  // On a stream that is closed already `disconnect` would wait for its 'close', two seconds, and keep the process.
  if (client.stream?.closed !== true) client.disconnect(false);
  // `disconnect` waits for the server's half of the close, which a stopped server never sends.
  client.stream?.destroy();
}

export function isConnectedTo(client: Redis, { host, port }: RedisNode): boolean {
  const { remoteAddress, remotePort } = (client.stream ?? {}) as Partial<Socket>;
  return remoteAddress === host && remotePort === port;
}

/** Resolves when the client takes commands. `onEnd` hears when it ended, then or later, and why. */
export function connectClient(
  client: Redis,
  endpoint: RedisEndpoint,
  onEnd: (cause: unknown) => void,
): Promise<Redis> {
  let cause: unknown = new Error('the connection was closed');
  let sentinelCause: unknown;
  return new Promise<Redis>((resolve, reject) => {
    client.on('error', (error: unknown) => {
      // Ending the client makes it report more errors, which say less than the server's own.
      if (!isReplyError(cause) && !(cause instanceof TransportError)) cause = sentinelCause ?? error;
      // ioredis only reports a refused SELECT and becomes ready: we would go on in database 0.
      if (isReplyError(error)) discard(client);
    });
    // What was wrong with one sentinel; the error that follows only says that none was left.
    client.on('sentinelError', (error: unknown) => {
      sentinelCause = error;
    });
    client.once('ready', () => {
      sentinelCause = undefined;
      if (isReplyError(cause)) return;
      if (!endpoint.requirePrimary) return resolve(client);
      isPrimary(client).then(
        (yes) => {
          if (yes) return resolve(client);
          const text = `connect: ${endpoint.label}: the sentinels told a server that is no primary; asking again`;
          cause = new TransportError('ESPER_OONA_READONLY', text, { retryable: true });
          discard(client);
        },
        () => undefined,
      );
    });
    client.once('end', () => {
      reject(cause);
      onEnd(cause);
    });
    // Its outcome comes by the events: the promise alone can miss a failed handshake.
    client.connect().catch(() => undefined);
  });
}

/** A sentinel that was cut off may tell the old primary, which is a replica by now. */
async function isPrimary(client: Redis): Promise<boolean> {
  try {
    const role = await client.callBuffer('ROLE', []);
    return !Array.isArray(role) || String(role[0]) === 'master';
  } catch (error) {
    // A user who may not run ROLE must still be able to publish: a replica refuses writes by READONLY.
    if (isReplyError(error)) return true;
    throw error;
  }
}
