import type { Test } from 'uvu';
import * as assert from 'uvu/assert';
import { openEnvelope } from '../../src/leyline/envelope.ts';
import { createKeyRing } from '../../src/leyline/key-ring.ts';
import type { ReplayResult } from '../../src/oona/dead-letters/types.ts';
import { type LetterBench, sealedState, withCalls } from '../helpers/dead-letters.ts';
import { emergency, keyRing, otherKeyRing, sealed, signed } from '../helpers/oona-fixtures.ts';

const codes = (results: readonly ReplayResult[]): string[] =>
  results.map((result) => ('code' in result ? result.code : result.outcome));

/** Bringing originals back. */
export function replayTests(test: Test, bench: () => LetterBench): void {
  test('[R-O6] a replayed message is fresh, signed anew, and its letter is gone', async () => {
    const { streams, bury, read, deadLetters, all, metrics } = bench();
    const issued = { issued_at_ms: '1000' };
    const entry = sealedState(streams.normal, {
      event_id: 'e1',
      source: 'tamiyo',
      traceparent: 't',
      ...issued,
    });
    const letterId = await bury(entry);
    const startedAtMs = Date.now();
    const report = await deadLetters.replay([letterId]);
    const { replayed, results, more } = report;
    assert.equal([replayed, more], [1, false]);
    const [original, again, ...none] = await read(streams.normal);
    assert.is(none.length, 0);
    if (original === undefined || again === undefined) throw new Error('not on the stream');
    const result = { outcome: 'replayed', letterId, stream: streams.normal, entryId: again.entryId };
    assert.equal(results, [{ ...result, eventId: 'e1', asIs: false, removed: true }]);
    const before = openEnvelope(original, keyRing);
    const after = openEnvelope(again, keyRing);
    assert.equal(
      [after.messageType, Buffer.from(after.payload)],
      [before.messageType, Buffer.from(before.payload)],
    );
    const { issued_at_ms, ...rest } = after.attributes;
    const { issued_at_ms: former, ...kept } = before.attributes;
    assert.equal(rest, { ...kept, replay_of: letterId, replay_group: 'workers' });
    assert.is(former, '1000');
    assert.ok(Number(issued_at_ms) >= startedAtMs);
    assert.equal(await all(), []);
    assert.is(metrics.value('oona.dead_letters.replayed_total'), 1);
  });

  test('[R-O6] what a previous key signed is signed with the current one', async () => {
    const { streams, bury, read, more } = bench();
    const current = { secret: 'the secret after the rotation' };
    const rotated = createKeyRing({ current, previous: [{ secret: 'a secret that tests share' }] });
    const letterId = await bury(sealedState(streams.normal));
    const report = await more({ keyRing: rotated }).replay([letterId]);
    assert.is(report.replayed, 1);
    const again = (await read(streams.normal))[1];
    if (again === undefined) throw new Error('not on the stream');
    const opened = openEnvelope(again, createKeyRing({ current }));
    assert.is(opened.attributes.key_id, rotated.currentKeyId);
  });

  test('[R-O6] a replay whose letter could not be removed is not stored twice', async () => {
    const { streams, transport, bury, read, more, deadLetters, all, metrics } = bench();
    const letterId = await bury(sealedState(streams.normal));
    const broken = withCalls(transport, { remove: () => Promise.reject(new Error('killed here')) });
    const first = await more({ transport: broken }).replay([letterId]);
    assert.equal(
      first.results.map((one) => 'removed' in one && one.removed),
      [false],
    );
    assert.is((await all()).length, 1);
    const second = await deadLetters.replay([letterId]);
    assert.equal([second.replayed, second.alreadyReplayed], [0, 1]);
    const entryIds = [first, second].map(({ results }) =>
      results.map((one) => 'entryId' in one && one.entryId),
    );
    assert.equal(entryIds[0], entryIds[1]);
    assert.equal([(await all()).length, (await read(streams.normal)).length], [0, 2]);
    assert.is(metrics.value('oona.dead_letters.remove_failed_total'), 1);
    assert.is(metrics.value('oona.dead_letters.already_replayed_total'), 1);
  });

  test('[R-O6] two operators who replay the same letters store each once', async () => {
    const { streams, bury, read, deadLetters, more } = bench();
    for (let i = 0; i < 10; i++) await bury(sealedState(streams.normal));
    const [a, b] = await Promise.all([deadLetters, more({})].map((one) => one.replay({ all: true })));
    assert.is((a?.replayed ?? 0) + (b?.replayed ?? 0), 10);
    assert.equal([a?.failed, b?.failed], [0, 0]);
    assert.is((await read(streams.normal)).length, 20);
  });

  test('[R-O6] an append that fails leaves the letter, and ends the replay', async () => {
    const { streams, transport, bury, more, all, read } = bench();
    for (let i = 0; i < 3; i++) await bury(sealedState(streams.normal));
    const broken = withCalls(transport, { append: () => Promise.reject(new Error('away')) });
    const report = await more({ transport: broken }).replay({ all: true });
    assert.equal([report.failed, report.results.length, report.more], [1, 1, true]);
    assert.equal([(await all()).length, (await read(streams.normal)).length], [3, 3]);
  });

  test('[R-O6] what does not verify is refused, with its code, and stays', async () => {
    const { streams, bury, deadLetters, all, read, metrics } = bench();
    const good = sealedState(streams.normal);
    await bury(sealedState(streams.normal, {}, otherKeyRing));
    await bury({ ...good, signature: '' });
    await bury({ ...good, signature: 'é'.repeat(44) });
    await bury(signed(good.payload.subarray(0, good.payload.length - 3)));
    const { results, refused } = await deadLetters.replay({ stream: streams.normal });
    assert.equal(codes(results), [
      'ESPER_LEYLINE_SIGNATURE_MISMATCH',
      'ESPER_LEYLINE_SIGNATURE_MISSING',
      'ESPER_LEYLINE_SIGNATURE_MALFORMED',
      'ESPER_LEYLINE_TRUNCATED',
    ]);
    assert.equal([refused, (await all()).length, (await read(streams.normal)).length], [4, 4, 4]);
    assert.is(metrics.value('oona.dead_letters.replay_refused_total'), 4);
  });

  test('[R-O6] as-is appends the untouched entry', async () => {
    const { streams, bury, deadLetters, all, read, metrics } = bench();
    const foreign = sealedState(streams.normal, {}, otherKeyRing);
    const odd = { payload: foreign.payload, signature: 'é'.repeat(44) };
    const ids = [await bury(foreign), await bury(odd)];
    const { replayed, results } = await deadLetters.replay(ids, { allowUnverified: 'as-is' });
    assert.is(replayed, 2);
    assert.ok(results.every((one) => 'asIs' in one && one.asIs));
    const [, , again, oddAgain] = await read(streams.normal);
    assert.equal(Buffer.from(again?.payload ?? []), Buffer.from(foreign.payload));
    assert.equal([again?.signature, oddAgain?.signature], [foreign.signature, odd.signature]);
    assert.is((await all()).length, 0);
    assert.is(metrics.value('oona.dead_letters.replayed_as_is_total'), 2);
  });

  test('[R-O6] an event that was handled is replayed only under a new id, the same for each attempt', async () => {
    const { streams, transport, bury, deadLetters, more, read } = bench();
    const letterId = await bury(sealedState(streams.normal, { event_id: 'e1' }), {
      reason: 'ESPER_OONA_REPLAYED',
    });
    const refused = await deadLetters.replay([letterId]);
    assert.equal(codes(refused.results), ['ESPER_OONA_REPLAYED']);
    const broken = withCalls(transport, { remove: () => Promise.reject(new Error('killed here')) });
    const options = { newEventId: true };
    const first = await more({ transport: broken }).replay([letterId], options);
    const second = await deadLetters.replay([letterId], options);
    const eventId = `e1:replay:${letterId}`;
    for (const { results } of [first, second]) {
      assert.equal(
        results.map((one) => 'eventId' in one && one.eventId),
        [eventId],
      );
    }
    const again = (await read(streams.normal))[1];
    if (again === undefined) throw new Error('not on the stream');
    assert.is(openEnvelope(again, keyRing).attributes.event_id, eventId);
    // Given up and replayed once more: the id does not grow.
    const next = await bury(again);
    const third = await deadLetters.replay([next], options);
    assert.equal(
      third.results.map((one) => 'eventId' in one && one.eventId),
      [`e1:replay:${next}`],
    );
  });

  test('[R-O6] a moved message is not signed for where it was moved to', async () => {
    const { streams, bury, deadLetters, all } = bench();
    const letterId = await bury(sealedState(streams.policy), { stream: streams.normal });
    for (const options of [{}, { allowUnverified: 'as-is' }, { newEventId: true }] as const) {
      assert.equal(codes((await deadLetters.replay([letterId], options)).results), [
        'ESPER_OONA_WRONG_STREAM',
      ]);
    }
    assert.is((await all()).length, 1);
  });

  test('[R-O6] a letter leads to a stream of this bus, or nowhere', async () => {
    const { streams, bury, deadLetters, transport } = bench();
    const elsewhere = `${streams.normal}.not-ours`;
    const letterId = await bury(sealedState(elsewhere), { stream: elsewhere });
    const own = await bury(sealedState(streams.deadLetter), { stream: streams.deadLetter });
    const { results } = await deadLetters.replay([letterId, own], { allowUnverified: 'as-is' });
    assert.equal(codes(results), ['ESPER_OONA_UNKNOWN_STREAM', 'ESPER_OONA_UNKNOWN_STREAM']);
    assert.is((await transport.depth(elsewhere, 10, { deadlineMs: 10_000 })).length, 1);
  });

  test('[R-O6] a filter passes over emergencies; an id does not', async () => {
    const { streams, bury, deadLetters, read } = bench();
    const { emergency: stream } = streams;
    const letterId = await bury(sealed(emergency(), { stream }), { stream });
    const foreign = await bury(sealed(emergency(), { stream }, otherKeyRing), { stream });
    const byFilter = await deadLetters.replay({ all: true }, { allowUnverified: 'as-is' });
    assert.equal(codes(byFilter.results), ['ESPER_OONA_NEEDS_ID', 'ESPER_OONA_NEEDS_ID']);
    const byId = await deadLetters.replay([letterId, foreign], { allowUnverified: 'as-is' });
    assert.is(byId.replayed, 2);
    assert.is((await read(stream)).length, 4);
  });

  test('[R-O6] a filter replays up to the limit, and says that there is more', async () => {
    const { streams, bury, deadLetters, all } = bench();
    for (let i = 0; i < 5; i++)
      await bury(sealedState(streams.normal), { reason: i === 2 ? 'ESPER_X' : 'ESPER_Y' });
    const first = await deadLetters.replay({ code: 'ESPER_Y' }, { limit: 3 });
    assert.equal([first.replayed, first.more], [3, true]);
    const second = await deadLetters.replay({ code: 'ESPER_Y' }, { limit: 3 });
    assert.equal([second.replayed, second.more], [1, false]);
    assert.equal(
      (await all()).map(({ reason }) => reason),
      ['ESPER_X'],
    );
  });

  test('[R-O6] ids that are no letters are told, the others replayed', async () => {
    const { streams, bury, deadLetters } = bench();
    const letterId = await bury(sealedState(streams.normal));
    const report = await deadLetters.replay(['17-3', letterId, letterId]);
    assert.equal(codes(report.results), ['not-found', 'replayed', 'not-found']);
    assert.equal([report.replayed, report.notFound], [1, 2]);
  });

  test('[R-O6] a peer without our attributes gets no event id that it had not', async () => {
    const { streams, bury, deadLetters, read } = bench();
    const bare = sealed(emergency(), {}, keyRing);
    const letterId = await bury(bare);
    assert.is((await deadLetters.replay([letterId])).replayed, 1);
    const again = (await read(streams.normal))[1];
    if (again === undefined) throw new Error('not on the stream');
    assert.is(openEnvelope(again, keyRing).attributes.event_id, undefined);
  });

  test('[R-O6] an unsigned bus replays without signature', async () => {
    const { streams, bury, more, read } = bench();
    const letterId = await bury({ ...sealedState(streams.normal), signature: '' });
    assert.is((await more({ keyRing: undefined }).replay([letterId])).replayed, 1);
    const again = (await read(streams.normal))[1];
    if (again === undefined) throw new Error('not on the stream');
    assert.is(again.signature, '');
    assert.is(openEnvelope(again, undefined).attributes.key_id, undefined, 'no key signed this one');
  });
}
