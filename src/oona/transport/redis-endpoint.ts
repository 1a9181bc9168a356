import type { RedisOptions } from 'ioredis';
import type { Clock } from '../../core/clock.ts';
import type { Logger } from '../../core/logger.ts';
import type { Random } from '../../core/random.ts';
import { nodeName, type RedisTarget } from './redis-target.ts';
import type { RedisNode } from './redis-url.ts';

/** The options of a client that say where it goes and as whom. */
type AddressOptions = Pick<
  RedisOptions,
  | 'host'
  | 'port'
  | 'db'
  | 'username'
  | 'password'
  | 'tls'
  | 'name'
  | 'role'
  | 'sentinels'
  | 'sentinelRetryStrategy'
  | 'sentinelCommandTimeout'
  | 'sentinelUsername'
  | 'sentinelPassword'
  | 'sentinelTLS'
  | 'enableTLSForSentinelMode'
  | 'updateSentinels'
  | 'natMap'
>;

/** Where one connection goes, asked anew for each attempt. */
export interface RedisEndpoint {
  /** For logs and errors, without secrets. */
  readonly label: string;
  readonly kind: RedisTarget['kind'];
  readonly tls: boolean;
  /** ROLE must say master before the connection counts as ready. */
  readonly requirePrimary: boolean;
  /** `failures` connections in a row were lost before this one; `timeoutMs` bounds the whole attempt. */
  clientOptions(failures: number, timeoutMs: number): AddressOptions;
}

export interface RedisConnectionOptions {
  readonly endpoint: RedisEndpoint;
  /** Shown by CLIENT LIST. Naming the client also makes "ready" mean that the server has answered once. */
  readonly name: string;
  /** Bound on connecting until the server has answered, milliseconds. */
  readonly connectTimeoutMs: number;
  /** A connection that owes an answer this long is dropped when a call expires, milliseconds. */
  readonly stallMs: number;
  readonly reconnectBaseMs: number;
  readonly reconnectCapMs: number;
  /** Reconnect in the background, failing fast meanwhile; false: every call may connect at once. */
  readonly eager: boolean;
  /** Called before each attempt to connect. */
  readonly onConnecting?: () => void;
  /** Called once, by close(). */
  readonly onClosed?: () => void;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

function credentials({ username, password, db, tls }: RedisTarget): AddressOptions {
  return {
    db,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(tls === undefined ? {} : { tls }),
  };
}

/** One server, or one node of a Cluster. */
export function serverEndpoint(target: RedisTarget, node: RedisNode): RedisEndpoint {
  const options: AddressOptions = { ...credentials(target), host: node.host, port: node.port };
  const label = target.kind === 'single' ? target.masked : `${nodeName(node)} of ${target.masked}`;
  return {
    ...{ label, kind: target.kind, tls: target.tls !== undefined, requirePrimary: false },
    clientOptions: () => options,
  };
}

/**
 * The primary that sentinels tell. Each attempt asks them in another order: one that was cut off goes on telling the
 * old primary, and one that hangs must not be the first for ever.
 */
export function sentinelEndpoint(target: RedisTarget): RedisEndpoint {
  const { nodes, sentinel, tls, natMap } = target;
  return {
    ...{ label: target.masked, kind: target.kind, tls: tls !== undefined, requirePrimary: true },
    clientOptions(failures, timeoutMs) {
      const start = failures % nodes.length;
      // What one sentinel may take, so that the next has its turn within the attempt.
      const eachMs = Math.max(10, Math.floor(timeoutMs / (nodes.length + 1)));
      return {
        ...credentials(target),
        sentinels: [...nodes.slice(start), ...nodes.slice(0, start)].map(({ host, port }) => ({
          host,
          port,
        })),
        role: 'master',
        // Only to ask one after the other; whoever comes back empty fails, and the connection's own back-off decides.
        sentinelRetryStrategy: () => null,
        sentinelCommandTimeout: eachMs,
        // Sentinels learnt from others' answers may have addresses that natMap does not know, or that nobody vouches for.
        updateSentinels: false,
        natMap: Object.fromEntries(natMap),
        ...(sentinel === undefined ? {} : { name: sentinel.name }),
        ...(sentinel?.username === undefined ? {} : { sentinelUsername: sentinel.username }),
        ...(sentinel?.password === undefined ? {} : { sentinelPassword: sentinel.password }),
        ...(tls === undefined ? {} : { sentinelTLS: tls, enableTLSForSentinelMode: true }),
      };
    },
  };
}
