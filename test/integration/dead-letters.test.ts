import { Redis } from 'ioredis';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createRedisTransport } from '../../src/oona/transport/redis.ts';
import type { BusTransport } from '../../src/oona/transport/transport.ts';
import { lettersOf } from '../conformance/consumer-bad-rows.ts';
import { openConsumerBench } from '../conformance/consumer-bench.ts';
import { rejection } from '../conformance/transport-bench.ts';
import { collect, type LetterBench, openLetterBench, sealedState } from '../helpers/dead-letters.ts';
import { type RedisServer, startRedis } from '../helpers/redis-server.ts';
import { until } from '../helpers/until.ts';

const test = suite('dead letters on a real Redis');

let server: RedisServer;
let transport: BusTransport;
let bench: LetterBench;
let raw: Redis;

test.before(async () => {
  server = await startRedis({ persistence: 'aof' });
  raw = new Redis(server.url);
});
test.before.each(() => {
  transport = createRedisTransport({ url: server.url });
  bench = openLetterBench(transport);
});
test.after.each(() => transport.close());
test.after(async () => {
  raw.disconnect();
  await server.stop();
});

test('[R-O6] an entry of another shape than ours ends as a letter; the good ones around it are handled', async () => {
  const own = openConsumerBench(transport);
  await own.publish();
  const shapes = [
    ['foo', 'bar'],
    ['signature', 'x'],
    ['payload', '', 'signature', ''],
    ['payload', 'only'],
  ];
  const ids: (string | null)[] = [];
  for (const fields of shapes) ids.push(await raw.xadd(own.stream, '*', ...fields));
  await own.publish();
  const { consumer } = own.worker();
  await consumer.start();
  await until('everything decided', () => consumer.stats().read === 6 && consumer.stats().pending === 0);
  assert.is(consumer.stats().handled, 2);
  const letters = await lettersOf(own);
  assert.equal(
    letters.map(({ originId, reason }) => [originId, reason]),
    ids.map((id, i) => [id, i === 3 ? 'ESPER_LEYLINE_SIGNATURE_MISSING' : 'ESPER_LEYLINE_EMPTY']),
  );
  assert.ok(letters.every(({ damaged }) => damaged.length === 0));
  await own.close();
});

test('[R-O6] another type under the name of the dead letters is told by its code', async () => {
  const { streams, deadLetters } = bench;
  await raw.set(streams.deadLetter, 'a string');
  assert.is((await rejection(collect(deadLetters.list()))).code, 'ESPER_OONA_WRONG_TYPE');
  assert.is((await rejection(deadLetters.counts())).code, 'ESPER_OONA_WRONG_TYPE');
  assert.is((await deadLetters.replay({ all: true })).failure?.code, 'ESPER_OONA_WRONG_TYPE');
  assert.is((await deadLetters.purge({ all: true })).failure?.code, 'ESPER_OONA_WRONG_TYPE');
});

test('[R-O6] a Redis that stops answering ends a replay at its deadline; repeated, all is stored once', async () => {
  const { streams, bury, more, deadLetters, all, read } = bench;
  for (let i = 0; i < 20; i++) await bury(sealedState(streams.normal));
  const impatient = more({ callDeadlineMs: 300 });
  server.pause();
  const stuck = await impatient.replay({ all: true });
  const purged = await impatient.purge({ all: true });
  server.resume();
  assert.is(stuck.failure?.retryable, true);
  assert.equal([stuck.replayed, stuck.more, purged.removed], [0, true, 0]);
  await until('Redis answers again', async () => (await transport.ping({ deadlineMs: 1000 })) === undefined);
  const again = await deadLetters.replay({ all: true });
  assert.equal([again.failed, again.replayed + again.alreadyReplayed], [0, 20]);
  assert.equal([(await all()).length, (await read(streams.normal)).length], [0, 40]);
});

test('[R-O6] letters outlive a restart of Redis, and come back', async () => {
  const { streams, bury, deadLetters, read } = bench;
  const letterId = await bury(sealedState(streams.normal));
  await server.restart();
  await until('Redis answers again', () =>
    transport.ping({ deadlineMs: 1000 }).then(
      () => true,
      () => false,
    ),
  );
  assert.is((await deadLetters.inspect(letterId)).outcome, 'found');
  assert.is((await deadLetters.replay([letterId])).replayed, 1);
  assert.is((await read(streams.normal)).length, 2);
});

test('[R-O6] a letter of 64 MiB is listed and inspected, and those around it too', async () => {
  const { streams, bury, more } = bench;
  const large = { payload: new Uint8Array(64 * 1024 * 1024), signature: '' };
  const ids = [
    await bury(sealedState(streams.normal)),
    await bury(large),
    await bury(sealedState(streams.normal)),
  ];
  const patient = more({ callDeadlineMs: 60_000 });
  const letters = await collect(patient.list({ newestFirst: false }));
  assert.equal(
    letters.map(({ letterId }) => letterId),
    ids,
  );
  const found = await patient.inspect(ids[1] as string);
  if (found.outcome !== 'found') throw new Error(found.outcome);
  assert.is(found.verified.ok ? '' : found.verified.code, 'ESPER_LEYLINE_TOO_LARGE');
});

test.run();
