import { setTimeout as delay } from 'node:timers/promises';
import type { Test } from 'uvu';
import * as assert from 'uvu/assert';
import type { BusTransport } from '../../src/oona/transport/transport.ts';
import { type Bench, calls, ids, rejection } from './transport-bench.ts';

const WINDOW_MS = 60_000;

interface Asked {
  readonly group?: string;
  readonly windowMs?: number;
  readonly from?: BusTransport;
}

/** The replay guard that the consumers of a group share. */
export function guardTests(test: Test, bench: () => Bench): void {
  async function given({ transport, stream, append, read }: Bench, count: number): Promise<string[]> {
    await transport.ensureGroup(stream, 'g', '0', calls);
    for (let i = 0; i < count; i++) await append(`entry ${i}`);
    return ids(await read({ count }));
  }
  const eventsOf = (pairs: readonly (readonly [string, string])[]) =>
    pairs.map(([key, entryId]) => ({ key, entryId }));
  const reserve = (b: Bench, pairs: readonly (readonly [string, string])[], more: Asked = {}) => {
    const { group = 'g', windowMs = WINDOW_MS, from = b.transport } = more;
    return from.reserve({ stream: b.stream, group, windowMs, events: eventsOf(pairs) }, calls);
  };
  const handled = (
    b: Bench,
    pairs: readonly (readonly [string, string])[],
    { consumer = 'c', group = 'g', windowMs = WINDOW_MS } = {},
  ) => {
    const request = { stream: b.stream, group, consumer, windowMs, events: eventsOf(pairs) };
    return b.transport.acknowledgeHandled(request, calls);
  };
  const pendingOf = async ({ transport, stream }: Bench): Promise<string[]> => {
    const request = { stream, group: 'g', consumer: 'c', afterId: '0', count: 1000 };
    return (await transport.ownPending(request, calls)).map(({ entryId }) => entryId);
  };

  test('[R-O6] an event is for one entry at a time; handled, it is a redelivery for that one and a replay for others', async () => {
    const b = bench();
    const [first = '', second = ''] = await given(b, 2);
    assert.equal(await reserve(b, [['e', first]]), ['new']);
    assert.equal(
      await reserve(
        b,
        [
          ['e', second],
          ['e', first],
          ['other', second],
        ],
        { from: b.peer },
      ),
      ['busy', 'new', 'new'],
    );
    assert.equal(await handled(b, [['e', first]]), [first]);
    assert.equal(
      await reserve(b, [
        ['e', first],
        ['e', second],
      ]),
      ['redelivery', 'replay'],
    );
    assert.equal(await pendingOf(b), [second]);
  });

  test('[R-O6] a reservation follows its entry to whoever has it, and ends with it', async () => {
    const b = bench();
    const [first = '', second = '', third = ''] = await given(b, 3);
    assert.equal(await reserve(b, [['e', first]]), ['new']);
    const claim = { stream: b.stream, group: 'g', consumer: 'heir', minIdleMs: 0, cursor: '0-0', count: 1 };
    assert.equal(ids((await b.transport.claim(claim, calls)).entries), [first]);
    assert.equal(
      await reserve(b, [
        ['e', second],
        ['e', first],
      ]),
      ['busy', 'new'],
    );
    // Given up: another entry with the event may be handled.
    const deadLetter = { payload: new Uint8Array(0), signature: '', fields: {}, maxLength: 10 };
    const place = { stream: b.stream, group: 'g', consumer: 'heir', entryId: first };
    const letter = { ...place, deadLetterStream: `${b.stream}.dead`, ...deadLetter };
    assert.is(await b.transport.deadLetter(letter, calls), 'moved');
    assert.equal(
      await reserve(b, [
        ['e', second],
        ['e', third],
      ]),
      ['new', 'busy'],
    );
    await b.transport.acknowledge(b.stream, 'g', [second], calls);
    assert.equal(await reserve(b, [['e', third]]), ['new']);
  });

  test('[R-O6] of entries with one event that ask at once, one gets it', async () => {
    const b = bench();
    const all = await given(b, 40);
    const answers = await Promise.all(
      all.map((id, i) => reserve(b, [['e', id]], { from: i % 2 === 0 ? b.transport : b.peer })),
    );
    const words = answers.flat();
    assert.is(words.filter((word) => word === 'new').length, 1);
    assert.is(words.filter((word) => word === 'busy').length, 39);
    // In one call, too.
    const pairs = all.map((id) => ['another', id] as const);
    assert.equal(await reserve(b, pairs), ['new', ...Array(39).fill('busy')]);
  });

  test('[R-O6] what was handled is remembered whoever owns the entry; acknowledged is only what is owned, once', async () => {
    const b = bench();
    const [first = '', second = '', third = ''] = await given(b, 3);
    const claim = { stream: b.stream, group: 'g', consumer: 'thief', minIdleMs: 0, cursor: '0-0', count: 1 };
    assert.equal(ids((await b.transport.claim(claim, calls)).entries), [first]);
    const pairs = [
      ['c', third],
      ['a', first],
      ['b', second],
    ] as const;
    assert.equal(await handled(b, pairs), [third, second]);
    assert.equal(await handled(b, pairs), []);
    assert.equal(await reserve(b, pairs), ['redelivery', 'redelivery', 'redelivery']);
    const owners = await b.transport.ownersOf(b.stream, 'g', [first, second, third], calls);
    assert.equal([...owners], [[first, 'thief']]);
    assert.equal(await handled(b, []), []);
    assert.equal(await reserve(b, []), []);
  });

  test('[R-O6] a guard belongs to one group of one stream, whatever the names and ids have in them', async () => {
    const b = bench();
    const [first = ''] = await given(b, 1);
    assert.equal(await handled(b, [['x', first]]), [first]);
    const elsewhere = { ...b, stream: `${b.stream}.more` };
    assert.equal(await reserve(b, [['x', '1-1']], { group: 'other' }), ['new']);
    assert.equal(await reserve(elsewhere, [['x', '1-1']]), ['new']);
    const odd = [
      ['é{ü}\n\u0000 /:', 'a:b'],
      ['b:x', 'a'],
      ['x', 'a:b'],
    ] as const;
    for (const [key, group] of odd) {
      assert.equal(await reserve(b, [[key, first]], { group }), ['new']);
      assert.equal(await reserve(b, [[key, first]], { group, from: b.peer }), ['new']);
    }
  });

  test('[R-O6] a group that is removed takes reservations with it, but not what was handled', async () => {
    const b = bench();
    const [first = '', second = ''] = await given(b, 2);
    assert.equal(
      await reserve(b, [
        ['a', first],
        ['b', second],
      ]),
      ['new', 'new'],
    );
    await b.transport.removeGroup(b.stream, 'g', calls);
    assert.is((await rejection(handled(b, [['a', first]]))).code, 'ESPER_OONA_NO_GROUP');
    assert.equal(
      await reserve(b, [
        ['a', '1-1'],
        ['b', '1-1'],
      ]),
      ['replay', 'new'],
    );
    await b.transport.ensureGroup(b.stream, 'g', '0', calls);
    assert.equal(ids(await b.read()), [first, second]);
    assert.equal(await reserve(b, [['a', first]]), ['redelivery']);
  });

  test('[R-O6] what is older than the window is forgotten', async () => {
    const b = bench();
    const [first = '', second = '', third = ''] = await given(b, 3);
    assert.equal(await reserve(b, [['e', first]], { windowMs: 60 }), ['new']);
    assert.equal(await handled(b, [['long', third]]), [third]);
    assert.equal(await handled(b, [['short', third]], { windowMs: 60 }), []);
    await delay(90);
    assert.equal(
      await reserve(b, [
        ['e', second],
        ['short', first],
        ['long', first],
      ]),
      ['new', 'new', 'replay'],
    );
  });

  test('[R-O6] a thousand at once', async () => {
    const b = bench();
    const all = await given(b, 1000);
    const pairs = all.map((id, i) => [`event ${i}`, id] as const);
    assert.ok((await reserve(b, pairs)).every((word) => word === 'new'));
    assert.equal(await handled(b, pairs), all);
    assert.ok((await reserve(b, pairs)).every((word) => word === 'redelivery'));
    assert.equal(await pendingOf(b), []);
  });
}
