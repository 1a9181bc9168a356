import type { Test } from 'uvu';
import * as assert from 'uvu/assert';
import type { DeadLetters } from '../../src/oona/dead-letters/types.ts';
import type { TransportError } from '../../src/oona/errors.ts';
import type { BusTransport } from '../../src/oona/transport/transport.ts';
import { collect, type LetterBench, STATE, sealedState, withCalls } from '../helpers/dead-letters.ts';
import { appendRaw, otherKeyRing, signed } from '../helpers/oona-fixtures.ts';
import { rejection } from './transport-bench.ts';

const idsOf = async (
  deadLetters: DeadLetters,
  query: Parameters<DeadLetters['list']>[0],
): Promise<string[]> => (await collect(deadLetters.list(query))).map(({ letterId }) => letterId);

/** Listing, inspecting, counting, removing. */
export function lookingTests(test: Test, bench: () => LetterBench): void {
  test('[R-O6] a letter has its origin, its cause and the untouched original', async () => {
    const { streams, bury, deadLetters } = bench();
    const entry = sealedState(streams.normal);
    const letterId = await bury(entry, { messageType: STATE, eventId: 'e1', firstAtMs: 17 });
    const [letter, ...none] = await collect(deadLetters.list());
    assert.is(none.length, 0);
    assert.equal(
      [letter?.letterId, letter?.originStream, letter?.group],
      [letterId, streams.normal, 'workers'],
    );
    assert.equal([letter?.reason, letter?.error], ['ESPER_OONA_DELIVERIES_EXHAUSTED', 'the handler threw']);
    assert.equal([letter?.deliveryCount, letter?.firstAtMs, letter?.eventId], [3, 17, 'e1']);
    assert.equal(Buffer.from(letter?.payload ?? []), Buffer.from(entry.payload));
    assert.equal([letter?.signature, letter?.damaged], [entry.signature, []]);
  });

  test('[R-O6] lists newest first or oldest first, goes on after a letter, and stops at the limit', async () => {
    const { streams, bury, deadLetters } = bench();
    const ids: string[] = [];
    for (let i = 0; i < 20; i++) ids.push(await bury(sealedState(streams.normal)));
    const newest = [...ids].reverse();
    assert.equal(await idsOf(deadLetters, {}), newest);
    assert.equal(await idsOf(deadLetters, { newestFirst: false }), ids);
    assert.equal(await idsOf(deadLetters, { limit: 3 }), newest.slice(0, 3));
    assert.equal(await idsOf(deadLetters, { limit: 3, after: newest[2] as string }), newest.slice(3, 6));
    const forwards = { newestFirst: false, limit: 2, after: ids[4] as string };
    assert.equal(await idsOf(deadLetters, forwards), ids.slice(5, 7));
    assert.equal(await idsOf(deadLetters, { after: ids[0] as string }), []);
  });

  test('[R-O6] lists by code, stream, type and age', async () => {
    const { streams, bury, deadLetters } = bench();
    const old = await bury(sealedState(streams.normal), { reason: 'ESPER_OONA_TOO_OLD', messageType: 4 });
    const policy = { stream: streams.policy, reason: 'ESPER_OONA_TOO_OLD', messageType: 5 };
    const other = await bury(sealedState(streams.policy), policy);
    const plain = await bury(sealedState(streams.normal), { messageType: 4 });
    assert.equal(await idsOf(deadLetters, { code: 'ESPER_OONA_TOO_OLD' }), [other, old]);
    assert.equal(await idsOf(deadLetters, { stream: streams.normal }), [plain, old]);
    assert.equal(await idsOf(deadLetters, { messageType: 5 }), [other]);
    assert.equal(await idsOf(deadLetters, { code: 'ESPER_OONA_TOO_OLD', stream: streams.normal }), [old]);
    assert.equal(await idsOf(deadLetters, { olderThanMs: 0 }), [plain, other, old]);
    assert.equal(await idsOf(deadLetters, { olderThanMs: 60_000 }), []);
  });

  test('[R-O6] oldest first ends with what was there at the start', async () => {
    const { streams, bury, deadLetters } = bench();
    const ids: string[] = [];
    // More than one page.
    for (let i = 0; i < 20; i++) ids.push(await bury(sealedState(streams.normal)));
    const seen: string[] = [];
    for await (const { letterId } of deadLetters.list({ newestFirst: false, limit: 1000 })) {
      seen.push(letterId);
      await bury(sealedState(streams.normal));
    }
    assert.equal(seen, ids);
  });

  test('[R-O6] pages of heavy letters are short, those of light ones grow', async () => {
    const { streams, transport, bury, more } = bench();
    const ids: string[] = [];
    const heavy = { signature: '', payload: new Uint8Array(300 * 1024) };
    for (let i = 0; i < 60; i++) ids.push(await bury(i < 20 ? heavy : sealedState(streams.normal)));
    const counts: number[] = [];
    const range: BusTransport['range'] = (request, options) => {
      counts.push(request.count);
      return transport.range(request, options);
    };
    const counted = more({ transport: withCalls(transport, { range }) });
    assert.equal(await idsOf(counted, { newestFirst: false }), ids);
    // The first looks for the newest; the second knows nothing of weights yet.
    assert.equal(counts, [1, 8, 3, 3, 3, 3, 3, 6, 12, 24]);
  });

  test('[R-O6] an entry that is no letter is listed as damaged, those around it as ever', async () => {
    const { streams, transport, bury, deadLetters, metrics } = bench();
    const before = await bury(sealedState(streams.normal));
    const damaged = await appendRaw(transport, streams.deadLetter, sealedState(streams.normal));
    const after = await bury(sealedState(streams.normal));
    const letters = await collect(deadLetters.list({ newestFirst: false }));
    assert.equal(
      letters.map(({ letterId, damaged }) => [letterId, damaged.length > 0]),
      [
        [before, false],
        [damaged, true],
        [after, false],
      ],
    );
    assert.is(metrics.value('oona.dead_letters.damaged_total'), 1);
    const found = await deadLetters.inspect(damaged);
    assert.is(found.outcome, 'found');
    const report = await deadLetters.replay([damaged]);
    assert.equal(
      report.results.map((one) => 'code' in one && one.code),
      ['ESPER_OONA_LETTER_DAMAGED'],
    );
  });

  test('[R-O6] inspecting shows the message as JSON, bytes as base64', async () => {
    const { streams, bury, deadLetters } = bench();
    const entry = sealedState(streams.normal, { event_id: 'e1' });
    const found = await deadLetters.inspect(await bury(entry));
    if (found.outcome !== 'found') throw new Error(found.outcome);
    assert.is(found.verified.ok, true);
    assert.is(found.envelope?.typeName, 'BUS_MESSAGE_TYPE_SYSTEM_STATE');
    assert.is(found.envelope?.attributes.event_id, 'e1');
    const { currentEpoch, timestampNs } = found.message as { currentEpoch: number; timestampNs: string };
    assert.equal([currentEpoch, timestampNs], [3, '5']);
    assert.is(found.payloadBase64, Buffer.from(entry.payload).toString('base64'));
    assert.is(found.signatureText, entry.signature);
    assert.ok(JSON.stringify(found).length > 0);
  });

  test('[R-O6] what does not verify is not decoded, and the result says why', async () => {
    const { streams, bury, deadLetters } = bench();
    const foreign = await deadLetters.inspect(await bury(sealedState(streams.normal, {}, otherKeyRing)));
    if (foreign.outcome !== 'found') throw new Error(foreign.outcome);
    assert.is(foreign.verified.ok ? '' : foreign.verified.code, 'ESPER_LEYLINE_SIGNATURE_MISMATCH');
    assert.equal([foreign.envelope, foreign.message], [undefined, undefined]);
    // An envelope of type 4 around bytes that are no telemetry: verifies, and does not decode.
    const noise = await deadLetters.inspect(await bury(signed(new Uint8Array([8, 4, 18, 2, 10, 99]))));
    if (noise.outcome !== 'found') throw new Error(noise.outcome);
    assert.equal([noise.verified.ok, noise.messageProblem?.code], [true, 'ESPER_LEYLINE_TRUNCATED']);
    assert.equal(await deadLetters.inspect('17-3'), { outcome: 'not-found', letterId: '17-3' });
  });

  test('[R-O6] counts by code, stream and type', async () => {
    const { streams, bury, deadLetters, more } = bench();
    assert.is((await deadLetters.counts()).total, 0);
    const oldestId = await bury(sealedState(streams.normal), { messageType: 1 });
    await bury(sealedState(streams.normal), { reason: 'ESPER_OONA_TOO_OLD', messageType: 99 });
    const newestId = await bury(sealedState(streams.policy), { stream: streams.policy });
    assert.equal(await deadLetters.counts(), {
      ...{ total: 3, damaged: 0, complete: true, oldestId, newestId },
      byCode: { ESPER_OONA_DELIVERIES_EXHAUSTED: 2, ESPER_OONA_TOO_OLD: 1 },
      byStream: { [streams.normal]: 2, [streams.policy]: 1 },
      byMessageType: { unreadable: 1, 'unknown (99)': 1, BUS_MESSAGE_TYPE_SYSTEM_STATE: 1 },
    });
    const { total, complete } = await more({ countLimit: 2 }).counts();
    assert.equal([total, complete], [2, false]);
    assert.is((await more({ countLimit: 3 }).counts()).complete, true);
  });

  test('[R-O6] however many codes there are, the counts are bounded', async () => {
    const { streams, bury, deadLetters } = bench();
    for (let i = 0; i < 40; i++) await bury(sealedState(streams.normal), { reason: `CODE_${i}` });
    const { byCode } = await deadLetters.counts();
    assert.equal([Object.keys(byCode).length, byCode.other], [33, 8]);
  });

  test('[R-O6] purges by id, by condition, and all', async () => {
    const { streams, bury, deadLetters, metrics, all } = bench();
    const ids: string[] = [];
    for (let i = 0; i < 6; i++) {
      ids.push(await bury(sealedState(streams.normal), i % 2 === 0 ? { reason: 'ESPER_OONA_TOO_OLD' } : {}));
    }
    const [first, second] = ids as [string, string];
    assert.equal(await deadLetters.purge([first, first, '17-3']), { removed: 1, notFound: 1 });
    assert.equal(await deadLetters.purge({ olderThanMs: 60_000 }), { removed: 0, notFound: 0 });
    assert.equal(await deadLetters.purge({ code: 'ESPER_OONA_TOO_OLD' }), { removed: 2, notFound: 0 });
    assert.is((await all())[0]?.letterId, second);
    assert.equal(await deadLetters.purge({ all: true }), { removed: 3, notFound: 0 });
    assert.equal(await all(), []);
    assert.is(metrics.value('oona.dead_letters.purged_total'), 6);
  });

  test('[R-O6] conditions that are missing, unknown or senseless do nothing', async () => {
    const { streams, bury, deadLetters, all } = bench();
    await bury(sealedState(streams.normal));
    const absent: { code?: string } = {};
    const wrong: Parameters<DeadLetters['purge']>[0][] = [
      absent,
      { olderThanMs: -1 },
      { messageType: Number.NaN },
      ['not an id'],
      ['0-0'],
      Object.assign(absent, { kode: 'X' }),
    ];
    for (const selection of wrong) {
      assert.is((await rejection(deadLetters.purge(selection))).code, 'ESPER_OPTION_INVALID');
      assert.is((await rejection(deadLetters.replay(selection))).code, 'ESPER_OPTION_INVALID');
    }
    assert.is((await all()).length, 1);
  });

  test('[R-O6] an engine that is closed ends every action with its code', async () => {
    const { transport, deadLetters, metrics } = bench();
    await transport.close();
    assert.is((await rejection(collect(deadLetters.list()))).code, 'ESPER_OONA_CLOSED');
    assert.is((await rejection(deadLetters.inspect('17-3'))).code, 'ESPER_OONA_CLOSED');
    assert.is((await rejection(deadLetters.counts())).code, 'ESPER_OONA_CLOSED');
    const code: TransportError['code'] = 'ESPER_OONA_CLOSED';
    assert.is((await deadLetters.purge(['17-3'])).failure?.code, code);
    const byId = await deadLetters.replay(['17-3', '17-4']);
    assert.equal([byId.failed, byId.results.length, byId.failure?.code], [1, 1, code]);
    const byFilter = await deadLetters.replay({ all: true });
    assert.equal([byFilter.results.length, byFilter.more, byFilter.failure?.code], [0, true, code]);
    assert.is(metrics.value('oona.dead_letters.replay_failed_total'), 2);
    assert.is(metrics.value('oona.dead_letters.purge_failed_total'), 1);
  });
}
