import type { Test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Bench, calls, ids, rejection } from './transport-bench.ts';

/** Who reads in a group, and who may be forgotten. */
export function consumerTests(test: Test, bench: () => Bench): void {
  test('[R-O2] lists the consumers of a group with what they hold and since when they are idle', async () => {
    const { transport, stream, append, read } = bench();
    await transport.ensureGroup(stream, 'g', '0', calls);
    assert.equal(await transport.consumers(stream, 'g', calls), []);
    for (let i = 0; i < 3; i++) await append('x');
    await read({ consumer: 'é', count: 2 });
    await new Promise((resolve) => setTimeout(resolve, 60));
    await read({ consumer: 'young', count: 1 });
    const found = [...(await transport.consumers(stream, 'g', calls))];
    found.sort((a, b) => b.pending - a.pending);
    assert.equal(
      found.map(({ consumer, pending }) => [consumer, pending]),
      [
        ['é', 2],
        ['young', 1],
      ],
    );
    assert.ok((found[0]?.idleMs ?? 0) >= 55);
    assert.ok((found[0]?.idleMs ?? 0) > (found[1]?.idleMs ?? 0));
  });

  test('[R-O2] who reads is not idle, though nothing comes', async () => {
    const { transport, stream, append, read } = bench();
    await transport.ensureGroup(stream, 'g', '0', calls);
    await append('x');
    await append('y');
    await read({ consumer: 'reads on', count: 1 });
    await read({ consumer: 'is gone', count: 1 });
    for (let i = 0; i < 3; i++) await read({ consumer: 'reads on', blockMs: 30 });
    const idle = new Map(
      (await transport.consumers(stream, 'g', calls)).map(({ consumer, idleMs }) => [consumer, idleMs]),
    );
    assert.ok((idle.get('is gone') ?? 0) >= 85);
    assert.ok((idle.get('reads on') ?? 0) < (idle.get('is gone') ?? 0));
  });

  test('[R-O2] removes a consumer that holds nothing; what one holds is never forgotten', async () => {
    const { transport, stream, append, read } = bench();
    assert.is(await transport.removeConsumer(stream, 'g', 'c', calls), false);
    await transport.ensureGroup(stream, 'g', '0', calls);
    assert.is(await transport.removeConsumer(stream, 'g', 'c', calls), false);
    const id = await append('x');
    await read();
    assert.is(await transport.removeConsumer(stream, 'none', 'c', calls), false);
    assert.is(await transport.removeConsumer(stream, 'g', 'other', calls), false);
    assert.is(await transport.removeConsumer(stream, 'g', 'c', calls), false);
    assert.equal(ids(await read({ which: 'pending' })), [id]);
    await transport.acknowledge(stream, 'g', [id], calls);
    assert.is(await transport.removeConsumer(stream, 'g', 'c', calls), true);
    assert.equal(await transport.consumers(stream, 'g', calls), []);
    assert.is(await transport.removeConsumer(stream, 'g', 'c', calls), false);
  });

  test('[R-O2] a consumer that lost everything to another one can go', async () => {
    const { transport, stream, append, read } = bench();
    await transport.ensureGroup(stream, 'g', '0', calls);
    await append('x');
    await read();
    const request = { stream, group: 'g', consumer: 'heir', minIdleMs: 0, cursor: '0-0', count: 10 };
    assert.is((await transport.claim(request, calls)).entries.length, 1);
    assert.is(await transport.removeConsumer(stream, 'g', 'c', calls), true);
    const left = await transport.consumers(stream, 'g', calls);
    assert.equal(
      left.map(({ consumer, pending }) => [consumer, pending]),
      [['heir', 1]],
    );
  });

  test('[R-O2] calls for work are refused after close and when their caller aborted them', async () => {
    const { transport, stream } = bench();
    const owned = { stream, group: 'g', consumer: 'c', entryIds: ['1-1'] };
    const every = (options: { deadlineMs: number; signal?: AbortSignal }): Promise<unknown>[] => [
      transport.acknowledgeOwned(owned, options),
      transport.redeliver(owned, options),
      transport.extendLease(owned, options),
      transport.depth(stream, 10, options),
      transport.trim({ stream, ttlMs: 10, maxLength: 0 }, options),
      transport.consumers(stream, 'g', options),
      transport.removeConsumer(stream, 'g', 'c', options),
      transport.range({ stream, after: '', count: 1, newestFirst: false }, options),
      transport.remove(stream, ['1-1'], options),
    ];
    const aborted = every({ ...calls, signal: AbortSignal.abort() });
    for (const { code } of await Promise.all(aborted.map(rejection))) assert.is(code, 'ESPER_OONA_ABORTED');
    await transport.close();
    for (const { code } of await Promise.all(every(calls).map(rejection)))
      assert.is(code, 'ESPER_OONA_CLOSED');
  });
}
