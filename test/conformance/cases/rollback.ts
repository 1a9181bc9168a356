import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { RollbackRecord, RollbackRequestFields } from '../../../src/signals/index.ts';
import { blockFor, until } from '../../helpers/until.ts';
import { Bench, type Subject } from '../subject.ts';

const code = (expected: string) => (error: { code?: string }) => error.code === expected;
const summary = (records: readonly RollbackRecord[]) => records.map((r) => `${r.kind} ${r.requestId}`);

/** The rollback flag: request, settle, expiry. */
export function rollbackCases(subject: Subject): void {
  const bench = new Bench(subject);
  const test = suite(`${subject.title} rollback`);
  test.after.each(() => bench.cleanUp());

  const request = (requestId: string, deadlineMs: number): RollbackRequestFields => ({
    requestId,
    deadlineMs,
    step: 40,
    tier: 1,
    reason: 'loss exploded',
    origin: 'guard',
    runId: 'run-1',
  });

  test('[R-F10][R-B6] settled in time: true, flag lowered, both told to every process', () => {
    const name = bench.name();
    const [trainer, other] = [bench.rollback(name), bench.rollback(name)];
    assert.is(trainer.kind, subject.kind);
    assert.equal(trainer.read(), { generation: 0, phase: 'idle' });
    const before = process.hrtime.bigint();
    trainer.request(request('r1', 60_000));
    const after = process.hrtime.bigint();
    assert.is(other.isSet(), true);
    assert.equal(other.read(), { generation: 1, phase: 'requested' });
    assert.is(trainer.settle('r1'), true);
    assert.is(other.isSet(), false);
    assert.equal(other.read(), { generation: 2, phase: 'idle' });
    const [requested, settled] = other.history();
    assert.equal(summary(other.history()), ['requested r1', 'settled r1']);
    assert.equal([requested?.step, requested?.tier, requested?.reason], [40, 1, 'loss exploded']);
    assert.equal([requested?.origin, requested?.runId, requested?.pid], ['guard', 'run-1', process.pid]);
    const minute = 60_000_000_000n;
    assert.ok(
      (requested?.deadlineNs ?? 0n) >= before + minute && (requested?.deadlineNs ?? 0n) <= after + minute,
    );
    assert.is(settled?.reason, 'settled');
    assert.is(trainer.settle('r1'), false, 'once only');
  });

  test('[R-B6] an expired request is told, its result refused, and cleared by the caller', async () => {
    const trainer = bench.rollback();
    trainer.request(request('slow', 20));
    await until('expiry', () => trainer.read().phase === 'expired');
    assert.is(trainer.isSet(), true);
    assert.is(trainer.settle('slow'), false);
    assert.is(trainer.read().phase, 'expired', 'a late settle lowers nothing');
    const expired = trainer.history().at(-1);
    assert.equal(
      [expired?.kind, expired?.requestId, expired?.step, expired?.tier],
      ['expired', 'slow', 40, 1],
    );
    assert.ok((expired?.monotonicNs ?? 0n) >= (expired?.deadlineNs ?? 0n));
    assert.is(trainer.clear({ reason: 'full tier takes over', origin: 'guard' }), true);
    assert.equal(summary(trainer.history()), ['requested slow', 'expired slow', 'settled slow']);
    assert.is(trainer.history().at(-1)?.reason, 'full tier takes over');
    assert.is(trainer.clear(), false);
  });

  test('[R-B6] a restore that blocks the event loop past its deadline is never timely', () => {
    const trainer = bench.rollback();
    trainer.request(request('blocked', 20));
    blockFor(200);
    assert.is(trainer.settle('blocked'), false);
    assert.is(trainer.read().phase, 'expired');
  });

  test('[R-B6] nothing expires after a settle', async () => {
    const trainer = bench.rollback();
    trainer.request(request('quick', 30));
    assert.is(trainer.settle('quick'), true);
    trainer.request(request('slow', 60));
    await until('the second expiry', () => trainer.read().phase === 'expired');
    assert.equal(summary(trainer.history()), [
      'requested quick',
      'settled quick',
      'requested slow',
      'expired slow',
    ]);
  });

  test('[R-F10] one request at a time', () => {
    const trainer = bench.rollback();
    trainer.request(request('first', 60_000));
    assert.throws(() => trainer.request(request('second', 60_000)), code('ESPER_ROLLBACK_PENDING'));
    assert.is(trainer.settle('second'), false, 'never requested');
    assert.is(trainer.settle('first'), true);
    trainer.request(request('second', 60_000));
    assert.is(trainer.settle('second'), true);
  });

  test('[R-F10] what an earlier requester left set is superseded, on record', () => {
    const name = bench.name();
    const [dead, restarted] = [bench.rollback(name), bench.rollback(name)];
    dead.request(request('left', 60_000));
    restarted.request(request('new', 60_000));
    assert.equal(summary(restarted.history()), ['requested left', 'settled left', 'requested new']);
    assert.is(restarted.history()[1]?.reason, 'superseded by new');
    assert.is(dead.settle('left'), true, 'in time, although no longer the flag’s request');
    assert.is(restarted.read().phase, 'requested', 'and not lowered by it');
    assert.is(restarted.settle('new'), true);
  });

  test('[R-F10] a settle does not wait for participants, and says when it was forced', () => {
    const name = bench.name();
    const [trainer, worker] = [bench.rollback(name), bench.rollback(name)];
    worker.join('worker', 'rank 1');
    assert.is(trainer.participants()[0]?.name, 'rank 1');
    trainer.request(request('r', 60_000));
    assert.is(worker.acknowledge({ generation: 99 }), false);
    assert.is(worker.acknowledge(worker.read()), true);
    assert.is(worker.participants()[0]?.acknowledgedGeneration, 1);
    assert.is(trainer.settle('r'), true);
    trainer.request(request('r2', 60_000));
    assert.is(trainer.settle('r2'), true);
    assert.is(trainer.isSet(), false);
  });

  test('[R-B1] subscribers hear of request, expiry and clear', async () => {
    const name = bench.name();
    const [trainer, worker] = [bench.rollback(name), bench.rollback(name)];
    const heard: RollbackRecord[] = [];
    const stop = worker.subscribe((records) => heard.push(...records));
    trainer.request(request('r', 20));
    await until('both records', () => heard.length === 2);
    trainer.clear();
    await until('the clear', () => heard.length === 3);
    assert.equal(summary(heard), ['requested r', 'expired r', 'settled r']);
    stop();
  });

  test('[R-F10] bad fields are refused and publish nothing', () => {
    const trainer = bench.rollback();
    const bad: Partial<Record<keyof RollbackRequestFields, unknown>>[] = [
      { requestId: '' },
      { requestId: 'x'.repeat(65) },
      { requestId: 7 },
      { step: -1 },
      { tier: 3 },
      { deadlineMs: 0 },
      { deadlineMs: 3_600_001 },
      { deadlineMs: Number.NaN },
      { reason: 5 },
    ];
    for (const fields of bad) {
      const given = { ...request('ok', 1000), ...fields } as RollbackRequestFields;
      assert.throws(() => trainer.request(given), code('ESPER_OPTION_INVALID'));
    }
    assert.equal(trainer.history(), []);
  });

  test('[R-F10] after close() isSet stays safe, everything else says so', () => {
    const trainer = bench.rollback();
    trainer.request(request('r', 60_000));
    trainer.close();
    assert.is(trainer.isSet(), true);
    const closed = code('ESPER_SIGNAL_CLOSED');
    assert.throws(() => trainer.read(), closed);
    assert.throws(() => trainer.request(request('s', 1000)), closed);
    assert.throws(() => trainer.settle('r'), closed);
    assert.throws(() => trainer.clear(), closed);
    assert.throws(() => trainer.subscribe(() => undefined), closed);
  });

  test.run();
}
