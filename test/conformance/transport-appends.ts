import type { Test } from 'uvu';
import * as assert from 'uvu/assert';
import type { ReadRequest } from '../../src/oona/transport/transport.ts';
import { until } from '../helpers/until.ts';
import { type Bench, calls, ids, rejection, text, texts } from './transport-bench.ts';

/** Storing: bytes, deduplication, trimming. */
export function appendTests(test: Test, bench: () => Bench): void {
  test('[R-O1] hands out what was appended, in order and byte for byte', async () => {
    const { transport, stream, append, read } = bench();
    await transport.ensureGroup(stream, 'g', '0', calls);
    const payload = Uint8Array.from({ length: 256 }, (_, i) => i);
    const first = await append('', { payload, signature: 'abc+/=' });
    const second = await append('second');
    const entries = await read();
    assert.equal(ids(entries), [first, second]);
    assert.equal([...(entries[0]?.payload ?? [])], [...payload]);
    assert.equal(
      entries.map((entry) => [entry.stream, entry.signature, entry.deliveryCount]),
      [
        [stream, 'abc+/=', 1],
        [stream, 's', 1],
      ],
    );
    assert.equal(await read(), []);
  });

  test('[R-O1] keeps the bytes that were appended when the caller reuses its buffer', async () => {
    const { transport, stream, append, read } = bench();
    await transport.ensureGroup(stream, 'g', '0', calls);
    const payload = text('before');
    await append('', { payload });
    payload.fill(0);
    assert.equal(texts(await read()), ['before']);
  });

  test('[R-O1] [BAD-signature-non-ascii] returns a signature that is not ASCII as it came', async () => {
    const { transport, stream, append, read } = bench();
    await transport.ensureGroup(stream, 'g', '0', calls);
    await append('x', { signature: 'é\u0000ÿ' });
    assert.equal((await read())[0]?.signature, 'é\u0000ÿ');
  });

  test('[R-O1] stores the same id once within the window and names the first entry', async () => {
    const { transport, peer, stream, read } = bench();
    await transport.ensureGroup(stream, 'g', '0', calls);
    const request = {
      stream,
      payload: text('x'),
      signature: '',
      dedupId: 'one',
      dedupWindowMs: 60_000,
      ttlMs: 0,
    };
    const first = await transport.append(request, calls);
    const again = await peer.append({ ...request, payload: text('y') }, calls);
    assert.equal([first.outcome, again.outcome, again.entryId], ['appended', 'duplicate', first.entryId]);
    assert.equal(texts(await read()), ['x']);
  });

  test('[R-O1] streams and ids that are not ASCII are the same ones to writers and readers', async () => {
    const { transport, stream, append, read } = bench();
    const name = `${stream}.é😀`;
    await transport.ensureGroup(name, 'g', '0', calls);
    const id = await append('x', { stream: name, dedupId: 'ü\ud800' });
    assert.is(await append('x', { stream: name, dedupId: 'ü\ud800' }), id);
    assert.equal(ids(await read({ stream: name })), [id]);
  });

  test('[R-O1] the dedup window ends, belongs to one stream, and 0 turns it off', async () => {
    const { transport, stream } = bench();
    const request = {
      stream,
      payload: text('x'),
      signature: '',
      dedupId: 'one',
      dedupWindowMs: 40,
      ttlMs: 0,
    };
    assert.is((await transport.append(request, calls)).outcome, 'appended');
    assert.is((await transport.append({ ...request, stream: `${stream}.other` }, calls)).outcome, 'appended');
    assert.is((await transport.append({ ...request, dedupWindowMs: 0 }, calls)).outcome, 'appended');
    await new Promise((resolve) => setTimeout(resolve, 80));
    assert.is((await transport.append(request, calls)).outcome, 'appended');
  });

  test('[R-O1] concurrent appends of one id store one entry', async () => {
    const { transport, peer, stream, read } = bench();
    await transport.ensureGroup(stream, 'g', '0', calls);
    const request = {
      stream,
      payload: text('x'),
      signature: '',
      dedupId: 'one',
      dedupWindowMs: 60_000,
      ttlMs: 0,
    };
    const results = await Promise.all(
      Array.from({ length: 20 }, (_, i) => (i % 2 === 0 ? transport : peer).append(request, calls)),
    );
    assert.is(results.filter(({ outcome }) => outcome === 'appended').length, 1);
    assert.is(new Set(results.map(({ entryId }) => entryId)).size, 1);
    assert.is((await read()).length, 1);
  });

  test('[R-O1] an entry trimmed while it was pending is told as lost and can be acknowledged', async () => {
    const { transport, stream, append, ...b } = bench();
    // What a host has not acknowledged pins nothing.
    const group = 'host:g';
    const read = (more: Partial<ReadRequest>) => b.read({ ...more, group });
    await transport.ensureGroup(stream, group, '0', calls);
    // More than one node of a Redis stream: approximate trimming drops whole nodes only.
    for (let i = 0; i < 120; i++) await append(`old ${i}`);
    const [first] = await read({ count: 1 });
    await new Promise((resolve) => setTimeout(resolve, 60));
    await append('new', { ttlMs: 20 });
    // An engine may trim after the append.
    const lost = await until('the trim', async () =>
      (await read({ which: 'pending' })).find((one) => one.lost),
    );
    assert.equal([lost.entryId, lost.lost, lost.payload.length], [first?.entryId, true, 0]);
    assert.is(await transport.acknowledge(stream, group, [first?.entryId ?? ''], calls), 1);
    assert.ok(texts(await read({ count: 200 })).includes('new'));
  });

  test('[R-O1] ttl 0 trims nothing', async () => {
    const { transport, stream, append, read } = bench();
    await transport.ensureGroup(stream, 'g', '0', calls);
    for (let i = 0; i < 120; i++) await append(`old ${i}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
    await append('new', { ttlMs: 0 });
    assert.is((await read({ count: 200 })).length, 121);
  });

  test('[R-O1] an aborted call rejects and does nothing', async () => {
    const { transport, stream, read } = bench();
    await transport.ensureGroup(stream, 'g', '0', calls);
    const request = {
      stream,
      payload: text('x'),
      signature: '',
      dedupId: 'one',
      dedupWindowMs: 60_000,
      ttlMs: 0,
    };
    const aborted = { ...calls, signal: AbortSignal.abort(new Error('not now')) };
    assert.is((await rejection(transport.append(request, aborted))).code, 'ESPER_OONA_ABORTED');
    assert.is((await rejection(transport.timeMs(aborted))).code, 'ESPER_OONA_ABORTED');
    assert.equal(await read(), []);
  });
}
