// watchdog: 120 s
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { errorCode } from '../../src/core/errors.ts';
import type { StreamEntry } from '../../src/oona/transport/transport.ts';
import { closeAfterEach } from '../helpers/oona-hosts.ts';
import { until } from '../helpers/until.ts';
import { append, calls, callsOf, open, payload, readSome, STREAM } from '../helpers/work-on-redis.ts';

const test = suite('work on a real Redis');
closeAfterEach(test);

test('[R-O2] XINFO runs neither on each publish nor on each refusal, and not at all without a limit', async () => {
  const { transport, control } = await open();
  await transport.ensureGroup(STREAM, 'g', '0', calls);
  const counted = async (perform: () => Promise<unknown>): Promise<number> => {
    await control.config('RESETSTAT');
    await perform();
    return callsOf(await control.info('commandstats'), 'xinfo|groups');
  };
  assert.is(
    await counted(async () => {
      for (let i = 0; i < 300; i++) await append(transport);
    }),
    0,
  );
  const startedAt = performance.now();
  const looks = await counted(async () => {
    for (let i = 0; i < 500; i++) assert.is((await append(transport, 10_000)).outcome, 'appended');
  });
  assert.ok(looks >= 1 && looks <= 2 + (performance.now() - startedAt) / 100, `${looks} looks`);
  const fullAt = performance.now();
  const refusals = await counted(async () => {
    for (let i = 0; i < 500; i++) assert.is((await append(transport, 100)).outcome, 'full');
  });
  assert.ok(refusals <= 2 + (performance.now() - fullAt) / 20, `${refusals} looks`);
});

test('[R-O2] what is known of the depth stays out of the append-only file', async () => {
  const { redis, transport, control } = await open({ persistence: 'aof' });
  await transport.ensureGroup(STREAM, 'g', '0', calls);
  for (let i = 0; i < 5; i++) await append(transport, 3);
  const keys = (await control.keys('*')).filter((key) => !key.includes(':dedup:'));
  assert.equal(keys.sort(), [STREAM, `{${STREAM}}:depth`, `{${STREAM}}:full`]);
  const [, directory = ''] = (await control.config('GET', 'dir')) as string[];
  const folder = join(directory, 'appendonlydir');
  const log = readdirSync(folder)
    .map((file) => readFileSync(join(folder, file), 'latin1'))
    .join('');
  assert.ok(log.includes(`{${STREAM}}:dedup:`));
  assert.not.match(log, /:depth|:full/);
  await redis.restart();
  await until('the server', async () => (await transport.ping(calls).catch(errorCode)) === undefined);
  assert.is((await append(transport, 3)).outcome, 'full');
});

test('[R-O2] a large entry is dead-lettered without travelling back', async () => {
  const { transport, control } = await open();
  await transport.ensureGroup(STREAM, 'g', '0', calls);
  const payload = new Uint8Array(8 * 1024 * 1024).fill(65);
  const rest = { signature: 's', dedupWindowMs: 60_000, ttlMs: 0 };
  for (const dedupId of ['1', '2'])
    await transport.append({ stream: STREAM, payload, dedupId, ...rest }, calls);
  const [first, second] = await readSome(transport, 2);
  const received = async (): Promise<number> =>
    Number(/total_net_input_bytes:(\d+)/.exec(await control.info('stats'))?.[1]);
  const bury = async (entry: StreamEntry | undefined): Promise<number> => {
    const { entryId = '', signature = '' } = entry ?? {};
    const place = { stream: STREAM, group: 'g', consumer: 'c', entryId, deadLetterStream: `${STREAM}.dead` };
    const before = await received();
    const request = { ...place, payload, signature, fields: { reason: 'ESPER_TEST' }, maxLength: 10 };
    assert.is(await transport.deadLetter(request, calls), 'moved');
    return (await received()) - before;
  };
  assert.ok((await bury(first)) < 64 * 1024);
  await transport.remove(STREAM, [second?.entryId ?? ''], calls);
  assert.ok((await bury(second)) >= payload.length);
  assert.is(await control.xlen(`${STREAM}.dead`), 2);
  const range = { stream: `${STREAM}.dead`, after: '', count: 2, newestFirst: false };
  for (const { fields } of await transport.range(range, calls)) {
    assert.ok(Buffer.compare(fields.get('payload') ?? Buffer.alloc(0), payload) === 0);
  }
});

