// watchdog: 180 s
import { inspect } from 'node:util';
import { Redis } from 'ioredis';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { emergency } from '../helpers/oona-fixtures.ts';
import { admin, atEnd, closeAfterEach, host, publishSurely, server } from '../helpers/oona-hosts.ts';
import {
  SENTINEL_NAME,
  type SentinelOptions,
  type SentinelSetup,
  startSentinels,
} from '../helpers/redis-sentinel.ts';
import type { RedisServer } from '../helpers/redis-server.ts';
import { codeOf, roundTrip, startAppending, startReading, transportOf } from '../helpers/redis-traffic.ts';
import { until } from '../helpers/until.ts';

const test = suite('oona behind sentinels');
closeAfterEach(test);

const STREAM = 'oona.normal';
const CALL = Object.freeze({ deadlineMs: 3000 });

async function sentinels(options?: SentinelOptions): Promise<SentinelSetup> {
  const setup = await startSentinels(options);
  atEnd(() => setup.stop());
  return setup;
}

const urlOf = ({ hosts }: SentinelSetup): string => `redis+sentinel://${hosts}/${SENTINEL_NAME}`;

async function storedOn(redis: RedisServer, stream = STREAM): Promise<string[]> {
  const client = new Redis(redis.port, '127.0.0.1');
  atEnd(async () => client.disconnect());
  return (await client.xrange(stream, '-', '+')).map(([, fields]) => fields[1] ?? '');
}

test('[R-O1] works by URL and by list, with passwords of servers and of sentinels, and tells neither', async () => {
  const setup = await sentinels({ password: 'data-hunter2', sentinelPassword: 'watch-hunter2' });
  const told: unknown[] = [];
  const log = (...what: unknown[]): void => void told.push(what);
  const logger = { debug: log, info: log, warn: log, error: log };
  const at = `${setup.hosts}/${SENTINEL_NAME}`;
  const failure = async (url: string): Promise<string> => {
    const transport = transportOf({ url, logger });
    const error = await transport.ping(CALL).then(
      () => undefined,
      (one: unknown) => one,
    );
    told.push(error, transport);
    return error === undefined ? 'ok' : await codeOf(Promise.reject(error));
  };
  const right = '?sentinelPassword=watch-hunter2';
  assert.is(await failure(`redis+sentinel://:data-hunter2@${at}${right}`), 'ok');
  assert.is(await failure(`redis+sentinel://:data-hunter3@${at}${right}`), 'ESPER_OONA_AUTH');
  assert.is(
    await failure(`redis+sentinel://:data-hunter2@${at}?sentinelPassword=watch-hunter3`),
    'ESPER_OONA_AUTH',
  );
  assert.is(await failure(`redis+sentinel://:data-hunter2@${at}`), 'ESPER_OONA_AUTH');
  assert.is(
    await failure(`redis+sentinel://:data-hunter2@${setup.hosts}/nobody${right}`),
    'ESPER_OONA_DISCONNECTED',
  );
  assert.not.match(inspect(told, { depth: 9, showHidden: true }), /hunter\d/);
  const byUrl = transportOf({ url: `redis+sentinel://:data-hunter2@${at}/2${right}` });
  await roundTrip(byUrl, STREAM);
  const byList = transportOf({
    nodes: setup.sentinels.map(({ port }) => `127.0.0.1:${port}`),
    sentinel: { name: SENTINEL_NAME, password: 'watch-hunter2' },
    password: 'data-hunter2',
  });
  await roundTrip(byList, STREAM);
});

test('[R-O1][R-F11] the primary is killed under load: with waitReplicas nothing that was confirmed is lost, and all goes on', async () => {
  const setup = await sentinels({ replicas: 2 });
  const publisher = transportOf({ url: urlOf(setup), waitReplicas: 1 });
  const reading = startReading(transportOf({ url: urlOf(setup) }), STREAM);
  const appending = startAppending(publisher, STREAM, 16);
  await until('some', () => appending.confirmed.length > 200);
  const after = await setup.failover('kill');
  const atFailover = appending.confirmed.length;
  await until('many more', () => appending.confirmed.length > atFailover + 200);
  await appending.stop();
  const stored = await storedOn(after);
  assert.equal([...stored].sort(), [...appending.confirmed].sort());
  await until('all of them', () => new Set(reading.heard).size >= appending.confirmed.length);
  await reading.stop();
  assert.equal([...new Set(reading.heard)].sort(), [...appending.confirmed].sort());
  assert.ok(appending.codes.size > 0, 'the load met the failover');
  for (const code of appending.codes.keys()) {
    assert.ok(/^ESPER_OONA_(DISCONNECTED|TIMEOUT|READONLY|NOT_REPLICATED|LOADING|REDIS)$/.test(code), code);
  }
});

