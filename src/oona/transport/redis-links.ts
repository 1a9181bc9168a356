import type { Clock } from '../../core/clock.ts';
import type { Logger } from '../../core/logger.ts';
import type { Random } from '../../core/random.ts';
import { RedisClusterLink } from './redis-cluster-link.ts';
import { ClusterTopology } from './redis-cluster-topology.ts';
import { RedisConnection } from './redis-connection.ts';
import {
  type RedisConnectionOptions,
  type RedisEndpoint,
  sentinelEndpoint,
  serverEndpoint,
} from './redis-endpoint.ts';
import type { RedisLink } from './redis-link.ts';
import { SentinelWatch } from './redis-sentinel.ts';
import type { RedisTarget } from './redis-target.ts';
import type { RedisNode } from './redis-url.ts';

type Hooks = Pick<RedisConnectionOptions, 'onConnecting' | 'onClosed'>;

export interface RedisParts {
  readonly target: RedisTarget;
  /** Bound on connecting until the server has answered, milliseconds. */
  readonly connectTimeoutMs: number;
  /** A connection that owes an answer this long is dropped when a call expires, milliseconds. */
  readonly stallMs: number;
  readonly reconnectBaseMs: number;
  readonly reconnectCapMs: number;
  /** First part of the clients' names in CLIENT LIST. */
  readonly connectionName: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** Makes the links of one transport; all of them share what is known of a Cluster. */
export interface RedisLinks {
  /** Where they lead, for logs and errors. */
  readonly masked: string;
  /** `eager`: reconnect in the background, failing fast meanwhile; else every call may connect at once. */
  open(role: string, eager: boolean): RedisLink;
  /** After the links have been closed by their owners. */
  close(): void;
}

/** Connects nowhere yet. */
export function openRedisLinks(parts: RedisParts): RedisLinks {
  const { target, connectionName } = parts;
  const { masked } = target;
  const connect = (
    endpoint: RedisEndpoint,
    role: string,
    eager: boolean,
    more: Hooks = {},
  ): RedisConnection =>
    new RedisConnection({ ...parts, endpoint, name: `${connectionName}-${role}`, eager, ...more });
  const [node] = target.nodes;
  if (target.kind === 'single' && node !== undefined) {
    const endpoint = serverEndpoint(target, node);
    return { masked, open: (role, eager) => connect(endpoint, role, eager), close: () => undefined };
  }
  if (target.kind === 'sentinel') {
    const watch = new SentinelWatch(parts);
    const endpoint = sentinelEndpoint(target);
    const open = (role: string, eager: boolean): RedisLink => {
      const hooks = { onConnecting: () => watch.start(), onClosed: () => stop() };
      const connection = connect(endpoint, role, eager, hooks);
      const stop = watch.onSwitch((primary) => connection.leaveFor(primary));
      return connection;
    };
    return { masked, open, close: () => watch.close() };
  }
  const connector =
    (role: string, eager: boolean) =>
    (node: RedisNode): RedisConnection =>
      connect(serverEndpoint(target, node), role, eager);
  const topology = new ClusterTopology(parts, connector('slots', false));
  return {
    masked,
    open: (role, eager) => new RedisClusterLink(parts, topology, connector(role, eager)),
    close: () => topology.close(),
  };
}
