import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { Test } from 'uvu';
import * as assert from 'uvu/assert';
import type { AppendRequest, AppendResult } from '../../src/oona/transport/transport.ts';
import { until } from '../helpers/until.ts';
import { type Bench, calls, ids, text } from './transport-bench.ts';

/** How deep a stream is, and what an append does about it. */
export function depthTests(test: Test, bench: () => Bench): void {
  const gated = (
    { transport, stream }: Bench,
    depthLimit: number,
    dedupId: string = randomUUID(),
  ): Promise<AppendResult> =>
    transport.append(
      { stream, payload: text('x'), signature: '', dedupId, dedupWindowMs: 60_000, ttlMs: 0, depthLimit },
      calls,
    );
  const depthOf = async ({ transport, stream }: Bench, countLimit = 1000) => {
    const { length, depth, groups } = await transport.depth(stream, countLimit, calls);
    const rows = groups.map(({ group, lag, lagIsLowerBound, pending }) => [
      group,
      lag,
      lagIsLowerBound,
      pending,
    ]);
    return { length, depth, groups: rows.sort((a, b) => String(a[0]).localeCompare(String(b[0]))) };
  };

  test('[R-O4] what is refused and goes to another stream is told so when it comes again, whoever brings it, with room or without', async () => {
    const b = bench();
    await b.transport.ensureGroup(b.stream, 'g', '0', calls);
    const append = (dedupId: string, more: Partial<AppendRequest> = {}, from = b.transport) => {
      const content = { payload: text('x'), signature: '', dedupWindowMs: 60_000, ttlMs: 0 };
      return from.append({ stream: b.stream, ...content, dedupId, ...more }, calls);
    };
    for (let i = 0; i < 3; i++) await b.append(`entry ${i}`);
    const full = { outcome: 'full', entryId: '', depthBefore: 3 } as const;
    assert.equal(await append('moved', { depthLimit: 2, moveBelow: 5 }), full);
    assert.equal(await append('kept', { depthLimit: 2 }), full);
    assert.equal(await append('too deep', { depthLimit: 2, moveBelow: 3 }), full);
    assert.equal(await append('short', { depthLimit: 2, moveBelow: 5, dedupWindowMs: 50 }), full);
    const moved = { outcome: 'moved', entryId: '' } as const;
    assert.equal(await append('moved', { depthLimit: 2 }, b.peer), moved);
    // One that is always stored notes nothing, and forgets nothing either.
    assert.equal(await append('moved', { depthLimit: 2, moveBelow: 5, dedupWindowMs: 0 }), full);
    await b.transport.removeGroup(b.stream, 'g', calls);
    await delay(150);
    assert.equal(await append('moved', {}, b.peer), moved);
    assert.equal(await append('moved', { depthLimit: 2, moveBelow: 5 }, b.peer), moved);
    const outcomes = await Promise.all(['kept', 'too deep', 'short'].map((id) => append(id)));
    assert.ok(outcomes.every(({ outcome }) => outcome === 'appended'));
    assert.is((await append('kept')).outcome, 'duplicate');
    assert.is((await append('moved', { dedupWindowMs: 0 })).outcome, 'appended');
  });

  test('[R-O2] depth is lag + pending, the largest over the groups; acknowledged entries do not count', async () => {
    const b = bench();
    assert.equal(await depthOf(b), { length: 0, depth: 0, groups: [] });
    for (let i = 0; i < 10; i++) await b.append(`entry ${i}`);
    assert.equal(await depthOf(b), { length: 10, depth: 0, groups: [] });
    await b.transport.ensureGroup(b.stream, 'g', '0', calls);
    await b.transport.ensureGroup(b.stream, 'h', '0', calls);
    assert.equal(await depthOf(b), {
      length: 10,
      depth: 10,
      groups: [
        ['g', 10, false, 0],
        ['h', 10, false, 0],
      ],
    });
    const read = ids(await b.read({ count: 4 }));
    assert.equal((await depthOf(b)).groups, [
      ['g', 6, false, 4],
      ['h', 10, false, 0],
    ]);
    await b.transport.acknowledge(b.stream, 'g', read, calls);
    await b.read({ group: 'h', count: 7 });
    assert.equal(await depthOf(b), {
      length: 10,
      depth: 10,
      groups: [
        ['g', 6, false, 0],
        ['h', 3, false, 7],
      ],
    });
    await b.transport.removeGroup(b.stream, 'h', calls);
    assert.is((await depthOf(b)).depth, 6);
    await b.transport.acknowledge(b.stream, 'g', ids(await b.read()), calls);
    assert.equal(await depthOf(b), { length: 10, depth: 0, groups: [['g', 0, false, 0]] });
  });

  test('[R-O2] entries that were trimmed unread are not counted', async () => {
    const b = bench();
    await b.transport.ensureGroup(b.stream, 'g', '0', calls);
    for (let i = 0; i < 10; i++) await b.append(`entry ${i}`);
    const read = ids(await b.read({ count: 2 }));
    await b.transport.acknowledge(b.stream, 'g', read, calls);
    await b.transport.trim({ stream: b.stream, ttlMs: 0, maxLength: 3 }, calls);
    assert.equal(await depthOf(b), { length: 3, depth: 3, groups: [['g', 3, false, 0]] });
    await b.transport.remove(b.stream, ids(await b.read()), calls);
    assert.equal(await depthOf(b), { length: 0, depth: 3, groups: [['g', 0, false, 3]] });
  });

  test('[R-O2] what was removed from the middle is counted out; looking ends at the limit', async () => {
    const b = bench();
    await b.transport.ensureGroup(b.stream, 'g', '0', calls);
    const all: string[] = [];
    for (let i = 0; i < 250; i++) all.push(await b.append(`entry ${i}`));
    await b.read({ count: 10 });
    await b.transport.remove(b.stream, [all[20] ?? '', all[21] ?? ''], calls);
    assert.equal((await depthOf(b)).groups, [['g', 238, false, 10]]);
    const { groups } = await b.transport.depth(b.stream, 50, calls);
    const [{ lag, lagIsLowerBound } = { lag: 0, lagIsLowerBound: false }] = groups;
    // An engine that can count has no need to look.
    assert.ok(lagIsLowerBound ? lag === 50 : lag === 238);
  });

  test('[R-O2] a group that began in the middle lags by what came after', async () => {
    const b = bench();
    const all: string[] = [];
    for (let i = 0; i < 10; i++) all.push(await b.append(`entry ${i}`));
    await b.transport.ensureGroup(b.stream, 'g', all[6] ?? '', calls);
    assert.equal((await depthOf(b)).groups, [['g', 3, false, 0]]);
    assert.is((await gated(b, 4)).outcome, 'appended');
    assert.is((await gated(b, 4)).outcome, 'full');
  });

  test('[R-O2] a group that lies before all that is left lags by all of it, without a look', async () => {
    const b = bench();
    await b.transport.ensureGroup(b.stream, 'g', '0', calls);
    const all: string[] = [];
    for (let i = 0; i < 10; i++) all.push(await b.append(`entry ${i}`));
    await b.transport.acknowledge(b.stream, 'g', ids(await b.read({ count: 2 })), calls);
    await b.transport.trim({ stream: b.stream, ttlMs: 0, maxLength: 5 }, calls);
    await b.transport.remove(b.stream, [all[7] ?? ''], calls);
    assert.equal(await depthOf(b, 1), { length: 4, depth: 4, groups: [['g', 4, false, 0]] });
  });

  test('[R-O2] stores up to the limit, then says full and stores nothing; a duplicate is one however full it is', async () => {
    const b = bench();
    await b.transport.ensureGroup(b.stream, 'g', '0', calls);
    const results: AppendResult[] = [];
    for (let i = 0; i < 5; i++) results.push(await gated(b, 3, `id ${i}`));
    assert.equal(
      results.map(({ outcome }) => outcome),
      ['appended', 'appended', 'appended', 'full', 'full'],
    );
    assert.equal(
      results.map(({ depthBefore }) => depthBefore),
      [0, 1, 2, 3, 3],
    );
    assert.equal([results[3]?.entryId, results[4]?.entryId], ['', '']);
    const again = await gated(b, 3, 'id 1');
    assert.equal(
      [again.outcome, again.entryId, again.depthBefore],
      ['duplicate', results[1]?.entryId, undefined],
    );
    assert.equal(
      ids(await b.read()),
      results.slice(0, 3).map(({ entryId }) => entryId),
    );
    // What was refused may be asked for again.
    await b.transport.acknowledge(b.stream, 'g', ids(await b.read({ which: 'pending' })), calls);
    await until('room', async () => (await gated(b, 3, 'id 4')).outcome === 'appended');
  });

  test('[R-O2] pending entries keep a stream full, acknowledged ones make room at once or soon after', async () => {
    const b = bench();
    await b.transport.ensureGroup(b.stream, 'g', '0', calls);
    for (let i = 0; i < 4; i++) await gated(b, 4);
    const read = ids(await b.read());
    assert.is((await gated(b, 4)).outcome, 'full');
    await b.transport.acknowledge(b.stream, 'g', read, calls);
    await until('room', async () => (await gated(b, 4)).outcome === 'appended');
    // Far more than the limit passes as long as somebody keeps up.
    for (let i = 0; i < 30; i++) {
      assert.is((await gated(b, 4)).outcome, 'appended');
      await b.transport.acknowledge(b.stream, 'g', ids(await b.read()), calls);
    }
  });

  test('[R-O2] a full stream answers full for long, and a limit of Infinity measures only', async () => {
    const b = bench();
    await b.transport.ensureGroup(b.stream, 'g', '0', calls);
    for (let i = 0; i < 3; i++) await gated(b, Number.POSITIVE_INFINITY);
    const endsAt = performance.now() + 150;
    while (performance.now() < endsAt) {
      const { outcome, depthBefore } = await gated(b, 3);
      assert.equal([outcome, depthBefore], ['full', 3]);
    }
    const measured = await gated(b, Number.POSITIVE_INFINITY);
    assert.equal([measured.outcome, measured.depthBefore], ['appended', 3]);
  });

  test('[R-O2] the depth that an append tells is never too small, whoever appends', async () => {
    const b = bench();
    await b.transport.ensureGroup(b.stream, 'g', '0', calls);
    let appended = 0;
    const endsAt = performance.now() + 250;
    while (performance.now() < endsAt) {
      const transport = appended % 2 === 0 ? b.transport : b.peer;
      const { depthBefore = -1 } = await gated({ ...b, transport }, Number.POSITIVE_INFINITY);
      assert.is(depthBefore, appended);
      appended += 1;
    }
    assert.ok(appended > 1);
  });

  test('[R-O2] without a limit an append looks at no depth; without a group nothing is full', async () => {
    const b = bench();
    for (let i = 0; i < 5; i++) await b.append('x');
    const plain = await b.transport.append(
      { stream: b.stream, payload: text('x'), signature: '', dedupId: 'one', dedupWindowMs: 0, ttlMs: 0 },
      calls,
    );
    assert.equal(Object.keys(plain).sort(), ['entryId', 'outcome']);
    for (let i = 0; i < 5; i++) assert.is((await gated(b, 3)).outcome, 'appended');
  });
}
