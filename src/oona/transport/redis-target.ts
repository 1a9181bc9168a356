import type { ConnectionOptions } from 'node:tls';
import { OptionError } from '../../core/errors.ts';
import type { ResolvedOptions } from '../../core/option-table.ts';
import { refuseUnknownKeys } from '../../core/options.ts';
import { REDIS_SENTINEL_OPTIONS, REDIS_TARGET_OPTIONS } from './redis-target-options.ts';
import { type RedisTlsOptions, resolveRedisTls } from './redis-tls.ts';
import {
  parseRedisNode,
  parseRedisUrl,
  type RedisNode,
  type RedisSentinelGroup,
  type RedisTopology,
  type RedisUrl,
} from './redis-url.ts';

/** Which Redis: `url`, or `nodes` with what else a URL would say. */
export interface RedisTargetOptions {
  /**
   * redis://[user:password@]host[:port][/db], redis+sentinel://…host[:port],host[:port]/name[/db] or
   * redis+cluster://…host[:port],host[:port]; rediss for TLS. User and password percent-encoded. Never logged.
   */
  readonly url?: string;
  /** Instead of `url`: the server; the sentinels; or some nodes of the Cluster. 1-100 of 'host:port' or {host, port}. */
  readonly nodes?: readonly (string | RedisNode)[];
  /** `nodes` are sentinels; `name` as in their `sentinel monitor`; user and password are those of the sentinels. */
  readonly sentinel?: { readonly name: string; readonly username?: string; readonly password?: string };
  /** `nodes` belong to a Redis Cluster. Default false. */
  readonly cluster?: boolean;
  /** ACL user of the servers, with `nodes`. Default: the user `default`. */
  readonly username?: string;
  /** With `nodes`. Never logged. */
  readonly password?: string;
  /** Database, with `nodes`, 0-99999; 0 on a Cluster. Default 0. */
  readonly db?: number;
  /** TLS with these options; with a URL only where it says rediss. `true`: TLS with the system's authorities. Default: none. */
  readonly tls?: boolean | RedisTlsOptions;
  /** Addresses that sentinels or Cluster nodes tell → those to connect to instead ('10.0.0.1:6379' → 'gate:7001'). */
  readonly natMap?: Readonly<Record<string, string>>;
}

/** Resolved: where Redis is and who asks. Holds secrets: keep it in private fields. */
export interface RedisTarget {
  readonly kind: RedisTopology;
  readonly nodes: readonly RedisNode[];
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly db: number;
  readonly sentinel: RedisSentinelGroup | undefined;
  readonly tls: ConnectionOptions | undefined;
  readonly natMap: ReadonlyMap<string, RedisNode>;
  /** For logs and errors. */
  readonly masked: string;
}

type Given = ResolvedOptions<typeof REDIS_TARGET_OPTIONS.rows>;

/** '' is what a variable that is not set often becomes. */
const orNone = (given: string | undefined): string | undefined => (given === '' ? undefined : given);

function resolveNode(owner: string, kind: RedisTopology, node: string | RedisNode): RedisNode {
  if (typeof node === 'string') return parseRedisNode(node, kind, owner);
  if (typeof node !== 'object' || node === null || typeof node.host !== 'string') {
    throw new OptionError(`${owner}: a node must be 'host:port' or {host, port}`);
  }
  refuseUnknownKeys(`${owner}: nodes`, node, ['host', 'port']);
  const host = node.host.includes(':') ? `[${node.host}]` : node.host;
  return parseRedisNode(`${host}:${node.port}`, kind, owner);
}

function resolveSentinel(owner: string, given: NonNullable<Given['sentinel']>): RedisSentinelGroup {
  const { name, username, password } = REDIS_SENTINEL_OPTIONS.resolve(given, { owner: `${owner}: sentinel` });
  return Object.freeze({ name, username: orNone(username), password: orNone(password) });
}

/** The list form, as a URL would have been taken apart. */
function fromList(
  owner: string,
  { nodes = [], sentinel, cluster, db, tls = false, ...who }: Given,
): RedisUrl {
  if (sentinel !== undefined && cluster) {
    throw new OptionError(`${owner}: give either sentinel or cluster: true, not both`);
  }
  const kind = sentinel !== undefined ? 'sentinel' : cluster ? 'cluster' : 'single';
  if (kind === 'single' && nodes.length > 1) {
    throw new OptionError(`${owner}: nodes must be one (more need sentinel or cluster: true)`);
  }
  if (kind === 'cluster' && db !== 0) throw new OptionError(`${owner}: a Cluster has database 0 only`);
  const resolved = nodes.map((node) => resolveNode(owner, kind, node));
  const secure = tls !== false;
  const scheme = `redis${secure ? 's' : ''}${kind === 'single' ? '' : `+${kind}`}`;
  const path = sentinel === undefined ? '' : `/${sentinel.name}`;
  return {
    kind,
    nodes: resolved,
    username: orNone(who.username),
    password: orNone(who.password),
    db,
    tls: secure,
    sentinel: sentinel === undefined ? undefined : resolveSentinel(owner, sentinel),
    masked: `${scheme}://${resolved.map(nodeName).join(',')}${path}${db === 0 ? '' : `/${db}`}`,
  };
}

/** `host:port`; the key under which a node is known. */
export function nodeName({ host, port }: RedisNode): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

function resolveTls(
  owner: string,
  secure: boolean,
  tls: RedisTargetOptions['tls'],
): ConnectionOptions | undefined {
  if (secure && tls === false) {
    throw new OptionError(`${owner}: the URL says rediss, but tls is false: write redis for no TLS`);
  }
  if (!secure && tls !== undefined && tls !== false) {
    throw new OptionError(`${owner}: tls is given, but the URL says redis: write rediss for TLS`);
  }
  return secure ? resolveRedisTls(owner, typeof tls === 'object' ? tls : {}) : undefined;
}

/** Throws OptionError, which never repeats a secret. */
export function resolveRedisTarget(owner: string, options: RedisTargetOptions): RedisTarget {
  const given = REDIS_TARGET_OPTIONS.resolve(options, { owner });
  const { url, nodes, tls, natMap = {} } = given;
  if ((url === undefined) === (nodes === undefined)) {
    throw new OptionError(`${owner}: give either url (REDIS_URL) or nodes`);
  }
  const foreign = (['sentinel', 'cluster', 'username', 'password', 'db'] as const).find(
    (key) => url !== undefined && options[key] !== undefined,
  );
  if (foreign !== undefined) throw new OptionError(`${owner}: ${foreign} goes with nodes, not with url`);
  const found = url === undefined ? fromList(owner, given) : parseRedisUrl(url);
  const mapped = Object.entries(natMap).map(([from, to]): [string, RedisNode] => [
    nodeName(parseRedisNode(from, 'single', `${owner}: natMap`)),
    parseRedisNode(String(to), 'single', `${owner}: natMap`),
  ]);
  return Object.freeze({
    ...found,
    tls: resolveTls(owner, found.tls, tls),
    natMap: new Map(mapped),
  });
}
