// watchdog: 120 s
import { randomUUID } from 'node:crypto';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { errorCode } from '../../src/core/errors.ts';
import { parseDeadLetter } from '../../src/oona/dead-letters/letter.ts';
import { createRedisTransport } from '../../src/oona/transport/redis.ts';
import { atEnd, closeAfterEach } from '../helpers/oona-hosts.ts';
import { until } from '../helpers/until.ts';
import { append, calls, callsOf, fill, open, payload, readSome, STREAM } from '../helpers/work-on-redis.ts';

const test = suite('work on a real Redis: what it costs');
closeAfterEach(test);

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

test('[R-O2] where XINFO knows no lag a look is short; full is told by a count that is then good for long', async () => {
  const { transport, control } = await open();
  const all = await fill(control, 5000);
  await transport.ensureGroup(STREAM, 'middle', all[1999] ?? '', calls);
  const counted = async (limit: number, times: number): Promise<[string[], number]> => {
    await control.del(`{${STREAM}}:depth`, `{${STREAM}}:full`);
    await control.config('RESETSTAT');
    const outcomes = new Set<string>();
    for (let i = 0; i < times; i++) outcomes.add((await append(transport, limit)).outcome);
    return [[...outcomes], callsOf(await control.info('commandstats'), 'xrange')];
  };
  // A page is 100 entries. Nothing is refused on the 5,000 that are stored, nor counted while they are below the limit.
  assert.equal(await counted(1e6, 1), [['appended'], 10]);
  const startedAt = performance.now();
  const [outcomes, pages] = await counted(4000, 200);
  assert.equal(outcomes, ['appended']);
  // The 3,000 keep a look for 120 ms at least.
  assert.ok(pages >= 31 && pages <= 36 * (1 + (performance.now() - startedAt) / 120), `${pages} pages`);
  const fullAt = performance.now();
  const [refused, looked] = await counted(2500, 200);
  assert.equal(refused, ['full']);
  assert.ok(looked >= 25 && looked <= 25 * (1 + (performance.now() - fullAt) / 100), `${looked} pages`);
});

test('[R-O2] hosts that measure share one look', async () => {
  const { redis, transport, control } = await open();
  const other = createRedisTransport({ url: redis.url });
  atEnd(() => other.close());
  await transport.ensureGroup(STREAM, 'g', '0', calls);
  await append(transport);
  const shared = { ...calls, maxAgeMs: 60_000 };
  await control.config('RESETSTAT');
  const first = await transport.depth(STREAM, 1000, shared);
  assert.equal([first.length, first.depth, first.groups.map(({ group }) => group)], [1, 1, ['g']]);
  await append(transport);
  for (const one of [transport, other, other]) assert.equal(await one.depth(STREAM, 100, shared), first);
  assert.is(callsOf(await control.info('commandstats'), 'xinfo|groups'), 1);
  // Whoever wants to look further, or now, does.
  assert.is((await other.depth(STREAM, 1000, calls)).depth, 2);
  assert.is((await other.depth(STREAM, 2000, shared)).depth, 2);
});

test('[R-O1] hosts share the pace of trims too', async () => {
  const { redis, transport, control } = await open();
  const hosts = [transport, ...[1, 2, 3].map(() => createRedisTransport({ url: redis.url }))];
  for (const one of hosts) atEnd(() => one.close());
  await transport.ensureGroup(STREAM, 'normal:g', '0', calls);
  await fill(control, 300);
  await control.config('RESETSTAT');
  const request = { stream: STREAM, payload, signature: 's', dedupWindowMs: 0, ttlMs: 60_000 };
  for (const one of hosts) await one.append({ ...request, dedupId: randomUUID() }, calls);
  await until('the trims', async () => callsOf(await control.info('commandstats'), 'xlen') >= hosts.length);
  assert.is(callsOf(await control.info('commandstats'), 'xinfo|stream'), 1);
});

test('[R-O2] a look for what to take over passes over thousands that are young in a few calls', async () => {
  const { transport, control } = await open();
  await transport.ensureGroup(STREAM, 'g', '0', calls);
  await fill(control, 6400);
  await readSome(transport, 6400);
  const place = { stream: STREAM, group: 'g', consumer: 'thief', minIdleMs: 60_000, count: 1 };
  let [cursor, pages] = ['0-0', 0];
  do {
    cursor = (await transport.claim({ ...place, cursor }, calls)).cursor;
    pages += 1;
  } while (cursor !== '0-0');
  assert.is(pages, 2);
});

test('[R-O2] a dead letter keeps the fields of an entry that is not of our kind', async () => {
  const { transport, control } = await open();
  await transport.ensureGroup(STREAM, 'g', '0', calls);
  const many = Array.from({ length: 9000 }, (_, i) => [`f${i}`, 'v']).flat();
  await control.xadd(
    STREAM,
    '*',
    'body',
    'é😀',
    'sig',
    Buffer.from([0xff, 0]),
    'payload',
    'p',
    '__proto__',
    'q',
  );
  await control.xadd(STREAM, '*', ...many);
  const read = await readSome(transport, 2);
  const to = { deadLetterStream: `${STREAM}.dead`, fields: { reason: 'ESPER_TEST' }, maxLength: 10 };
  for (const { entryId, payload: bytes, signature } of read) {
    const request = { stream: STREAM, group: 'g', consumer: 'c', entryId, payload: bytes, signature, ...to };
    assert.is(await transport.deadLetter(request, calls), 'moved');
  }
  const range = { stream: to.deadLetterStream, after: '', count: 2, newestFirst: false };
  const [first, second] = (await transport.range(range, calls)).map(parseDeadLetter);
  const theirs = Object.entries(first?.originalFields ?? {});
  assert.equal(theirs, [
    ['body', 'é😀'],
    ['sig', 'base64:/wA='],
    ['__proto__', 'q'],
  ]);
  assert.is(Buffer.from(first?.payload ?? []).toString(), 'p');
  assert.is(Object.keys(second?.originalFields ?? {}).length, 100);
});

test('[R-O1] fewer replicas than asked for are told as that, however short the deadline', async () => {
  const { redis } = await open();
  const careful = createRedisTransport({ url: redis.url, waitReplicas: 1 });
  atEnd(() => careful.close());
  await careful.ping(calls);
  const request = { stream: STREAM, payload, signature: 's', dedupWindowMs: 0, ttlMs: 0 };
  for (const deadlineMs of [60, 110, 150, 220, 400]) {
    const code = await careful.append({ ...request, dedupId: randomUUID() }, { deadlineMs }).catch(errorCode);
    assert.is(code, 'ESPER_OONA_NOT_REPLICATED', `${deadlineMs} ms`);
  }
});

test('[R-O2] a long stream is trimmed in parts, all of it by one call', async () => {
  const { transport, control } = await open();
  await fill(control, 25_000);
  const longest = { stream: STREAM, ttlMs: 0, maxLength: 24_000 };
  assert.equal(await transport.trim(longest, calls), { removed: 1000, cutUnread: 0 });
  await transport.ensureGroup(STREAM, 'g', '0', calls);
  await control.config('RESETSTAT');
  assert.equal(await transport.trim({ ...longest, maxLength: 23_000 }, calls), {
    removed: 1000,
    cutUnread: 1000,
  });
  await readSome(transport, 23_000);
  await transport.removeGroup(STREAM, 'g', calls);
  await pause(20);
  assert.equal(await transport.trim({ ...longest, ttlMs: 10 }, calls), { removed: 23_000, cutUnread: 0 });
  assert.is(callsOf(await control.info('commandstats'), 'evalsha'), 4);
});

test.run();