test('[R-O1] a primary that is well is replaced: everybody leaves it before it is demoted, and what follows is kept', async () => {
  const setup = await sentinels();
  const [a, b] = [host(urlOf(setup), 'a'), host(urlOf(setup), 'b')];
  await Promise.all([a.reader.start(), b.reader.start()]);
  const before = await setup.primary();
  const old = admin(before);
  const guests = async (): Promise<number> =>
    String(await old.client('LIST')).split('name=esper-oona').length - 1;
  for (let i = 0; i < 40; i++) await publishSurely(a.oona, emergency());
  await until('the guests', async () => (await guests()) >= 4);
  const after = await setup.failover('command');
  await until('the guests to leave', async () => (await guests()) === 0);
  // A sentinel demotes it seconds later; what it was sent until then is thrown away.
  assert.is(((await old.role()) as unknown[])[0], 'master');
  const last = emergency();
  await publishSurely(b.oona, last);
  await until('the last at both', () => [a, b].every(({ heard }) => heard.includes(last.signalId)));
  const stored = await storedOn(after, 'oona.emergency');
  assert.is(stored.length, 41);
});

test('[R-O1] a primary that hangs, and a sentinel that hangs, hold nobody up for ever', async () => {
  const setup = await sentinels({ replicas: 2 });
  const transport = transportOf({ url: urlOf(setup) });
  const reading = startReading(transportOf({ url: urlOf(setup) }), STREAM);
  const appending = startAppending(transport, STREAM, 4, 1);
  await until('some', () => appending.confirmed.length > 50);
  const before = await setup.primary();
  const [first] = setup.sentinels;
  before.pause();
  await until('another primary', async () => (await setup.primary()) !== before);
  // Two of three are left, and each attempt asks them in another order.
  first?.pause();
  const count = appending.confirmed.length;
  await until('it goes on', () => appending.confirmed.length > count + 50);
  const fresh = transportOf({ url: urlOf(setup) });
  await until('a new one', async () => (await codeOf(fresh.ping(CALL))) === 'ok');
  first?.resume();
  before.resume();
  await appending.stop();
  await reading.stop();
  assert.ok(reading.heard.length > 0);
});

test('[R-O1] sentinels that tell a replica, and sentinels that are away, are typed failures that pass', async () => {
  const setup = await sentinels();
  const [primary, replica] = setup.servers;
  // A sentinel that was cut off before a failover would tell such an address.
  const natMap = { [`127.0.0.1:${primary?.port}`]: `127.0.0.1:${replica?.port}` };
  const misled = transportOf({ url: urlOf(setup), natMap });
  assert.is(await codeOf(misled.timeMs(CALL)), 'ESPER_OONA_READONLY');
  assert.not.ok(misled.connected);
  const away = transportOf({ url: `redis+sentinel://127.0.0.1:1,127.0.0.1:2/${SENTINEL_NAME}` });
  assert.is(await codeOf(away.ping(CALL)), 'ESPER_OONA_DISCONNECTED');
  // No sentinel at all, but a server.
  const plain = await server();
  const wrong = transportOf({ url: `redis+sentinel://127.0.0.1:${plain.port}/${SENTINEL_NAME}` });
  assert.is(await codeOf(wrong.ping(CALL)), 'ESPER_OONA_DISCONNECTED');
});

test('[R-O1] waitReplicas without replicas: typed, retryable, stored once, and well again when one comes', async () => {
  const redis = await server();
  const transport = transportOf({ url: redis.url, waitReplicas: 1 });
  const appending = startAppending(transport, STREAM, 4, 0, 150);
  await until('refusals', () => (appending.codes.get('ESPER_OONA_NOT_REPLICATED') ?? 0) >= 8);
  assert.is(appending.confirmed.length, 0);
  await server({ args: ['--replicaof', `127.0.0.1 ${redis.port}`] });
  await until('many', () => appending.confirmed.length > 100);
  await appending.stop();
  assert.ok(appending.duplicates >= 4);
  assert.equal((await storedOn(redis)).sort(), [...appending.confirmed].sort());
});

test.run();
