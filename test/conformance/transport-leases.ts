import type { Test } from 'uvu';
import * as assert from 'uvu/assert';
import { until } from '../helpers/until.ts';
import { type Bench, calls, ids, rejection, texts } from './transport-bench.ts';

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Who owns an entry, for how long, and what a former owner can still do: nothing. */
export function leaseTests(test: Test, bench: () => Bench): void {
  /** `count` entries that 'c' was given. */
  async function given({ transport, stream, append, read }: Bench, count: number): Promise<string[]> {
    await transport.ensureGroup(stream, 'g', '0', calls);
    for (let i = 0; i < count; i++) await append(`entry ${i}`);
    return ids(await read({ count }));
  }
  const claimAll = (b: Bench, consumer: string, minIdleMs = 0, count = 100) =>
    b.transport.claim({ stream: b.stream, group: 'g', consumer, minIdleMs, cursor: '0-0', count }, calls);
  const owned = ({ stream }: Bench, entryIds: readonly string[], consumer = 'c') => ({
    stream,
    group: 'g',
    consumer,
    entryIds,
  });

  test('[R-O2] acknowledges what is owned, once, in the order of asking', async () => {
    const b = bench();
    const all = await given(b, 5);
    const [first = '', second = '', third = ''] = all;
    assert.equal(await b.transport.acknowledgeOwned(owned(b, []), calls), []);
    assert.equal(await b.transport.acknowledgeOwned(owned(b, [third, first, first]), calls), [third, first]);
    assert.equal(await b.transport.acknowledgeOwned(owned(b, [first, second, '1-1']), calls), [second]);
    assert.equal(ids(await b.read({ which: 'pending' })), all.slice(3));
  });

  test('[R-O2] acknowledges many far apart among many that stay', async () => {
    const b = bench();
    const all = await given(b, 300);
    const asked = [all[299], all[150], all[0]].map(String);
    assert.equal(await b.transport.acknowledgeOwned(owned(b, asked), calls), asked);
    assert.equal(
      await b.transport.acknowledgeOwned(owned(b, all), calls),
      all.slice(1, 150).concat(all.slice(151, 299)),
    );
    assert.equal(await b.read({ which: 'pending' }), []);
  });

  test('[R-O2] a late answer of a former owner changes nothing', async () => {
    const b = bench();
    const all = await given(b, 2);
    const page = await claimAll(b, 'thief');
    assert.equal(ids(page.entries), all);
    assert.equal(await b.transport.acknowledgeOwned(owned(b, all), calls), []);
    assert.equal(await b.transport.extendLease(owned(b, all), calls), []);
    assert.equal(await b.transport.redeliver(owned(b, all), calls), []);
    assert.equal(await b.transport.acknowledgeOwned(owned(b, all, 'thief'), calls), all);
  });

  test('[R-O2] redelivers owned entries in the order of asking, one delivery more each', async () => {
    const b = bench();
    const [first = '', second = '', third = ''] = await given(b, 3);
    assert.equal(await b.transport.redeliver(owned(b, []), calls), []);
    const again = await b.transport.redeliver(owned(b, [second, first, '1-1']), calls);
    assert.equal(
      [ids(again), texts(again)],
      [
        [second, first],
        ['entry 1', 'entry 0'],
      ],
    );
    assert.equal(
      again.map(({ deliveryCount, signature, stream }) => [deliveryCount, signature, stream]),
      [2, 2].map((count) => [count, 's', b.stream]),
    );
    const once = await b.transport.redeliver(owned(b, [first, third]), calls);
    assert.equal(
      once.map(({ deliveryCount }) => deliveryCount),
      [3, 2],
    );
  });

  test('[R-O2] an entry that is gone is redelivered as lost and stays pending until it is acknowledged', async () => {
    const b = bench();
    const [first = '', second = ''] = await given(b, 2);
    await b.transport.remove(b.stream, [first], calls);
    const again = await b.transport.redeliver(owned(b, [first, second]), calls);
    assert.equal(
      again.map(({ entryId, lost }) => [entryId, lost]),
      [
        [first, true],
        [second, undefined],
      ],
    );
    assert.is(again[0]?.payload.length, 0);
    assert.equal(await b.transport.acknowledgeOwned(owned(b, [first]), calls), [first]);
  });

  test('[R-O2] claims what nobody touched for long, with the delivery count, and leaves the rest', async () => {
    const b = bench();
    const [old = ''] = await given(b, 1);
    await pause(60);
    await b.append('young');
    await b.read();
    const page = await claimAll(b, 'thief', 50);
    assert.equal(
      [ids(page.entries), texts(page.entries), page.cursor, page.lostIds],
      [[old], ['entry 0'], '0-0', []],
    );
    assert.is(page.entries[0]?.deliveryCount, 2);
    assert.is((await claimAll(b, 'other')).entries.find(({ entryId }) => entryId === old)?.deliveryCount, 3);
    assert.equal(ids(await b.read({ which: 'pending', consumer: 'thief' })), []);
  });

  test('[R-O2] an extended lease is not claimed; its delivery count stays', async () => {
    const b = bench();
    const [kept = '', let_go = ''] = await given(b, 2);
    await pause(80);
    assert.equal(await b.transport.extendLease(owned(b, []), calls), []);
    assert.equal(await b.transport.extendLease(owned(b, [kept, '1-1']), calls), [kept]);
    assert.equal(ids((await claimAll(b, 'thief', 70)).entries), [let_go]);
    const [again] = await b.transport.redeliver(owned(b, [kept]), calls);
    assert.is(again?.deliveryCount, 2);
  });

  test('[R-O2] a lease on an entry that is gone is still owned', async () => {
    const b = bench();
    const [first = '', second = ''] = await given(b, 2);
    await b.transport.remove(b.stream, [first], calls);
    assert.equal(await b.transport.extendLease(owned(b, [first, second]), calls), [first, second]);
    assert.equal(await b.transport.acknowledgeOwned(owned(b, [first, second]), calls), [first, second]);
  });

  test('[R-O2] a claim goes on by its cursor, over pages with nothing in them', async () => {
    const b = bench();
    // Redis looks at ten times as many as are asked for: pages end before the entries that are old enough.
    const all = await given(b, 30);
    const young = all.slice(0, 25);
    await pause(60);
    await b.transport.extendLease(owned(b, young), calls);
    const found: string[] = [];
    let pages = 0;
    let cursor = '0-0';
    do {
      const page = await b.transport.claim(
        { stream: b.stream, group: 'g', consumer: 'thief', minIdleMs: 50, cursor, count: 2 },
        calls,
      );
      found.push(...ids(page.entries));
      cursor = page.cursor;
      pages += 1;
    } while (cursor !== '0-0' && pages < 100);
    assert.equal(found, all.slice(25));
  });

  test('[R-O2] what was trimmed while it was pending is told by the claim, once, and is no longer pending', async () => {
    const b = bench();
    const [first = '', second = ''] = await given(b, 2);
    await b.transport.remove(b.stream, [first], calls);
    const lost: string[] = [];
    const found: string[] = [];
    await until('the loss', async () => {
      const page = await claimAll(b, 'thief');
      lost.push(...page.lostIds);
      found.push(...ids(page.entries));
      return lost.length > 0;
    });
    assert.equal([lost, found], [[first], [second]]);
    assert.equal((await claimAll(b, 'thief')).lostIds, []);
    assert.is((await b.transport.groups(b.stream, calls))[0]?.pending, 1);
  });

  test('[R-O2] without the group each call says so', async () => {
    const b = bench();
    const { transport, stream, append } = b;
    const bytes = { payload: new Uint8Array(1), signature: 's' };
    const one = { stream, group: 'g', consumer: 'c', entryId: '1-1', ...bytes };
    const letter = { ...one, deadLetterStream: `${stream}.dead`, fields: {}, maxLength: 10 };
    assert.equal(await transport.acknowledgeOwned(owned(b, []), calls), []);
    for (const exists of [false, true]) {
      if (exists) await append('x');
      const answers = [
        transport.acknowledgeOwned(owned(b, ['1-1']), calls),
        transport.redeliver(owned(b, ['1-1']), calls),
        transport.extendLease(owned(b, ['1-1']), calls),
        claimAll(b, 'c'),
        transport.deadLetter(letter, calls),
        transport.consumers(stream, 'g', calls),
      ];
      for (const { code } of await Promise.all(answers.map(rejection)))
        assert.is(code, 'ESPER_OONA_NO_GROUP');
    }
  });
}
