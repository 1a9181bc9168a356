/** What the bound on the dead letters' bytes does to Redis, and what it does when Redis does not help. */

import type { Redis } from 'ioredis';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createRedisTransport } from '../../src/oona/transport/redis.ts';
import type { BusTransport } from '../../src/oona/transport/transport.ts';
import { atEnd, closeAfterEach } from '../helpers/oona-hosts.ts';
import { calls, callsOf, open, STREAM } from '../helpers/work-on-redis.ts';

const test = suite('bytes of dead letters, on redis');
closeAfterEach(test);

const LETTERS = `${STREAM}.dead`;
const KIB = 1024;

/** Stores letters of that size and tells how many went for them. */
async function store(
  transport: BusTransport,
  count: number,
  bytes: number,
  maxBytes: number,
): Promise<number> {
  const told: number[] = [];
  const place = { stream: STREAM, group: 'g', consumer: 'c', deadLetterStream: LETTERS };
  const bounds = { maxLength: 100_000, maxBytes, onCut: (cut: number) => told.push(cut) };
  const payload = new Uint8Array(bytes).fill(120);
  const letter = { ...place, ...bounds, payload, signature: 's', fields: { reason: 'ESPER_TEST' } };
  const from = entries;
  entries += count;
  for (let i = from; i < entries; i++) await transport.storeLetter({ ...letter, entryId: `1-${i}` }, calls);
  return told.reduce((sum, cut) => sum + cut, 0);
}
let entries = 0;

const usedBy = async (control: Redis): Promise<number> =>
  Number(await control.call('MEMORY', 'USAGE', LETTERS, 'SAMPLES', '0'));

test('[R-O2] the letters are measured rarely within the bound, and not for each letter at it', async () => {
  const { transport, control } = await open();
  const measures = async (): Promise<number> => callsOf(await control.info('commandstats'), 'memory|usage');
  assert.is(await store(transport, 1000, KIB, 4 * KIB * KIB), 0);
  assert.is(await measures(), 1);
  const maxBytes = KIB * KIB;
  assert.ok((await store(transport, 1, KIB, maxBytes)) > 0);
  const before = await measures();
  const cut = await store(transport, 1000, KIB, maxBytes);
  assert.ok(cut >= 950 && cut <= 1050, `${cut} went for 1000`);
  const often = (await measures()) - before;
  assert.ok(often < 500, `${often} measures for 1000 letters`);
  const used = await usedBy(control);
  assert.ok(used <= maxBytes && used > maxBytes * 0.9, `${used} bytes`);
});

test('[R-O2] letters from before and of somebody else are found, and go with the next ones', async () => {
  const { transport, control } = await open();
  const addOther = () => control.xadd(LETTERS, '*', 'payload', 'x'.repeat(50 * KIB), 'signature', '');
  for (let i = 0; i < 400; i++) await addOther();
  const maxBytes = 10 * 64 * KIB;
  await store(transport, 1, KIB, maxBytes);
  assert.ok((await usedBy(control)) <= maxBytes);
  for (let i = 0; i < 20; i++) await addOther();
  await store(transport, 1, KIB, maxBytes);
  assert.ok((await usedBy(control)) > maxBytes, 'nobody looked since');
  // As after the minute in which a measure is trusted.
  assert.ok(Number(await control.pttl(`{${LETTERS}}:bytes`)) > 0);
  await control.del(`{${LETTERS}}:bytes`);
  await store(transport, 5, KIB, maxBytes);
  assert.ok((await usedBy(control)) <= maxBytes);
  // Deleted by hand: what it took is no reason to cut.
  await control.del(LETTERS);
  assert.is(await store(transport, 5, KIB, maxBytes), 0);
});

test('[R-O2] where many must go they go in parts: nobody waits for Redis until all of them went', async () => {
  const { transport, control } = await open();
  const pipeline = control.pipeline();
  for (let i = 0; i < 30_000; i++) pipeline.xadd(LETTERS, '*', 'payload', 'x'.repeat(100), 'signature', '');
  await pipeline.exec();
  const maxBytes = Math.floor((await usedBy(control)) / 4);
  const first = await store(transport, 1, KIB, maxBytes);
  assert.ok(first > 0 && first < 15_000, `${first} went for the first letter`);
  await store(transport, 15, KIB, maxBytes);
  assert.ok((await usedBy(control)) <= maxBytes);
});

test('[R-O2] something else where the estimate should be costs no letter, and the bound holds', async () => {
  const { transport, control } = await open();
  await control.lpush(`{${LETTERS}}:bytes`, 'x');
  const maxBytes = 10 * 64 * KIB;
  assert.ok((await store(transport, 50, 20 * KIB, maxBytes)) > 0);
  assert.ok((await usedBy(control)) <= maxBytes);
});

const RIGHTS = ['+@stream', '+@scripting', '+get', '+set', '+exists', '+time', '+ping', '+client|setname'];

/** A bus user with those rights only. */
async function limited(rights: readonly string[]) {
  const { redis, control } = await open();
  await control.call('ACL', ['SETUSER', 'bus', 'on', '>bus-hunter2', '~*', '-@all', ...rights]);
  const transport = createRedisTransport({ url: `redis://bus:bus-hunter2@127.0.0.1:${redis.port}` });
  atEnd(() => transport.close());
  return { control, transport };
}

test('[R-O2] a user who may not ask Redis what they take has the bound too, by estimate', async () => {
  const { control, transport } = await limited(RIGHTS);
  const maxBytes = 640 * KIB;
  const cut = await store(transport, 100, 20 * KIB, maxBytes);
  const left = await control.xlen(LETTERS);
  assert.is(left, 100 - cut);
  assert.ok((await usedBy(control)) <= maxBytes);
  assert.ok(left >= 15, `${left} letters of 20 KiB are kept of 640 KiB`);
  await control.xtrim(LETTERS, 'MAXLEN', 1);
  assert.ok((await store(transport, 10, 20 * KIB, maxBytes)) > 0, 'what was purged still counts');
});

test('[R-O2] one more right, and what was purged makes room', async () => {
  const { control, transport } = await limited([...RIGHTS, '+memory|usage']);
  const maxBytes = 640 * KIB;
  assert.ok((await store(transport, 100, 20 * KIB, maxBytes)) > 0);
  await control.xtrim(LETTERS, 'MAXLEN', 1);
  assert.is(await store(transport, 10, 20 * KIB, maxBytes), 0);
});

test.run();
