import type { Test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Bench, calls, ids, rejection, texts } from './transport-bench.ts';

/** Groups: where they start, who gets what, what is pending. */
export function groupTests(test: Test, bench: () => Bench): void {
  test('[R-O1] a group starts where it was told to, and creating it again moves nothing', async () => {
    const { transport, stream, append, read } = bench();
    const first = await append('first');
    await append('second');
    await transport.ensureGroup(stream, 'all', '0', calls);
    await transport.ensureGroup(stream, 'after', first, calls);
    assert.equal(texts(await read({ group: 'all' })), ['first', 'second']);
    assert.equal(texts(await read({ group: 'after' })), ['second']);
    await transport.ensureGroup(stream, 'all', '0', calls);
    assert.equal(await read({ group: 'all' }), []);
  });

  test('[R-O1] a group that starts at a time gets what came since', async () => {
    const { transport, stream, append, read } = bench();
    await append('old');
    await new Promise((resolve) => setTimeout(resolve, 20));
    const since = await transport.timeMs(calls);
    await new Promise((resolve) => setTimeout(resolve, 20));
    await append('new');
    await transport.ensureGroup(stream, 'g', String(since), calls);
    assert.equal(texts(await read()), ['new']);
  });

  test('[R-O1] every group gets every entry; one group shares them', async () => {
    const { transport, stream, append, read } = bench();
    await transport.ensureGroup(stream, 'host:a', '0', calls);
    await transport.ensureGroup(stream, 'host:b', '0', calls);
    await append('one');
    await append('two');
    assert.equal(texts(await read({ group: 'host:a', consumer: 'x', count: 1 })), ['one']);
    assert.equal(texts(await read({ group: 'host:a', consumer: 'y', count: 1 })), ['two']);
    assert.equal(texts(await read({ group: 'host:b' })), ['one', 'two']);
  });

  test('[R-O1] own pending entries come again after the cursor, with their delivery count', async () => {
    const { transport, stream, append, read } = bench();
    await transport.ensureGroup(stream, 'g', '0', calls);
    const [a, b, c] = [await append('a'), await append('b'), await append('c')];
    await read({ consumer: 'me', count: 2 });
    await read({ consumer: 'other' });
    const page = await read({ which: 'pending', consumer: 'me', count: 1 });
    assert.equal([ids(page), page[0]?.deliveryCount], [[a], 2]);
    const next = await read({ which: 'pending', consumer: 'me', afterId: a });
    assert.equal([ids(next), next[0]?.deliveryCount], [[b], 2]);
    assert.equal(await read({ which: 'pending', consumer: 'me', afterId: b }), []);
    const all = await read({ which: 'pending', consumer: 'me' });
    assert.equal(
      all.map((entry) => entry.deliveryCount),
      [3, 3],
    );
    assert.equal(ids(await read({ which: 'pending', consumer: 'other' })), [c]);
  });

  test('[R-O1] an acknowledged entry leaves the pending list, once', async () => {
    const { transport, stream, append, read } = bench();
    await transport.ensureGroup(stream, 'g', '0', calls);
    const [a, b] = [await append('a'), await append('b')];
    await read();
    assert.is(await transport.acknowledge(stream, 'g', [a], calls), 1);
    assert.is(await transport.acknowledge(stream, 'g', [a, b], calls), 1);
    assert.is(await transport.acknowledge(stream, 'g', [], calls), 0);
    assert.equal(await read({ which: 'pending' }), []);
  });

  test('[R-O1] reading without a group is an error of its own, mended by ensureGroup', async () => {
    const { transport, stream, append, read } = bench();
    assert.is((await rejection(read())).code, 'ESPER_OONA_NO_GROUP');
    await append('x');
    assert.is((await rejection(read({ which: 'pending' }))).code, 'ESPER_OONA_NO_GROUP');
    await transport.ensureGroup(stream, 'g', '0', calls);
    assert.equal(texts(await read()), ['x']);
  });

  test('[R-O1] removing the group ends a read that is blocked on it', async () => {
    const { transport, stream, read } = bench();
    await transport.ensureGroup(stream, 'g', '0', calls);
    const waiting = rejection(read({ blockMs: 8000 }));
    await new Promise((resolve) => setTimeout(resolve, 30));
    await transport.removeGroup(stream, 'g', calls);
    assert.is((await waiting).code, 'ESPER_OONA_NO_GROUP');
  });

  test('[R-O1] lists groups with what is pending; a stream that is not there has none', async () => {
    const { transport, stream, append, read } = bench();
    assert.equal(await transport.groups(stream, calls), []);
    await transport.removeGroup(stream, 'g', calls);
    await transport.ensureGroup(stream, 'g', '0', calls);
    await transport.ensureGroup(stream, 'h', '0', calls);
    const id = await append('x');
    await read();
    assert.equal(
      [...(await transport.groups(stream, calls))]
        .sort((a, b) => a.group.localeCompare(b.group))
        .map((group) => ({
          ...group,
          lastDeliveredId: group.lastDeliveredId.replace(/-0$/, ''),
        })),
      [
        { group: 'g', pending: 1, lastDeliveredId: id.replace(/-0$/, '') },
        { group: 'h', pending: 0, lastDeliveredId: '0' },
      ],
    );
    await transport.removeGroup(stream, 'h', calls);
    assert.equal(
      (await transport.groups(stream, calls)).map(({ group }) => group),
      ['g'],
    );
  });

  test('[R-O1] tells engine time in Unix milliseconds and answers a ping', async () => {
    const { transport } = bench();
    await transport.ping(calls);
    assert.ok(transport.connected);
    assert.ok(Math.abs((await transport.timeMs(calls)) - Date.now()) < 60_000);
  });
}
