import { inspect } from 'node:util';
import * as fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { OptionError } from '../../../src/core/errors.ts';
import { type RedisTargetOptions, resolveRedisTarget } from '../../../src/oona/transport/redis-target.ts';
import { redisTlsFromEnvironment } from '../../../src/oona/transport/redis-tls.ts';
import { maskRedisUrl, parseRedisUrl } from '../../../src/oona/transport/redis-url.ts';

const test = suite('oona which redis');
const resolve = (options: RedisTargetOptions) => resolveRedisTarget('test', options);
/** The message of the OptionError; fails when there is none. */
function refusal(options: RedisTargetOptions): string {
  try {
    resolve(options);
  } catch (error) {
    assert.instance(error, OptionError, inspect(options));
    assert.not.match(inspect(error), 'hunter2');
    return (error as Error).message;
  }
  throw new Error(`accepted ${inspect(options)}`);
}

test('[R-O1] takes the URL of sentinels apart', () => {
  const full = parseRedisUrl(
    'rediss+sentinel://us%40er:p%3Aw@a:1,[::1]:2,b/my.master/3?sentinelUser=s%26&sentinelPassword=t%3Du',
  );
  assert.equal(full.nodes, [
    { host: 'a', port: 1 },
    { host: '::1', port: 2 },
    { host: 'b', port: 26_379 },
  ]);
  assert.equal(
    [full.kind, full.username, full.password, full.db, full.tls],
    ['sentinel', 'us@er', 'p:w', 3, true],
  );
  assert.equal(full.sentinel, { name: 'my.master', username: 's&', password: 't=u' });
  assert.is(full.masked, 'rediss+sentinel://***@a:1,[::1]:2,b/my.master/3');
  const short = parseRedisUrl('redis+sentinel://a/m');
  assert.equal(
    [short.db, short.tls, short.username, short.sentinel?.password],
    [0, false, undefined, undefined],
  );
});

test('[R-O1] takes the URL of a Cluster apart', () => {
  const found = parseRedisUrl('redis+cluster://:p@a:1,b/');
  assert.equal(found.nodes, [
    { host: 'a', port: 1 },
    { host: 'b', port: 6379 },
  ]);
  assert.equal([found.kind, found.username, found.password, found.tls], ['cluster', undefined, 'p', false]);
  assert.is(found.masked, 'redis+cluster://***@a:1,b');
});

test('[R-O1] the list form says the same as a URL', () => {
  const byUrl = resolve({ url: 'redis+sentinel://u:p@a:1,b:2/m/3?sentinelPassword=s' });
  const byList = resolve({
    nodes: ['a:1', { host: 'b', port: 2 }],
    sentinel: { name: 'm', password: 's' },
    ...{ username: 'u', password: 'p', db: 3 },
  });
  assert.equal({ ...byUrl, masked: '' }, { ...byList, masked: '' });
  assert.is(byList.masked, 'redis+sentinel://a:1,b:2/m/3');
  const cluster = resolve({ nodes: ['a', '[::1]:7'], cluster: true, tls: true, natMap: { 'x:1': 'y:2' } });
  assert.equal([cluster.kind, cluster.nodes.length, cluster.tls?.rejectUnauthorized], ['cluster', 2, true]);
  assert.equal(cluster.natMap.get('x:1'), { host: 'y', port: 2 });
  assert.is(resolve({ nodes: [{ host: '::1', port: 7 }] }).masked, 'redis://[::1]:7');
});

