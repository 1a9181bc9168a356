import type { Test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Bench, calls, ids, rejection } from './transport-bench.ts';

/** Looking at pending lists, giving entries back, letters for what nobody has. */
export function pendingTests(test: Test, bench: () => Bench): void {
  async function given({ transport, stream, append, read }: Bench, count: number): Promise<string[]> {
    await transport.ensureGroup(stream, 'g', '0', calls);
    for (let i = 0; i < count; i++) await append(`entry ${i}`);
    return ids(await read({ count }));
  }
  const own = (
    { transport, stream }: Bench,
    more: { afterId?: string; count?: number; consumer?: string } = {},
  ) => transport.ownPending({ stream, group: 'g', consumer: 'c', afterId: '0', count: 100, ...more }, calls);
  const claim = ({ transport, stream }: Bench, consumer: string, minIdleMs: number) =>
    transport.claim({ stream, group: 'g', consumer, minIdleMs, cursor: '0-0', count: 100 }, calls);
  const giveBack = ({ transport, stream }: Bench, entryIds: readonly string[], deliveryCount: number) => {
    const entries = entryIds.map((entryId) => ({ entryId, deliveryCount }));
    return transport.giveBack({ stream, group: 'g', consumer: 'c', entries }, calls);
  };

  test('[R-O2] lists own pending entries in pages, and changes nothing by it', async () => {
    const b = bench();
    const all = await given(b, 3);
    for (let i = 0; i < 3; i++) {
      assert.equal(
        await own(b),
        all.map((entryId) => ({ entryId, deliveryCount: 1 })),
      );
    }
    assert.equal(
      (await own(b, { count: 2 })).map(({ entryId }) => entryId),
      all.slice(0, 2),
    );
    assert.equal(
      (await own(b, { afterId: all[1] ?? '' })).map(({ entryId }) => entryId),
      all.slice(2),
    );
    assert.equal(await own(b, { consumer: 'other' }), []);
  });

  test('[R-O2] tells who has which entry', async () => {
    const b = bench();
    const [first = '', second = '', third = ''] = await given(b, 3);
    await b.transport.acknowledge(b.stream, 'g', [second], calls);
    const owners = await b.transport.ownersOf(b.stream, 'g', [third, second, first, '1-1'], calls);
    assert.equal(
      [...owners].sort(),
      [
        [first, 'c'],
        [third, 'c'],
      ].sort(),
    );
    await claim(b, 'thief', 0);
    assert.is((await b.transport.ownersOf(b.stream, 'g', [first], calls)).get(first), 'thief');
    assert.is((await b.transport.ownersOf(b.stream, 'g', [], calls)).size, 0);
  });

  test('[R-O2] what is given back is claimed at once, as if it had never been handed out', async () => {
    const b = bench();
    const [first = '', second = '', third = ''] = await given(b, 3);
    assert.equal(await giveBack(b, [], 0), []);
    // Twice, as a client that sends a call again.
    for (let i = 0; i < 2; i++) {
      assert.equal(await giveBack(b, [third, first, '1-1'], 0), [third, first]);
    }
    assert.equal(
      (await own(b)).map(({ deliveryCount }) => deliveryCount),
      [0, 1, 0],
    );
    const { entries } = await claim(b, 'next', 3_600_000);
    assert.equal(
      entries.map(({ entryId, deliveryCount }) => [entryId, deliveryCount]),
      [
        [first, 1],
        [third, 1],
      ],
    );
    // Somebody else's by now.
    assert.equal(await giveBack(b, [first, second], 0), [second]);
    assert.equal(
      (await own(b, { consumer: 'next' })).map(({ deliveryCount }) => deliveryCount),
      [1, 1],
    );
  });

  test('[R-O2] an entry that is gone stays pending when it is given back', async () => {
    const b = bench();
    const [first = ''] = await given(b, 1);
    await b.transport.remove(b.stream, [first], calls);
    assert.equal(await giveBack(b, [first], 0), [first]);
    assert.is((await own(b)).length, 1);
  });

  test('[R-O3] a letter of what nobody has is stored once', async () => {
    const { transport, stream } = bench();
    const deadLetterStream = `${stream}.dead`;
    const place = { stream, group: 'g', consumer: 'c', entryId: '1-1', deadLetterStream, maxLength: 10 };
    const letter = { ...place, payload: new Uint8Array([7]), signature: 's', fields: { reason: 'x' } };
    for (let i = 0; i < 2; i++) await transport.storeLetter(letter, calls);
    const letters = await transport.range(
      { stream: deadLetterStream, after: '', count: 10, newestFirst: false },
      calls,
    );
    assert.is(letters.length, 1);
    assert.equal([...(letters[0]?.fields.get('payload') ?? [])], [7]);
    assert.is(Buffer.from(letters[0]?.fields.get('reason') ?? []).toString(), 'x');
  });

  test('[R-O2] without the group looks and giving back say so', async () => {
    const b = bench();
    const answers = [own(b), b.transport.ownersOf(b.stream, 'g', ['1-1'], calls), giveBack(b, ['1-1'], 0)];
    for (const { code } of await Promise.all(answers.map(rejection))) assert.is(code, 'ESPER_OONA_NO_GROUP');
  });
}
