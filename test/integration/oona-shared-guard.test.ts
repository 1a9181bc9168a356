import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createRedisTransport } from '../../src/oona/index.ts';
import { accountsAreEven, openConsumerBench, report, reportIdOf } from '../conformance/consumer-bench.ts';
import { startFixture } from '../helpers/fixture-process.ts';
import { admin, atEnd, closeAfterEach, server } from '../helpers/oona-hosts.ts';
import { codeOf } from '../helpers/redis-traffic.ts';
import { until } from '../helpers/until.ts';

const test = suite('a replay guard that a group shares, on redis');
closeAfterEach(test);

const CALL = Object.freeze({ deadlineMs: 3000 });

async function open() {
  const redis = await server();
  const bench = openConsumerBench(createRedisTransport({ url: redis.url }), { replayGuard: 'shared' });
  atEnd(() => bench.close());
  const start = () => {
    const deadLetter = bench.stream.replace('test.', 'dead.');
    const args = [redis.url, bench.stream, deadLetter, '', '300', 'shared'];
    const child = startFixture<string>('oona-consumer.ts', args);
    atEnd(() => child.kill());
    return child;
  };
  return { ...bench, redis, control: admin(redis), start };
}

test('[R-O6] two processes, each event twice, one is killed: each event is handled, again only what the dead one had in hand', async () => {
  const { append, stream, worker, pending, letters, start, control } = await open();
  const sent = Array.from({ length: 800 }, (_, i) => `event ${i}`);
  const entries = sent.map((id) => report(id, stream));
  const [mortal, survivor] = [start(), start()];
  await Promise.all([mortal.next(), survivor.next()]);
  const appended = Promise.all([...entries, ...entries].map((entry) => append(entry)));
  await until('both work', () => mortal.messages.length > 50 && survivor.messages.length > 50);
  await mortal.kill();
  const rows = (await control.xpending(stream, 'g', '-', '+', 10_000)) as [string, string, number, number][];
  // Or somebody has taken it over already.
  const isLeft = ([, owner, , count]: (typeof rows)[number]) =>
    owner.includes(`:${mortal.pid}:`) || count > 1;
  const left = new Set(rows.filter(isLeft).map(([id]) => id));
  const entryIds = await appended;
  const { consumer, deliveries } = worker({ options: { leaseMs: 300 } });
  await consumer.start();
  await until('everything decided', async () => {
    const handled = new Set([...mortal.messages, ...survivor.messages, ...deliveries.map(reportIdOf)]);
    return handled.size >= sent.length && (await pending()) === 0;
  });
  const living = [...survivor.messages, ...deliveries.map(reportIdOf)].filter((id) => id !== 'started');
  const dead = mortal.messages.filter((id) => id !== 'started');
  assert.is(new Set(living).size, living.length, 'no event was handled twice by those that live');
  assert.is(new Set(dead).size, dead.length);
  assert.equal(
    sent.filter((id) => !living.includes(id) && !dead.includes(id)),
    [],
  );
  // Of what it had handled that which was not acknowledged.
  const wasLeft = (id: string) => entryIds.some((entryId, i) => left.has(entryId) && sent[i % 800] === id);
  const twice = dead.filter((id) => living.includes(id));
  assert.equal(
    twice.filter((id) => !wasLeft(id)),
    [],
  );
  const reasons = new Set((await letters()).map(({ reason }) => reason));
  assert.equal([...reasons], ['ESPER_OONA_REPLAYED']);
  assert.is((await letters()).length, sent.length);
});

test('[R-O6] a Redis that is full of what waits is emptied by handling it', async () => {
  const { publish, worker, pending, control } = await open();
  const { consumer, deliveries } = worker({ options: { leaseMs: 300 } });
  await consumer.start();
  consumer.pause();
  for (let i = 0; i < 5; i++) await publish();
  await control.config('SET', 'maxmemory', '1');
  await publish().then(
    () => assert.unreachable('it is full'),
    (error) => assert.is(error.code, 'ESPER_OONA_OUT_OF_MEMORY'),
  );
  consumer.resume();
  await until('all', () => consumer.stats().handled === 5);
  assert.is(deliveries.length, 5);
  assert.is(await pending(), 0);
  assert.ok(accountsAreEven(consumer));
});

test('[R-O6] what was handled is acknowledged without memory too, or it would be handled again', async () => {
  const { publish, worker, pending, control } = await open();
  let end = (): void => undefined;
  const held = new Promise<void>((resolve) => {
    end = resolve;
  });
  const { consumer } = worker({ handler: () => held });
  await consumer.start();
  for (let i = 0; i < 5; i++) await publish();
  await until('all in hand', () => consumer.stats().inFlight === 5);
  await control.config('SET', 'maxmemory', '1');
  end();
  await until('all', () => consumer.stats().handled === 5);
  assert.is(await pending(), 0);
});

test('[R-O6] a key that holds something else, where a guard should be, holds up its event and no other', async () => {
  const { publish, worker, stream, control } = await open();
  const { consumer, deliveries } = worker();
  const odd = `{${stream}}:handled:g/odd`;
  await control.lpush(odd, 'x');
  for (const id of ['before', 'odd', 'after']) await publish(id);
  await consumer.start();
  await until('the others', () => consumer.stats().handled === 2);
  assert.equal(deliveries.map(reportIdOf), ['before', 'after']);
  await control.del(odd);
  await until('all', () => consumer.stats().handled === 3);
});

test('[R-O6] a user who may not look who has an entry is refused, and takes no reservation over', async () => {
  const { redis, transport, publish, stream, control } = await open();
  await transport.ensureGroup(stream, 'g', '0', CALL);
  const entryIds = [await publish(), await publish()];
  await control.xreadgroup('GROUP', 'g', 'c', 'STREAMS', stream, '>');
  await control.call('ACL', ['SETUSER', 'bus', 'on', '>bus-hunter2', '~*', '+@all', '-xpending']);
  const blind = createRedisTransport({ url: redis.url.replace('://', '://bus:bus-hunter2@') });
  atEnd(() => blind.close());
  const asked = entryIds.map((entryId) => {
    const events = [{ key: 'e', entryId }];
    return codeOf(blind.reserve({ stream, group: 'g', windowMs: 60_000, events }, CALL));
  });
  assert.equal(await Promise.all(asked), ['ok', 'ESPER_OONA_AUTH']);
});

test('[R-O6] a guard is one string in the hash slot of its stream, and goes when no copy could be accepted any more', async () => {
  const { append, publish, worker, stream, control } = await open();
  const { consumer } = worker({ options: { maxAgeMs: 100_000 }, parts: { maxFutureSkewMs: 10_000 } });
  const long = 'é'.repeat(5000);
  const entryId = await publish('short');
  await append(report(long, stream));
  await consumer.start();
  await until('both', () => consumer.stats().handled === 2);
  const keys = (await control.keys('*:handled:*')).sort();
  const prefix = `{${stream}}:handled:g/`;
  assert.is(keys.length, 2);
  assert.is(keys[1], `${prefix}short`);
  assert.ok((keys[0] ?? '').length < prefix.length + 64, 'a long id is not kept as it is');
  assert.is(await control.get(`${prefix}short`), entryId);
  for (const key of keys) {
    const leftMs = await control.pttl(key);
    assert.ok(leftMs > 60_000 && leftMs <= 120_000, `${leftMs} ms`);
  }
  await append(report(long, stream));
  await until('the copy', () => consumer.stats().deadLettered === 1);
});

test.run();
