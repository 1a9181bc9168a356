import type { Test } from 'uvu';
import * as assert from 'uvu/assert';
import { UNREAD_TTL_FACTOR } from '../../src/oona/transport/transport.ts';
import { until } from '../helpers/until.ts';
import { type Bench, calls, ids } from './transport-bench.ts';

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Trimming takes what everybody is done with; what it must take besides it counts. */
export function trimTests(test: Test, bench: () => Bench): void {
  const stored = async ({ transport, stream }: Bench): Promise<string[]> => {
    const entries = await transport.range({ stream, after: '', count: 1000, newestFirst: false }, calls);
    return entries.map(({ entryId }) => entryId);
  };
  async function filled(b: Bench, count: number, ...groups: string[]): Promise<string[]> {
    for (const group of groups) await b.transport.ensureGroup(b.stream, group, '0', calls);
    const all: string[] = [];
    for (let i = 0; i < count; i++) all.push(await b.append(`entry ${i}`));
    return all;
  }
  const trim = ({ transport, stream }: Bench, ttlMs: number, maxLength = 0) =>
    transport.trim({ stream, ttlMs, maxLength }, calls);

  test('[R-O2] drops what every group has acknowledged and nothing else', async () => {
    const b = bench();
    const all = await filled(b, 6, 'g', 'h');
    await b.transport.acknowledge(b.stream, 'g', ids(await b.read({ count: 5 })), calls);
    const read = ids(await b.read({ group: 'h', count: 4 }));
    await b.transport.acknowledge(b.stream, 'h', [read[0], read[1], read[3]].map(String), calls);
    await pause(30);
    assert.equal(await trim(b, 10), { removed: 2, cutUnread: 0 });
    assert.equal(await stored(b), all.slice(2));
    await b.transport.acknowledge(b.stream, 'h', read, calls);
    assert.equal(await trim(b, 10), { removed: 2, cutUnread: 0 });
    assert.equal(await stored(b), all.slice(4));
    assert.equal(ids(await b.read({ group: 'h' })), all.slice(4));
  });

  test('[R-O2] acknowledged by all: everything that is old goes, and the groups go on', async () => {
    const b = bench();
    await filled(b, 3, 'g');
    await b.transport.acknowledge(b.stream, 'g', ids(await b.read()), calls);
    await pause(30);
    assert.equal(await trim(b, 10), { removed: 3, cutUnread: 0 });
    assert.equal(await stored(b), []);
    const next = await b.append('next');
    assert.equal(ids(await b.read()), [next]);
    assert.is((await b.transport.depth(b.stream, 10, calls)).depth, 1);
  });

  test('[R-O2] keeps what is younger than the time to live; 0 drops nothing for its age', async () => {
    const b = bench();
    const all = await filled(b, 3, 'g');
    await b.transport.acknowledge(b.stream, 'g', ids(await b.read()), calls);
    await pause(30);
    assert.equal(await trim(b, 60_000), { removed: 0, cutUnread: 0 });
    assert.equal(await trim(b, 0), { removed: 0, cutUnread: 0 });
    assert.equal(await stored(b), all);
  });

  test('[R-O2] a stream that nobody reads is trimmed by age; one that is not there is none', async () => {
    const b = bench();
    assert.equal(await trim(b, 10, 10), { removed: 0, cutUnread: 0 });
    await filled(b, 3);
    await pause(30);
    assert.equal(await trim(b, 10), { removed: 3, cutUnread: 0 });
  });

  test('[R-O2] the hard cap cuts unread entries and counts them, the largest count over the groups', async () => {
    const b = bench();
    const all = await filled(b, 20, 'g', 'h', 'i');
    // g: 4 acknowledged, 3 pending, the rest unread; h: everything acknowledged but 2; i: as g, further on.
    const g = ids(await b.read({ count: 7 }));
    await b.transport.acknowledge(b.stream, 'g', g.slice(0, 4), calls);
    const h = ids(await b.read({ group: 'h', count: 20 }));
    await b.transport.acknowledge(b.stream, 'h', h.slice(2), calls);
    await b.transport.acknowledge(b.stream, 'i', ids(await b.read({ group: 'i', count: 12 })), calls);
    assert.equal(await trim(b, 0, 12), { removed: 8, cutUnread: 4 });
    assert.equal(await stored(b), all.slice(8));
    // Not counted twice: the three that g had pending are gone already.
    assert.equal(await trim(b, 0, 10), { removed: 2, cutUnread: 2 });
    assert.equal(await trim(b, 0, 10), { removed: 0, cutUnread: 0 });
    await b.transport.removeGroup(b.stream, 'g', calls);
    assert.equal(await trim(b, 0, 9), { removed: 1, cutUnread: 0 });
  });

  test('[R-O2] the hard cap counts where entries were removed from the middle, too', async () => {
    const b = bench();
    const all = await filled(b, 20, 'g');
    await b.transport.acknowledge(b.stream, 'g', ids(await b.read({ count: 5 })), calls);
    await b.transport.remove(b.stream, [all[10] ?? '', all[15] ?? ''], calls);
    // 18 are left, of the 12 that go the group has acknowledged 5.
    assert.equal(await trim(b, 0, 6), { removed: 12, cutUnread: 7 });
    assert.is((await b.transport.depth(b.stream, 100, calls)).depth, 6);
  });

  test('[R-O2] what is old and acknowledged goes before the cap cuts into the rest', async () => {
    const b = bench();
    const all = await filled(b, 10, 'g');
    await b.transport.acknowledge(b.stream, 'g', ids(await b.read({ count: 6 })), calls);
    await pause(30);
    assert.equal(await trim(b, 10, 4), { removed: 6, cutUnread: 0 });
    assert.equal(await trim(b, 10, 3), { removed: 1, cutUnread: 1 });
    assert.equal(await stored(b), all.slice(7));
  });

  test('[R-O1] urgent work that a group of consumers has not acknowledged outlives the time to live, hosts pin nothing', async () => {
    const b = bench();
    await filled(b, 120, 'host:a:', 'normal:g');
    await pause(450);
    const told: number[] = [];
    const emergency = () => b.append('new', { ttlMs: 400, onCutUnread: (count) => void told.push(count) });
    await emergency();
    await pause(60);
    assert.is((await stored(b)).length, 121);
    const group = 'normal:g';
    await b.transport.acknowledge(b.stream, group, ids(await b.read({ group, count: 200 })), calls);
    // Redis drops whole nodes: the first one holds the oldest. The host has read none of it.
    const [oldest] = await stored(b);
    assert.type(oldest, 'string');
    await until('the trim', async () => {
      await emergency();
      return !(await stored(b)).includes(oldest ?? '');
    });
    assert.equal(told, []);
  });

  test('[R-O1] a group that reads nothing pins urgent work for a while only; what is cut unread then is told', async () => {
    const b = bench();
    const group = 'normal:g';
    await filled(b, 120, 'host:a:', group);
    const read = ids(await b.read({ group, count: 10 }));
    await b.transport.acknowledge(b.stream, group, read.slice(0, 4), calls);
    await pause(20 * UNREAD_TTL_FACTOR + 40);
    const told: [number, string][] = [];
    await b.append('new', { ttlMs: 20, onCutUnread: (...what) => void told.push(what) });
    await until('the trim', () => told.length > 0);
    const removed = 121 - (await stored(b)).length;
    assert.ok(removed >= 100, `${removed} removed`);
    assert.equal(told, [[removed - 4, b.stream]]);
  });
}