test('[R-O1] refuses malformed ones by OptionError, without a secret', () => {
  const urls = [
    'redis+sentinel://h:1',
    'redis+sentinel://h:1/',
    'redis+sentinel://:hunter2@h:99999/m',
    'redis+sentinel://:hunter2@h:0/m',
    'redis+sentinel://:hunter2@h:1/m/x',
    'redis+sentinel://:hunter2@h:1/m/1/2',
    'redis+sentinel://:%zzhunter2@h:1/m',
    'redis+sentinel://h:1/m?password=hunter2',
    'redis+sentinel://h:1/m?sentinelPassword=hunter2&sentinelPassword=hunter2',
    'redis+sentinel://h:1/m?sentinelPassword=%zzhunter2',
    'redis+sentinel://u:hunter2@x@h:1/m',
    'redis+sentinel://u:12/hunter2@h:1/m',
    'redis+sentinel://u:12#hunter2@h:1/m',
    'redis+sentinel://h:1 hunter2/m',
    'redis+cluster://:hunter2@h:1/1',
    'redis+cluster://:hunter2@h:1,/0',
    'redis+cluster://:hunter2@',
    'redis+cluster://h?x=hunter2',
    'redis+other://:hunter2@h',
  ];
  for (const url of urls) refusal({ url });
  const nodes = ['h:1'];
  for (const options of [
    {},
    { url: 'redis://h', nodes },
    { url: 'redis://h', password: 'hunter2' },
    { url: 'redis://h', tls: true },
    { url: 'rediss://h', tls: false },
    { nodes: [] },
    { nodes: ['a', 'b'] },
    { nodes: ['redis://:hunter2@h'] },
    { nodes: ['h:0'], cluster: true },
    { nodes: [{ host: 'h hunter2', port: 1 }] },
    { nodes: [{ host: 'h', port: 1.5 }] },
    { nodes, cluster: true, db: 1 },
    { nodes, cluster: true, sentinel: { name: 'm' } },
    { nodes, sentinel: { name: '' } },
    { nodes, sentinel: { name: 'a b' } },
    { nodes, db: -1 },
    { nodes, tls: { ca: 'hunter2' } },
    { nodes, tls: { key: '-----BEGIN hunter2' } },
    { nodes, tls: { cert: '-----BEGIN hunter2', key: '-----BEGIN hunter2' } },
    { nodes, tls: { servername: 'a b' } },
    { nodes, natMap: { 'x:1': 'hunter2@y' } },
  ]) {
    refusal(options);
  }
  const unknown = { nodes, tls: { rejectUnauthorized: false } } as unknown as RedisTargetOptions;
  assert.match(refusal(unknown), 'rejectUnauthorized');
});

test('[R-O1] TLS from the environment: paths of files, undefined when nothing is set, a missing file by its path', () => {
  assert.is(redisTlsFromEnvironment({}), undefined);
  assert.is(redisTlsFromEnvironment({ OONA_REDIS_TLS_CA: '' }), undefined);
  assert.equal(redisTlsFromEnvironment({ OONA_REDIS_TLS_SERVERNAME: 'redis' }), { servername: 'redis' });
  assert.throws(
    () => redisTlsFromEnvironment({ OONA_REDIS_TLS_KEY: '/nowhere/key.pem' }),
    (error: unknown) =>
      error instanceof OptionError && /OONA_REDIS_TLS_KEY: .*nowhere.*ENOENT/.test(error.message),
  );
});

test('[R-O1] a masked URL of any form never contains the secret', () => {
  const secret = fc
    .string({ minLength: 1, maxLength: 30 })
    .map((text) => `s3cret${encodeURIComponent(text)}`);
  const raw = fc.string({ minLength: 1, maxLength: 30 }).map((text) => `s3cret${text}`);
  fc.assert(
    fc.property(secret, raw, (password, typed) => {
      for (const scheme of ['redis+sentinel', 'rediss+sentinel', 'redis+cluster']) {
        for (const url of [
          `${scheme}://u:${password}@h:1,i:2/m`,
          `${scheme}://:${password}@h/m/0?sentinelPassword=${password}`,
          `${scheme}://${password}@h`,
          `${scheme}://h:1,u:${typed}@h`,
          `${scheme}://u:1/${typed}@h/m`,
          `${scheme}://u:${typed}@h/m`,
          `${scheme}:/u:${typed}@h/m`,
          `${scheme}:${typed}@h`,
        ]) {
          assert.not.match(maskRedisUrl(url), 's3cret', url);
        }
      }
    }),
  );
});

test.run();
