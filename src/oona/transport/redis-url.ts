import { OptionError } from '../../core/errors.ts';

export interface RedisNode {
  readonly host: string;
  readonly port: number;
}

/** The group of servers that sentinels watch, and who asks them. */
export interface RedisSentinelGroup {
  /** As in `sentinel monitor <name> …`. */
  readonly name: string;
  readonly username: string | undefined;
  readonly password: string | undefined;
}

export type RedisTopology = 'single' | 'sentinel' | 'cluster';

/** A Redis URL taken apart. */
export interface RedisUrl {
  readonly kind: RedisTopology;
  /** The server; the sentinels; or some nodes of the Cluster. */
  readonly nodes: readonly RedisNode[];
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly db: number;
  readonly tls: boolean;
  readonly sentinel: RedisSentinelGroup | undefined;
  /** The URL for logs and errors: user and password replaced, query dropped. */
  readonly masked: string;
}

export const REDIS_URL_FORMS =
  'redis://[user:password@]host[:port][/db], ' +
  'redis+sentinel://[user:password@]host[:port],…/name[/db][?sentinelUser=…&sentinelPassword=…] or ' +
  'redis+cluster://[user:password@]host[:port],…, each with rediss for TLS';

const DEFAULT_PORT = Object.freeze({ single: 6379, sentinel: 26_379, cluster: 6379 });
const HOST = String.raw`(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?`;
/** Scheme, topology, user and password, hosts, path, query. */
const LIST_URL = new RegExp(
  String.raw`^(rediss?)\+(sentinel|cluster)://(?:([^@/?#]*)@)?(${HOST}(?:,${HOST})*)((?:/[\w.-]*){0,2})(?:\?([^#@]*))?$`,
);
const LIST_SCHEME = /^(rediss?\+(?:sentinel|cluster)):/;

/** `redis://***@host:6379/0` of a URL; one that may hold its password elsewhere, by a typo, is not repeated. */
export function maskRedisUrl(url: string): string {
  const list = LIST_SCHEME.exec(url);
  if (list !== null) {
    const [, scheme, topology, user, hosts, path] = LIST_URL.exec(url) ?? [];
    if (hosts === undefined) return `${list[1]}://(not repeated)`;
    return `${scheme}+${topology}://${user === undefined ? '' : '***@'}${hosts}${path === '/' ? '' : path}`;
  }
  if (!URL.canParse(url)) return '(a URL that does not parse)';
  const { protocol, username, password, host, pathname, search, hash } = new URL(url);
  if (!/^(rediss?|https?):$/.test(protocol)) return '(a URL of another scheme)';
  // In redis:/:password@host all of it is the path; in redis://user:12#rest@host the password begins as the port.
  const noHost = host === '' && !/^\/?\d{0,5}$/.test(pathname);
  if (noHost || `${pathname}${search}${hash}`.includes('@')) return `${protocol}//(not repeated)`;
  const secret = username !== '' || password !== '' ? '***@' : '';
  return `${protocol}//${secret}${host}${pathname === '/' ? '' : pathname}`;
}

function decoded(part: string | undefined, masked: string): string | undefined {
  if (part === undefined || part === '') return undefined;
  try {
    return decodeURIComponent(part);
  } catch {
    throw new OptionError(
      `REDIS_URL: user or password has a "%" that is not followed by two hex digits (${masked})`,
    );
  }
}

/** `host`, `host:port`, `[::1]:port`; throws OptionError. */
export function parseRedisNode(text: string, kind: RedisTopology, owner: string): RedisNode {
  const [, host, port] = /^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?$/.exec(text) ?? [];
  // What is no host may be a whole URL with a password: it is not repeated.
  if (host === undefined) throw new OptionError(`${owner}: a node must be host or host:port`);
  const number = port === undefined ? DEFAULT_PORT[kind] : Number(port);
  if (number < 1 || number > 65_535) {
    throw new OptionError(`${owner}: the port of ${host} must be 1-65535, got ${number}`);
  }
  return Object.freeze({ host: host.replace(/^\[|\]$/g, ''), port: number });
}

function databaseOf(text: string, masked: string): number {
  if (!/^\d{0,5}$/.test(text)) {
    throw new OptionError(`REDIS_URL: the database must be a number, got ${masked}`);
  }
  return Number(text);
}

function sentinelCredentials(query: string, masked: string): Omit<RedisSentinelGroup, 'name'> {
  const found = new Map<string, string>();
  for (const pair of query === '' ? [] : query.split('&')) {
    const [name = '', value = ''] = pair.split(/=(.*)/s);
    if ((name !== 'sentinelUser' && name !== 'sentinelPassword') || found.has(name)) {
      throw new OptionError(
        `REDIS_URL: after "?" come sentinelUser and sentinelPassword, each once (${masked})`,
      );
    }
    found.set(name, value);
  }
  return {
    username: decoded(found.get('sentinelUser'), masked),
    password: decoded(found.get('sentinelPassword'), masked),
  };
}

function parseListUrl(url: string): RedisUrl {
  const masked = maskRedisUrl(url);
  const [, scheme, topology, userInfo = '', hosts = '', path = '', query = ''] = LIST_URL.exec(url) ?? [];
  if (scheme === undefined) throw new OptionError(`REDIS_URL must be ${REDIS_URL_FORMS}; got ${masked}`);
  const kind = topology === 'sentinel' ? 'sentinel' : 'cluster';
  const [username, password] = userInfo.split(/:(.*)/s);
  const [first = '', second = ''] = path.replace(/^\//, '').split('/');
  if (kind === 'sentinel' && first === '') {
    throw new OptionError(`REDIS_URL: the name that the sentinels watch is missing: …/name (${masked})`);
  }
  if (kind === 'cluster' && (!/^0?$/.test(first) || second !== '' || query !== '')) {
    throw new OptionError(`REDIS_URL: a Cluster has database 0 only and takes nothing after "?" (${masked})`);
  }
  return Object.freeze({
    kind,
    nodes: Object.freeze(hosts.split(',').map((host) => parseRedisNode(host, kind, 'REDIS_URL'))),
    username: decoded(username, masked),
    password: decoded(password, masked),
    db: kind === 'sentinel' ? databaseOf(second, masked) : 0,
    tls: scheme === 'rediss',
    sentinel:
      kind === 'sentinel' ? Object.freeze({ name: first, ...sentinelCredentials(query, masked) }) : undefined,
    masked,
  });
}

/** Throws OptionError, which never repeats a secret, on anything but the forms of REDIS_URL_FORMS. */
export function parseRedisUrl(url: string): RedisUrl {
  if (LIST_SCHEME.test(url)) return parseListUrl(url);
  const masked = maskRedisUrl(url);
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed === undefined || (parsed.protocol !== 'redis:' && parsed.protocol !== 'rediss:')) {
    throw new OptionError(`REDIS_URL must be ${REDIS_URL_FORMS}; got ${masked}`);
  }
  if (parsed.search !== '') {
    throw new OptionError(`REDIS_URL: options after "?" are not supported (${masked}); pass them as options`);
  }
  const node = Object.freeze({
    host: parsed.hostname.replace(/^\[|\]$/g, '') || '127.0.0.1',
    port: parsed.port === '' ? DEFAULT_PORT.single : Number(parsed.port),
  });
  return Object.freeze({
    kind: 'single',
    nodes: Object.freeze([node]),
    username: decoded(parsed.username, masked),
    password: decoded(parsed.password, masked),
    db: databaseOf(parsed.pathname.replace(/^\//, ''), masked),
    tls: parsed.protocol === 'rediss:',
    sentinel: undefined,
    masked,
  });
}
