import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { EmergencyLevel } from '../../../src/leyline/messages.ts';
import type { Raised } from '../../../src/signals/types.ts';
import { Bench, type Subject } from '../subject.ts';

const { EMERGENCY_LEVEL_NOTICE: NOTICE, EMERGENCY_LEVEL_HALT: HALT } = EmergencyLevel;

const code = (expected: string) => (error: { code?: string }) => error.code === expected;

/** The outbox, bridged records, and what a record does with hostile input. */
export function recordCases(subject: Subject): void {
  const bench = new Bench(subject);
  const test = suite(`${subject.title} records`);
  test.after.each(() => bench.cleanUp());

  test('[R-B7] records wait as unpublished until one marks them', () => {
    const name = bench.name();
    const [trainer, supervisor] = [bench.signal(name), bench.signal(name)];
    const ids = [trainer.trigger(HALT), trainer.trigger(NOTICE)];
    const waiting = supervisor.unpublished();
    assert.equal(
      waiting.map((r) => r.signalId),
      ids,
    );
    assert.equal(supervisor.unpublished(3_600_000), [], 'none is an hour old');
    const first = waiting[0];
    assert.ok(first !== undefined);
    assert.is(trainer.markPublished(first), true);
    assert.is(supervisor.markPublished(first), false, 'marked already');
    assert.is(supervisor.find(first.signalId)?.published, true);
    assert.equal(
      supervisor.unpublished().map((r) => r.signalId),
      [ids[1]],
    );
    assert.is(supervisor.markPublished({ ticket: 999n }), false, 'no such record');
  });

  test('[R-B7] a clear is a record to publish as well', () => {
    const signal = bench.signal();
    signal.trigger(HALT);
    signal.clear(signal.read());
    assert.equal(
      signal.unpublished().map((r) => r.kind),
      ['trigger', 'clear'],
    );
  });

  test('[R-B7] a record overwritten before it was published is counted and cannot be marked', () => {
    const signal = bench.signal();
    const id = signal.trigger(HALT);
    const record = signal.find(id);
    assert.ok(record !== undefined);
    for (let i = 0; i < 256; i++) signal.trigger(NOTICE, { remoteSignalId: `remote-${i}` });
    assert.is(signal.find(id), undefined);
    assert.is(signal.markPublished(record), false);
    assert.is(signal.stats().overwrittenUnpublished, 1);
    for (let i = 0; i < 256; i++) signal.trigger(NOTICE, { remoteSignalId: `again-${i}` });
    assert.is(signal.stats().overwrittenUnpublished, 1, 'what is on the bus already is no loss');
  });

  test('[R-F10] a bridged record keeps its id and is born published', () => {
    const signal = bench.signal();
    assert.is(signal.trigger(HALT, { remoteSignalId: 'host-b-17', origin: 'host-b' }), 'host-b-17');
    const record = signal.find('host-b-17');
    assert.equal([record?.remote, record?.published, record?.level], [true, true, HALT]);
    assert.equal(signal.unpublished(), []);
    const cleared = signal.clear(signal.read(), { remoteSignalId: 'clear-of-17' });
    assert.equal(cleared, { outcome: 'cleared', signalId: 'clear-of-17' });
    assert.equal(
      [signal.history().at(-1)?.remote, signal.history().at(-1)?.clearedSignalId],
      [true, 'host-b-17'],
    );
    assert.equal(signal.unpublished(), []);
    assert.throws(() => signal.trigger(HALT, { remoteSignalId: '' }), code('ESPER_OPTION_INVALID'));
  });

  test('[R-F9] raise tells what its record holds once the flag is set, and nobody looks it up', () => {
    const signal = bench.signal();
    signal.trigger(NOTICE);
    const told: Raised[] = [];
    signal.raise(HALT, { reason: 'NaN', step: 7 }, (raised) => {
      assert.is(signal.level(), HALT);
      told.push(raised);
    });
    const [raised] = told;
    assert.ok(raised !== undefined && told.length === 1);
    const record = signal.find(raised.signalId);
    assert.equal([record?.level, record?.reason, record?.step, record?.remote], [HALT, 'NaN', 7, false]);
    assert.equal([raised.ticket, raised.ticket], [1n, record?.ticket]);
    assert.equal([raised.monotonicNs, raised.wallNs], [record?.monotonicNs, record?.wallNs]);
    assert.is(signal.markPublished({ ticket: 1n, signalId: raised.signalId }), true);
  });

  test('[R-F9] raise refuses what trigger refuses; whoever it tells may throw, and the flag stays set', () => {
    const signal = bench.signal();
    const never = (): void => assert.unreachable();
    assert.throws(() => signal.raise(9 as EmergencyLevel, {}, never), code('ESPER_OPTION_INVALID'));
    assert.throws(() => signal.raise(HALT, { step: -1 }, never), code('ESPER_OPTION_INVALID'));
    assert.is(signal.stats().tickets, 0);
    const thrower = (): void => {
      throw new Error('told');
    };
    assert.throws(() => signal.raise(HALT, {}, thrower), /told/);
    assert.equal(signal.read(), { generation: 1, level: HALT });
    signal.close();
    assert.throws(() => signal.raise(HALT, {}, never), code('ESPER_SIGNAL_CLOSED'));
  });

  test('[BAD-reason-10kb] a long reason is cut at a code point, its size kept', () => {
    const signal = bench.signal();
    const ascii = signal.find(signal.trigger(HALT, { reason: 'x'.repeat(10_240) }));
    assert.is(ascii?.reason, 'x'.repeat(384));
    assert.is(ascii?.reasonSizeBytes, 10_240);
    // 4 bytes each: 96 fill 384 bytes; with one letter before them the 96th would be torn.
    const exact = signal.find(signal.trigger(HALT, { reason: '\u{1f525}'.repeat(2560) }));
    assert.is(exact?.reason, '\u{1f525}'.repeat(96));
    const torn = signal.find(signal.trigger(HALT, { reason: `a${'\u{1f525}'.repeat(2560)}` }));
    assert.is(torn?.reason, `a${'\u{1f525}'.repeat(95)}`);
    assert.is(torn?.reasonSizeBytes, 10_241);
  });

  test('[BAD-reason-nul] a NUL becomes U+FFFD and ends nothing', () => {
    const signal = bench.signal();
    const record = signal.find(signal.trigger(HALT, { reason: 'before\0after', origin: '\0', runId: 'r\0' }));
    assert.equal([record?.reason, record?.origin, record?.runId], ['before\ufffdafter', '\ufffd', 'r\ufffd']);
  });

  test('[BAD-reason-split-surrogate] half a surrogate pair becomes U+FFFD', () => {
    const signal = bench.signal();
    const record = signal.find(signal.trigger(HALT, { reason: 'a\ud83db\udd25c', origin: '\ud83d' }));
    assert.equal([record?.reason, record?.origin], ['a\ufffdb\ufffdc', '\ufffd']);
    assert.is(signal.level(), HALT);
  });

  test('[R-F9] every text field is cut at its own bound', () => {
    const signal = bench.signal();
    const long = 'é'.repeat(300);
    const id = signal.trigger(HALT, { origin: long, runId: long, remoteSignalId: long });
    const record = signal.find(id);
    assert.equal(
      [record?.origin, record?.runId, record?.signalId],
      [long.slice(0, 32), long.slice(0, 48), long.slice(0, 32)],
    );
  });

  test('[BAD-level-0] level 0 is refused and raises nothing', () => {
    const signal = bench.signal();
    assert.throws(() => signal.trigger(0 as EmergencyLevel), code('ESPER_OPTION_INVALID'));
    assert.throws(() => signal.trigger(0 as EmergencyLevel), /from 1 to 4/);
    assert.equal(signal.read(), { generation: 0, level: 0 });
    assert.throws(() => bench.flag().trigger({ level: 0 }));
  });

  test('[BAD-level-9] level 9, a fraction and NaN are refused and raise nothing', () => {
    const signal = bench.signal();
    for (const level of [9, 5, -1, 1.5, Number.NaN, '4']) {
      assert.throws(() => signal.trigger(level as EmergencyLevel), code('ESPER_OPTION_INVALID'));
    }
    assert.is(signal.stats().tickets, 0);
    const flag = bench.flag();
    assert.throws(() => flag.trigger({ level: 9 }));
    assert.is(flag.read().generation, 0);
  });

  test('[R-F9] a step that is no safe integer is refused', () => {
    const signal = bench.signal();
    for (const step of [-1, 0.5, 2 ** 53, Number.NaN]) {
      assert.throws(() => signal.trigger(HALT, { step }), code('ESPER_OPTION_INVALID'));
    }
    const id = signal.trigger(HALT, { step: Number.MAX_SAFE_INTEGER });
    assert.is(signal.find(id)?.step, Number.MAX_SAFE_INTEGER);
  });

  test.run();
}
