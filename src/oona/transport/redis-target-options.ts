/** Which Redis, as options: what they are, and where docs/options.md has them from. */
import { flag, integer, isText, type OptionRow, part, text, value } from '../../core/option-rows.ts';
import { optionTable } from '../../core/option-table.ts';
import type { RedisTargetOptions } from './redis-target.ts';
import type { RedisTlsOptions } from './redis-tls.ts';

type Sentinel = NonNullable<RedisTargetOptions['sentinel']>;

const secretText = (about: string, defaultText: string) =>
  value<string | undefined>({
    ...{ allowed: 'a text', accepts: isText(/^/), default: undefined, secret: true },
    ...{ text: about, defaultText },
  });

const isPem = (given: unknown): boolean =>
  (typeof given === 'string' || Buffer.isBuffer(given)) && given.includes('-----BEGIN ');

const pem = (about: string, defaultText: string) =>
  value<string | Buffer | undefined>({
    ...{ allowed: 'the text of a PEM file ("-----BEGIN …")', accepts: isPem, default: undefined },
    ...{ text: about, defaultText, secret: true },
  });

export const REDIS_TLS_OPTIONS = optionTable(
  {
    owner: 'createRedisTransport: tls',
    title: 'Redis transport: TLS',
    intro:
      "TLS 1.2 or later. The server's certificate is always verified; there is no option that turns this off. The services and commands take what the files named by `OONA_REDIS_TLS_CA`, `OONA_REDIS_TLS_CERT` and `OONA_REDIS_TLS_KEY` have, and the name in `OONA_REDIS_TLS_SERVERNAME`.",
  },
  {
    ca: pem('Authorities to trust.', "the system's"),
    cert: pem("This client's certificate, for servers with `tls-auth-clients yes`; needs `key`.", 'none'),
    key: pem('Private key of `cert`. Never in a log or an error.', 'none'),
    servername: value<string | undefined>({
      ...{ allowed: 'a host name', accepts: isText(/^[\w.-]{1,253}$/), default: undefined },
      defaultText: 'the host connected to',
      text: "Name that the server's certificate must have.",
    }),
  } satisfies Record<keyof RedisTlsOptions, OptionRow<unknown>>,
);

export const REDIS_SENTINEL_OPTIONS = optionTable(
  {
    owner: 'createRedisTransport: sentinel',
    title: 'Redis transport: Sentinel',
    intro: 'Who asks the sentinels, and for what.',
  },
  {
    name: text({
      ...{ allowed: '1-200 of A-Z a-z 0-9 . _ -', pattern: /^[\w.-]{1,200}$/, default: undefined },
      text: 'What the sentinels watch: `sentinel monitor <name> …`.',
    }),
    username: secretText('ACL user of the sentinels.', 'the user `default`'),
    password: secretText('Of that user. Never in a log or an error.', 'none'),
  } satisfies Record<keyof Sentinel, OptionRow<unknown>>,
);

export const REDIS_TARGET_OPTIONS = optionTable(
  {
    owner: 'createRedisTransport',
    title: 'Redis transport',
    intro:
      'Of `createRedisTransport(options)`, which takes the options of [connections](#redis-transport-connections) as well: which Redis, 7 or later; one server, one that sentinels watch, or a Cluster. Give `url`, or `nodes` and what else a URL would say.',
  },
  {
    url: value<string | undefined>({
      ...{ allowed: 'a text', accepts: isText(/^/), default: undefined, secret: true },
      defaultText: 'none: give it or `nodes`',
      text: '`redis://[user:password@]host[:port][/db]`, `redis+sentinel://…host[:port],…/name[/db]` or `redis+cluster://…host[:port],…`; `rediss` for TLS. User and password percent-encoded, never in a log or an error. The services and commands take it from `REDIS_URL`.',
    }),
    nodes: value<RedisTargetOptions['nodes']>({
      ...{ allowed: "1-100 of 'host:port' or {host, port}", default: undefined, secret: true },
      accepts: (given) => Array.isArray(given) && given.length >= 1 && given.length <= 100,
      defaultText: 'none: give them or `url`',
      text: 'The server (one); the sentinels; or some nodes of the Cluster.',
    }),
    sentinel: part<Sentinel>({
      of: REDIS_SENTINEL_OPTIONS,
      text: '`nodes` are sentinels.',
      defaultText: 'they are not',
    }),
    cluster: flag({ default: false, text: '`nodes` belong to a Redis Cluster.' }),
    username: secretText('With `nodes`: ACL user of the servers.', 'the user `default`'),
    password: secretText('With `nodes`: of that user. Never in a log or an error.', 'none'),
    db: integer({
      ...{ unit: '', min: 0, max: 99_999, default: 0 },
      text: 'With `nodes`: number of the database; 0 on a Cluster.',
      atLimit: 'A server refuses what is not below its `databases`.',
    }),
    tls: part<boolean | RedisTlsOptions>({
      of: REDIS_TLS_OPTIONS,
      instead: { allowed: 'true or false', accepts: (given) => typeof given === 'boolean' },
      defaultText: 'none; with a URL as it says',
      text: 'TLS, with a URL only where it says `rediss`. `true`: with the authorities of the system.',
    }),
    natMap: value<RedisTargetOptions['natMap']>({
      ...{ allowed: "an object of 'host:port' by 'host:port'", default: undefined, secret: true },
      accepts: (given) => typeof given === 'object' && given !== null && !Array.isArray(given),
      defaultText: 'none',
      text: "Addresses that sentinels or Cluster nodes tell, and those to connect to instead: `{ '10.0.0.1:6379': 'gate:7001' }`.",
    }),
  } satisfies Record<keyof RedisTargetOptions, OptionRow<unknown>>,
);
