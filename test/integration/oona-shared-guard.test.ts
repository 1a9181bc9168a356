import { setTimeout as delay } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createRedisTransport } from '../../src/oona/index.ts';
import { accountsAreEven, openConsumerBench, report, reportIdOf } from '../conformance/consumer-bench.ts';
import { startFixture } from '../helpers/fixture-process.ts';
import { admin, atEnd, closeAfterEach, server } from '../helpers/oona-hosts.ts';
import { until } from '../helpers/until.ts';

const test = suite('a replay guard that a group shares, on redis');
closeAfterEach(test);

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
  return { ...bench, control: admin(redis), start };
}

test('[R-O6] two processes, each event twice, one is killed: each event is handled, again only what the dead one had in hand', async () => {
  const { append, stream, worker, pending, letters, start } = await open();
  const sent = Array.from({ length: 800 }, (_, i) => `event ${i}`);
  const entries = sent.map((id) => report(id, stream));
  const [mortal, survivor] = [start(), start()];
  await Promise.all([mortal.next(), survivor.next()]);
  const appended = Promise.all([...entries, ...entries].map((entry) => append(entry)));
  await until('both work', () => mortal.messages.length > 50 && survivor.messages.length > 50);
  await mortal.kill();
  await appended;
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
  // What it had handled and not acknowledged: a batch at most.
  const twice = dead.filter((id) => living.includes(id));
  assert.ok(twice.length <= 64, `${twice.length} handled twice`);
  const reasons = new Set((await letters()).map(({ reason }) => reason));
  assert.equal([...reasons], ['ESPER_OONA_REPLAYED']);
  assert.is((await letters()).length, sent.length);
});

test('[R-O6] without memory for the guard entries wait, and are handled when there is some', async () => {
  const { publish, worker, pending, control } = await open();
  const { consumer, deliveries } = worker({ options: { leaseMs: 300 } });
  await consumer.start();
  consumer.pause();
  for (let i = 0; i < 5; i++) await publish();
  await control.config('SET', 'maxmemory', '1');
  consumer.resume();
  await until('the refusal', () => consumer.stats().lastErrorCode === 'ESPER_OONA_OUT_OF_MEMORY');
  await delay(200);
  assert.is(deliveries.length, 0);
  await control.config('SET', 'maxmemory', '0');
  await until('all', () => consumer.stats().handled === 5);
  assert.is(await pending(), 0);
  assert.ok(accountsAreEven(consumer));
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
