import type { Test } from 'uvu';
import * as assert from 'uvu/assert';
import type { RawEntry } from '../../src/oona/transport/transport.ts';
import type { DeadLetterRequest } from '../../src/oona/transport/work.ts';
import { type Bench, calls, text } from './transport-bench.ts';

const NEWEST = { after: '', newestFirst: true };

/** Entries that leave the stream for another place. */
export function deadLetterTests(test: Test, bench: () => Bench): void {
  const letters = async ({ transport, stream }: Bench): Promise<readonly RawEntry[]> =>
    transport.range({ stream: `${stream}.dead`, after: '', count: 100, newestFirst: false }, calls);

  /** An entry that 'c' was given, and how it is dead-lettered. */
  async function given(b: Bench, value = 'poison'): Promise<DeadLetterRequest> {
    await b.transport.ensureGroup(b.stream, 'g', '0', calls);
    const entryId = await b.append(value, { signature: 'é\u0000ÿ' });
    await b.read();
    return {
      stream: b.stream,
      group: 'g',
      consumer: 'c',
      entryId,
      payload: text(value),
      signature: 'é\u0000ÿ',
      deadLetterStream: `${b.stream}.dead`,
      fields: { reason: 'ESPER_TEST', error: 'schön 😀', empty: '' },
      maxLength: 100,
    };
  }
  const claim = ({ transport, stream }: Bench) =>
    transport.claim({ stream, group: 'g', consumer: 'thief', minIdleMs: 0, cursor: '0-0', count: 10 }, calls);

  test('[R-O2] a dead letter holds the original bytes and the fields; the entry is acknowledged', async () => {
    const b = bench();
    const request = await given(b);
    assert.is(await b.transport.deadLetter(request, calls), 'moved');
    const [letter, ...more] = await letters(b);
    assert.is(more.length, 0);
    const fields = [...(letter?.fields ?? [])].map(([name, value]) => [
      name,
      Buffer.from(value).toString('latin1'),
    ]);
    assert.equal(fields, [
      ['payload', 'poison'],
      ['signature', 'é\u0000ÿ'],
      ['reason', 'ESPER_TEST'],
      ['error', Buffer.from('schön 😀', 'utf8').toString('latin1')],
      ['empty', ''],
    ]);
    assert.equal(await b.read({ which: 'pending' }), []);
  });

  test('[R-O2] asking again, the answer having been lost, moves nothing twice', async () => {
    const b = bench();
    const request = await given(b);
    const answers = await Promise.all(
      [b.transport, b.peer, b.transport].map((transport) => transport.deadLetter(request, calls)),
    );
    assert.equal(answers, ['moved', 'moved', 'moved']);
    assert.is((await letters(b)).length, 1);
  });

  test('[R-O2] a former owner dead-letters nothing', async () => {
    const b = bench();
    const request = await given(b);
    await claim(b);
    assert.is(await b.transport.deadLetter(request, calls), 'not-owned');
    assert.is(await b.transport.deadLetter({ ...request, entryId: '1-1' }, calls), 'not-owned');
    assert.equal(await letters(b), []);
    assert.is(await b.transport.deadLetter({ ...request, consumer: 'thief' }, calls), 'moved');
    assert.is((await b.transport.groups(b.stream, calls))[0]?.pending, 0);
  });

  test('[R-O2] one entry has a letter for each group that gives up on it', async () => {
    const b = bench();
    await b.transport.ensureGroup(b.stream, 'h', '0', calls);
    const request = await given(b);
    await b.read({ group: 'h' });
    await b.transport.deadLetter(request, calls);
    await b.transport.deadLetter({ ...request, group: 'h' }, calls);
    assert.is((await letters(b)).length, 2);
  });

  test('[R-O2] or one for all groups, where it is asked for so; each acknowledges the entry', async () => {
    const b = bench();
    await b.transport.ensureGroup(b.stream, 'h', '0', calls);
    const request: DeadLetterRequest = { ...(await given(b)), oncePerEntry: true };
    await b.read({ group: 'h' });
    const [g, h] = [request, { ...request, group: 'h' }];
    const answers = await Promise.all(
      [g, h, g, h].map((one, i) => (i % 2 === 0 ? b.transport : b.peer).deadLetter(one, calls)),
    );
    assert.equal(answers, ['moved', 'moved', 'moved', 'moved']);
    assert.is((await letters(b)).length, 1);
    const pending = (await b.transport.groups(b.stream, calls)).map((group) => group.pending);
    assert.equal(pending, [0, 0]);
  });

  test('[R-O2] an entry that was trimmed meanwhile has its letter too, of the bytes that its consumer has', async () => {
    const b = bench();
    const request = await given(b);
    const other = { ...request, entryId: await b.append('other', { signature: 'x' }) };
    await b.read();
    assert.is(await b.transport.remove(b.stream, [request.entryId], calls), 1);
    assert.is(await b.transport.deadLetter(request, calls), 'moved');
    assert.is(
      await b.transport.deadLetter({ ...other, payload: text('other'), signature: 'x' }, calls),
      'moved',
    );
    const stored = (await letters(b)).map(({ fields }) =>
      ['payload', 'signature', 'reason'].map((name) =>
        Buffer.from(fields.get(name) ?? []).toString('latin1'),
      ),
    );
    assert.equal(stored, [
      ['poison', 'é\u0000ÿ', 'ESPER_TEST'],
      ['other', 'x', 'ESPER_TEST'],
    ]);
    assert.equal(await b.read({ which: 'pending' }), []);
  });

  test('[R-O2] the oldest dead letters go beyond the bound', async () => {
    const b = bench();
    for (let i = 0; i < 5; i++) {
      const request = await given(b, `letter ${i}`);
      assert.is(await b.transport.deadLetter({ ...request, maxLength: 3 }, calls), 'moved');
    }
    const payloads = (await letters(b)).map(({ fields }) => new TextDecoder().decode(fields.get('payload')));
    assert.equal(payloads, ['letter 2', 'letter 3', 'letter 4']);
  });

  const large = 'x'.repeat(40_000);
  const kept = async (b: Bench): Promise<readonly string[]> =>
    (await letters(b)).map(({ fields }) =>
      new TextDecoder().decode(fields.get('payload')).slice(large.length),
    );

  test('[R-O2] the oldest dead letters go beyond the bound in bytes, and whoever stores is told how many', async () => {
    const b = bench();
    const told: number[] = [];
    for (let i = 0; i < 6; i++) {
      const request = await given(b, `${large}${i}`);
      const bounds = { maxBytes: 150_000, onCut: (cut: number) => told.push(cut) };
      assert.is(await b.transport.deadLetter({ ...request, ...bounds }, calls), 'moved');
    }
    assert.equal(
      [await kept(b), told],
      [
        ['3', '4', '5'],
        [1, 1, 1],
      ],
    );
    // By the other way that letters come, and for a bound that was lowered meanwhile.
    const bounds = { maxBytes: 100_000, onCut: (cut: number) => told.push(cut) };
    await b.transport.storeLetter({ ...(await given(b, `${large}6`)), ...bounds }, calls);
    assert.equal(
      [await kept(b), told],
      [
        ['5', '6'],
        [1, 1, 1, 2],
      ],
    );
  });

  test('[R-O2] a letter that is larger than the bound in bytes is kept until the next one comes', async () => {
    const b = bench();
    const told: number[] = [];
    const bounds = { maxBytes: 1000, onCut: (cut: number) => told.push(cut) };
    for (const value of ['a', 'b']) {
      await b.transport.deadLetter({ ...(await given(b, large + value)), ...bounds }, calls);
      assert.equal(await kept(b), [value]);
    }
    assert.equal(told, [1]);
  });

  test('[R-O2] what the fields of a letter take counts in bytes, not in characters', async () => {
    const b = bench();
    for (const value of ['a', 'b', 'c']) {
      const fields = { reason: 'ESPER_TEST', error: '😀'.repeat(10_000) };
      await b.transport.deadLetter({ ...(await given(b, value)), fields, maxBytes: 100_000 }, calls);
    }
    assert.is((await letters(b)).length, 2);
  });

  test('[R-O2] letters that somebody removed make room', async () => {
    const b = bench();
    const told: number[] = [];
    const bounds = { maxBytes: 150_000, onCut: (cut: number) => told.push(cut) };
    const store = async (value: string): Promise<void> => {
      await b.transport.deadLetter({ ...(await given(b, large + value)), ...bounds }, calls);
    };
    for (const value of ['a', 'b', 'c']) await store(value);
    const [, middle] = await letters(b);
    await b.transport.remove(`${b.stream}.dead`, [middle?.entryId ?? ''], calls);
    await store('d');
    assert.equal([await kept(b), told], [['a', 'c', 'd'], []]);
    await store('e');
    assert.equal([await kept(b), told], [['c', 'd', 'e'], [1]]);
  });

  test('[R-O2] both bounds hold; what either cuts is told; 0 bytes is no bound', async () => {
    const b = bench();
    const told: number[] = [];
    const onCut = (cut: number): number => told.push(cut);
    for (let i = 0; i < 5; i++) {
      const bounds = { maxLength: 4, maxBytes: 0, onCut };
      await b.transport.deadLetter({ ...(await given(b, `${large}${i}`)), ...bounds }, calls);
    }
    assert.equal([(await kept(b)).length, told], [4, [1]]);
    const bounds = { maxLength: 3, maxBytes: 100_000, onCut };
    const request = { ...(await given(b, `${large}5`)), ...bounds };
    await b.transport.deadLetter(request, calls);
    assert.equal(
      [await kept(b), told],
      [
        ['4', '5'],
        [1, 3],
      ],
    );
    // Its answer was lost: nothing is stored, cut or told twice.
    await b.peer.deadLetter(request, calls);
    assert.equal(
      [await kept(b), told],
      [
        ['4', '5'],
        [1, 3],
      ],
    );
  });

  test('[R-O2] many small letters stay within the bound in bytes, the newest of them and nearly as many as fit', async () => {
    const b = bench();
    const maxBytes = 150_000;
    const told: number[] = [];
    const bounds = { maxLength: 10_000, maxBytes, onCut: (cut: number) => told.push(cut) };
    for (let i = 0; i < 400; i++) {
      const request = await given(b, `${i}:`.padEnd(1000, 'x'));
      await b.transport.deadLetter({ ...request, ...bounds }, calls);
    }
    const whole = { stream: `${b.stream}.dead`, after: '', count: 1000, newestFirst: false };
    const numbers = (await b.transport.range(whole, calls)).map(({ fields }) =>
      Number.parseInt(new TextDecoder().decode(fields.get('payload')), 10),
    );
    const cut = told.reduce((sum, count) => sum + count, 0);
    assert.is(numbers.length + cut, 400);
    assert.equal(
      numbers,
      Array.from({ length: numbers.length }, (_, i) => cut + i),
    );
    // A letter of these takes between 1,000 bytes and, with what an engine has around it, 1,450.
    assert.ok(numbers.length >= 100 && numbers.length <= 150, `${numbers.length} letters`);
  });

  test('[R-O2] ranges go by pages, either way, and give what is stored', async () => {
    const b = bench();
    const { transport, stream } = b;
    const forward = (after: string, count = 2) =>
      transport.range({ stream, after, count, newestFirst: false }, calls);
    const backward = (after: string, count = 2) =>
      transport.range({ stream, after, count, newestFirst: true }, calls);
    const idsOf = (entries: readonly RawEntry[]): string[] => entries.map(({ entryId }) => entryId);
    assert.equal([await forward(''), await backward('')], [[], []]);
    const [one, two, three] = [await b.append('1'), await b.append('2'), await b.append('3')];
    assert.equal([idsOf(await forward('')), idsOf(await forward(two))], [[one, two], [three]]);
    assert.equal([idsOf(await backward('')), idsOf(await backward(two))], [[three, two], [one]]);
    assert.equal([await forward(three), await backward(one)], [[], []]);
    const [entry] = await forward('', 1);
    assert.equal([...(entry?.fields.keys() ?? [])], ['payload', 'signature']);
  });

  test('[R-O2] removes entries by id and says how many there were', async () => {
    const b = bench();
    const { transport, stream } = b;
    const [one, two, three] = [await b.append('1'), await b.append('2'), await b.append('3')];
    assert.is(await transport.remove(stream, [], calls), 0);
    assert.is(await transport.remove(stream, [two, one, two, '1-1'], calls), 2);
    const left = await transport.range({ stream, ...NEWEST, count: 10 }, calls);
    assert.equal(
      left.map(({ entryId }) => entryId),
      [three],
    );
    assert.is(await transport.remove(`${stream}.none`, [one], calls), 0);
  });
}
