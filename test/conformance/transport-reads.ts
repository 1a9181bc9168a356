import type { Test } from 'uvu';
import * as assert from 'uvu/assert';
import type { ReadRequest } from '../../src/oona/transport/transport.ts';
import { type Bench, calls, ids, never, rejection } from './transport-bench.ts';

/** Reading: blocking, aborting, closing. */
export function readTests(test: Test, bench: () => Bench): void {
  test('[R-O1] a blocked read ends with the entry that arrives', async () => {
    const { transport, stream, append, read } = bench();
    await transport.ensureGroup(stream, 'g', '0', calls);
    const waiting = read({ blockMs: 8000 });
    await new Promise((resolve) => setTimeout(resolve, 30));
    const id = await append('late');
    assert.equal(ids(await waiting), [id]);
  });

  test('[R-O1] a blocked read ends empty no earlier than its block', async () => {
    const { transport, stream, read } = bench();
    await transport.ensureGroup(stream, 'g', '0', calls);
    const startedAt = performance.now();
    assert.equal(await read({ blockMs: 60 }), []);
    assert.ok(performance.now() - startedAt >= 55);
  });

  test('[R-O1] an aborted read rejects, and the reader reads on afterwards', async () => {
    const { transport, reader, stream, append, read } = bench();
    await transport.ensureGroup(stream, 'g', '0', calls);
    const abort = new AbortController();
    const request = { stream, group: 'g', consumer: 'c', afterId: '0', count: 10 };
    const waiting = rejection(reader.read({ ...request, which: 'new', blockMs: 8000 }, abort.signal));
    setTimeout(() => abort.abort(), 30);
    assert.is((await waiting).code, 'ESPER_OONA_ABORTED');
    assert.is(
      (await rejection(reader.read({ ...request, which: 'new', blockMs: 0 }, abort.signal))).code,
      'ESPER_OONA_ABORTED',
    );
    const id = await append('after');
    assert.equal(ids(await read({ blockMs: 8000 })), [id]);
  });

  test('[R-O1] after close every call is refused and blocked reads end', async () => {
    const { transport, reader, stream, read } = bench();
    await transport.ensureGroup(stream, 'g', '0', calls);
    const waiting = rejection(read({ blockMs: 8000 }));
    await new Promise((resolve) => setTimeout(resolve, 30));
    await transport.close();
    await transport.close();
    await reader.close();
    assert.is((await waiting).code, 'ESPER_OONA_CLOSED');
    assert.is((await rejection(read())).code, 'ESPER_OONA_CLOSED');
    assert.is((await rejection(transport.ping(calls))).code, 'ESPER_OONA_CLOSED');
    assert.is(
      (await rejection(transport.acknowledge(stream, 'g', ['1-0'], calls))).code,
      'ESPER_OONA_CLOSED',
    );
    assert.throws(
      () => transport.openReader(),
      (error: { code: string }) => error.code === 'ESPER_OONA_CLOSED',
    );
    assert.not.ok(transport.connected);
  });

  test('[R-O1] closing one reader ends its read and leaves the others', async () => {
    const { transport, reader, stream, append, read } = bench();
    await transport.ensureGroup(stream, 'g', '0', calls);
    const other = transport.openReader();
    const request: ReadRequest = {
      stream,
      group: 'g',
      consumer: 'o',
      which: 'new',
      afterId: '0',
      count: 1,
      blockMs: 8000,
    };
    const mine = rejection(read({ blockMs: 8000 }));
    const theirs = other.read(request, never);
    await new Promise((resolve) => setTimeout(resolve, 30));
    await reader.close();
    assert.is((await mine).code, 'ESPER_OONA_CLOSED');
    const id = await append('x');
    assert.equal(ids(await theirs), [id]);
  });
}
