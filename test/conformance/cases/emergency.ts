import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { EmergencyLevel } from '../../../src/leyline/messages.ts';
import { Bench, type Subject } from '../subject.ts';

const { EMERGENCY_LEVEL_NOTICE: NOTICE, EMERGENCY_LEVEL_ELEVATED: ELEVATED } = EmergencyLevel;
const { EMERGENCY_LEVEL_CONSERVATIVE: CONSERVATIVE, EMERGENCY_LEVEL_HALT: HALT } = EmergencyLevel;

/** Raising, reading, clearing, acknowledging. */
export function emergencyCases(subject: Subject): void {
  const bench = new Bench(subject);
  const test = suite(`${subject.title} emergency`);
  test.after.each(() => bench.cleanUp());

  test('[R-F10] a trigger is read back with every field and times of both clocks', () => {
    const signal = bench.signal();
    assert.is(signal.kind, subject.kind);
    assert.is(signal.degraded, undefined);
    assert.is(signal.isSet(), false);
    assert.equal(signal.read(), { generation: 0, level: 0 });
    const monotonicBefore = process.hrtime.bigint();
    const wallBeforeMs = Date.now();
    const id = signal.trigger(HALT, { reason: 'loss is NaN', origin: 'guard', runId: 'run-7', step: 12_345 });
    const wallAfterMs = Date.now();
    const monotonicAfter = process.hrtime.bigint();
    assert.is(signal.isSet(), true);
    assert.is(signal.level(), HALT);
    assert.equal(signal.read(), { generation: 1, level: HALT });
    const record = signal.find(id);
    assert.ok(record !== undefined);
    assert.equal(signal.history(), [record]);
    const { monotonicNs, wallNs, ...rest } = record;
    assert.equal(rest, {
      kind: 'trigger',
      level: HALT,
      signalId: id,
      ticket: 0n,
      generation: 1,
      pid: process.pid,
      origin: 'guard',
      reason: 'loss is NaN',
      reasonSizeBytes: 11,
      runId: 'run-7',
      step: 12_345,
      published: false,
      remote: false,
      clearedSignalId: '',
      forced: false,
      cleared: undefined,
    });
    assert.ok(monotonicNs >= monotonicBefore && monotonicNs <= monotonicAfter, 'CLOCK_MONOTONIC at trigger');
    const wallMs = Number(wallNs / 1_000_000n);
    assert.ok(wallMs >= wallBeforeMs - 1 && wallMs <= wallAfterMs + 1, 'Unix time at trigger');
    assert.is(signal.find('no-such-id'), undefined);
  });

  test('[R-F9] a lower trigger never lowers the level, and every trigger is a record', () => {
    const signal = bench.signal();
    const ids = [CONSERVATIVE, NOTICE, ELEVATED, HALT, NOTICE].map((level) => signal.trigger(level));
    assert.is(signal.level(), HALT);
    assert.is(signal.read().generation, 5);
    assert.equal(
      signal.history().map((r) => r.signalId),
      ids,
    );
    assert.equal(
      signal.history().map((r) => r.level),
      [3, 1, 2, 4, 1],
    );
    assert.equal(
      signal.history().map((r) => r.generation),
      [1, 2, 3, 4, 5],
    );
    assert.is(new Set(ids).size, 5);
  });

  test('[R-F9] two opens of one name are one flag', () => {
    const name = bench.name();
    const [a, b] = [bench.signal(name), bench.signal(name)];
    assert.equal([a.created, b.created], [true, false]);
    const id = a.trigger(CONSERVATIVE);
    assert.is(b.isSet(), true);
    assert.is(b.find(id)?.level, CONSERVATIVE);
    assert.is(bench.signal().isSet(), false);
  });

  test('[R-F9] the ring keeps the last 256 records', () => {
    const signal = bench.signal();
    for (let step = 0; step < 300; step++) signal.trigger(NOTICE, { step });
    const steps = signal.history().map((r) => r.step);
    assert.is(steps.length, 256);
    assert.is(steps[0], 44);
    assert.is(steps.at(-1), 299);
    assert.is(signal.stats().tickets, 300);
    assert.is(signal.stats().overwrittenUnpublished, 44);
  });

  test('[R-F9] clear lowers what was seen and records it', () => {
    const signal = bench.signal();
    const id = signal.trigger(HALT);
    signal.trigger(NOTICE);
    const cleared = signal.clear(signal.read(), { reason: 'operator', origin: 'cli', runId: 'r' });
    assert.is(cleared.outcome, 'cleared');
    assert.is(signal.isSet(), false);
    assert.equal(signal.read(), { generation: 3, level: 0 });
    const record = signal.history().at(-1);
    assert.is(record?.kind, 'clear');
    assert.is(record?.level, 0);
    assert.is(record?.clearedSignalId, id, 'the emergency that held the level, not the lesser one after it');
    assert.equal(record?.cleared, { generation: 2, level: HALT });
    assert.is(record?.forced, false);
    assert.equal([record?.reason, record?.origin, record?.runId], ['operator', 'cli', 'r']);
    assert.is(cleared.outcome === 'cleared' && cleared.signalId, record?.signalId);
    assert.is(signal.clear(signal.read()).outcome, 'not-set');
  });

  test('[R-F9] a trigger that races a clear wins', () => {
    const signal = bench.signal();
    signal.trigger(ELEVATED);
    const seen = signal.read();
    signal.trigger(HALT);
    assert.equal(signal.clear(seen), { outcome: 'superseded' });
    assert.is(signal.level(), HALT);
    // Same level, newer generation: still not what the caller saw.
    const again = signal.read();
    signal.trigger(HALT);
    assert.is(signal.clear(again, { force: true }).outcome, 'superseded');
  });

  test('[R-F9] clear waits for live participants and names them; force is recorded', () => {
    const name = bench.name();
    const [trainer, supervisor] = [bench.signal(name), bench.signal(name)];
    trainer.join('trainer', 'rank 0');
    supervisor.join('supervisor', 'main');
    trainer.trigger(HALT);
    const seen = supervisor.read();
    assert.equal(supervisor.clear(seen), {
      outcome: 'unseen',
      waitingFor: [`trainer:rank 0 ${process.pid}`],
    });
    assert.is(supervisor.level(), HALT);
    trainer.markSeen(seen.generation);
    assert.is(supervisor.clear(seen).outcome, 'cleared');
    supervisor.trigger(HALT);
    assert.is(supervisor.clear(supervisor.read(), { force: true }).outcome, 'cleared');
    assert.is(supervisor.history().at(-1)?.forced, true);
  });

  test('[R-F9] acknowledge is false when the flag moved on', () => {
    const signal = bench.signal();
    signal.join('trainer', 'a');
    signal.trigger(ELEVATED);
    const seen = signal.read();
    assert.is(signal.acknowledge(seen), true);
    const own = signal.participants()[0];
    assert.equal([own?.acknowledgedGeneration, own?.seenGeneration], [1, 1]);
    signal.trigger(HALT);
    assert.is(signal.acknowledge(seen), false);
    assert.is(signal.acknowledge(signal.read()), true);
    assert.is(signal.level(), HALT, 'acknowledging lowers nothing');
  });

  test('[R-F9] participants join, beat, rename and leave', () => {
    const signal = bench.signal();
    assert.equal(signal.participants(), []);
    const slot = signal.join('trainer', 'first');
    assert.is(signal.join('trainer', 'second'), slot);
    signal.heartbeat();
    const [own, ...others] = signal.participants();
    assert.equal(others, []);
    assert.equal([own?.slot, own?.pid, own?.role, own?.name], [slot, process.pid, 'trainer', 'second']);
    assert.equal([own?.alive, own?.phase, own?.seenGeneration], [true, 'idle', 0]);
    assert.ok((own?.heartbeatNs ?? 0n) > 0n && (own?.heartbeatNs ?? 0n) <= process.hrtime.bigint());
    signal.leave();
    assert.equal(signal.participants(), []);
  });

  test('[R-F9] 128 participants fit, the next is refused by name', () => {
    const name = bench.name();
    for (let i = 0; i < 128; i++) bench.signal(name).join('rank', String(i));
    const late = bench.signal(name);
    assert.throws(
      () => late.join('rank', '128'),
      (e: { code?: string }) => e.code === 'ESPER_SIGNAL_PARTICIPANTS_FULL',
    );
    assert.is(late.participants().length, 128);
    late.trigger(HALT);
    assert.is(late.level(), HALT, 'a full table holds back no emergency');
  });

  test.run();
}