test('[R-O2] a Redis that is full or refuses keeps the entry pending; nothing is half done', async () => {
  const { transport, control } = await open();
  await transport.ensureGroup(STREAM, 'g', '0', calls);
  await append(transport);
  const [entry] = await readSome(transport, 1);
  const entryId = entry?.entryId ?? '';
  const owned = { stream: STREAM, group: 'g', consumer: 'c', entryId, payload, signature: 's' };
  const letter = { ...owned, deadLetterStream: 'dead', fields: { reason: 'r' }, maxLength: 10 };
  const pending = async (): Promise<number | undefined> =>
    (await transport.groups(STREAM, calls))[0]?.pending;
  await control.config('SET', 'maxmemory', '1');
  assert.is(await transport.deadLetter(letter, calls).catch(errorCode), 'ESPER_OONA_OUT_OF_MEMORY');
  // Room is made by what is done: acknowledging must work when nothing else does.
  assert.equal(await pending(), 1);
  await control.config('SET', 'maxmemory', '0');
  await control.set('dead', 'a string');
  assert.is(await transport.deadLetter(letter, calls).catch(errorCode), 'ESPER_OONA_WRONG_TYPE');
  assert.equal(await pending(), 1);
  await control.del('dead');
  assert.is(await transport.deadLetter(letter, calls), 'moved');
  assert.equal([await pending(), await control.xlen('dead')], [0, 1]);
  await control.set('other', 'a string');
  for (const answer of [
    () => append(transport, 10, 'other'),
    () => transport.depth('other', 10, calls),
    () => transport.trim({ stream: 'other', ttlMs: 10, maxLength: 1 }, calls),
    () => transport.range({ stream: 'other', after: '', count: 1, newestFirst: false }, calls),
  ]) {
    assert.is(await answer().catch(errorCode), 'ESPER_OONA_WRONG_TYPE');
  }
});

test('[R-O2] acknowledging works on a Redis that is full, and scripts that it forgot are sent again', async () => {
  const { transport, control } = await open();
  await transport.ensureGroup(STREAM, 'g', '0', calls);
  await append(transport);
  const entryIds = (await readSome(transport, 1)).map(({ entryId }) => entryId);
  const owned = { stream: STREAM, group: 'g', consumer: 'c', entryIds };
  assert.equal(await transport.extendLease(owned, calls), entryIds);
  await control.script('FLUSH');
  await control.config('SET', 'maxmemory', '1');
  assert.equal(await transport.extendLease(owned, calls), entryIds);
  assert.equal(await transport.acknowledgeOwned(owned, calls), entryIds);
  assert.is((await transport.trim({ stream: STREAM, ttlMs: 0, maxLength: 0 }, calls)).removed, 0);
  await control.config('SET', 'maxmemory', '0');
});

test('[R-O2] after FLUSHALL each call for work says that the group is gone', async () => {
  const { transport, control } = await open();
  await transport.ensureGroup(STREAM, 'g', '0', calls);
  await append(transport);
  const entryIds = (await readSome(transport, 1)).map(({ entryId }) => entryId);
  const owned = { stream: STREAM, group: 'g', consumer: 'c', entryIds };
  assert.equal(await transport.extendLease(owned, calls), entryIds);
  await control.flushall();
  assert.is(await transport.extendLease(owned, calls).catch(errorCode), 'ESPER_OONA_NO_GROUP');
  assert.is(await transport.acknowledgeOwned(owned, calls).catch(errorCode), 'ESPER_OONA_NO_GROUP');
  assert.is((await append(transport, 1)).outcome, 'appended');
});

test('[R-O2] thousands of entries at once: acknowledged, kept, given again and cut in one call each', async () => {
  const { transport } = await open();
  await transport.ensureGroup(STREAM, 'g', '0', calls);
  await Promise.all(Array.from({ length: 12_000 }, () => append(transport)));
  const entryIds = (await readSome(transport, 12_000)).map(({ entryId }) => entryId);
  const owned = { stream: STREAM, group: 'g', consumer: 'c' };
  assert.is(entryIds.length, 12_000);
  assert.is((await transport.extendLease({ ...owned, entryIds }, calls)).length, 12_000);
  assert.is((await transport.redeliver({ ...owned, entryIds }, calls)).length, 12_000);
  const half = entryIds.filter((_, i) => i % 2 === 0);
  assert.equal(await transport.acknowledgeOwned({ ...owned, entryIds: half }, calls), half);
  const trimmed = await transport.trim({ stream: STREAM, ttlMs: 0, maxLength: 2000 }, calls);
  assert.equal(trimmed, { removed: 10_000, cutUnread: 5000 });
  assert.is((await transport.acknowledgeOwned({ ...owned, entryIds }, calls)).length, 6000);
});

test.run();
