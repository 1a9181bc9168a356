import { setTimeout as delay } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { EmergencyLevel } from '../../../src/leyline/messages.ts';
import { createGuardRig } from '../../helpers/guard-rig.ts';
import { until } from '../../helpers/until.ts';

const test = suite('training guard and the flag of its host');
const {
  EMERGENCY_LEVEL_NOTICE: NOTICE,
  EMERGENCY_LEVEL_CONSERVATIVE: CONSERVATIVE,
  EMERGENCY_LEVEL_HALT: HALT,
} = EmergencyLevel;
const nan = Number.NaN;

type Rig = ReturnType<typeof createGuardRig>;
const self = (rig: Rig) => rig.signal.participants().find(({ role }) => role === 'trainer');

test('[R-F9] [R-F10] a HALT of anybody on the host stops the training at its next step, acknowledged by name', () => {
  const rig = createGuardRig({ participantName: 'resnet-50' });
  const operator = rig.openOther();
  rig.healthy(5);
  const signalId = operator.trigger(HALT, { reason: 'operator', runId: 'run' });
  assert.is(rig.guard.step({ step: rig.next(), loss: 1 }), 'halt');
  const me = operator.participants().find(({ name }) => name === 'resnet-50');
  assert.is(me?.role, 'trainer');
  assert.is(me?.acknowledgedGeneration, operator.read().generation);
  const halt = rig.events.find(({ type }) => type === 'halt');
  assert.ok(halt?.type === 'halt' && halt.signalId === signalId && halt.acknowledged);
  assert.equal(rig.run([1, nan]), ['halt', 'halt'], 'a halted training is judged no more');
  assert.equal(rig.restored, []);
  assert.is(rig.events.filter(({ type }) => type === 'halt').length, 1);
  operator.close();
  rig.close();
});

test('[R-F9] only HALT stops; lower levels of others are seen and left alone', () => {
  const rig = createGuardRig({ healthySteps: 3 });
  const other = rig.openOther();
  other.trigger(CONSERVATIVE, { reason: 'disk' });
  assert.ok(rig.healthy(50).every((outcome) => outcome === 'continue'));
  assert.is(rig.signal.level(), CONSERVATIVE);
  assert.is(self(rig)?.seenGeneration, other.read().generation);
  assert.is(self(rig)?.acknowledgedGeneration, 0);
  assert.is(other.clear(other.read()).outcome, 'cleared', 'although the loop has not been free for a moment');
  other.close();
  rig.close();
});

test('[R-F9] goes on when the HALT is cleared, and acknowledges the next one as a new one', () => {
  const rig = createGuardRig();
  const operator = rig.openOther();
  for (let round = 1; round <= 3; round++) {
    operator.trigger(HALT);
    assert.equal(rig.run([1, 1]), ['halt', 'halt']);
    assert.is(rig.events.filter(({ type }) => type === 'halt').length, round);
    assert.is(self(rig)?.acknowledgedGeneration, operator.read().generation);
    assert.is(operator.clear(operator.read()).outcome, 'cleared');
    assert.equal(rig.run([1]), ['continue']);
  }
  operator.close();
  rig.close();
});

test('[R-F9] between steps, with the loop free, raises are marked seen, and a HALT after the stop is acknowledged', async () => {
  const rig = createGuardRig();
  const operator = rig.openOther();
  await delay(1);
  operator.trigger(NOTICE);
  await until('seen', () => self(rig)?.seenGeneration === operator.read().generation);
  operator.trigger(HALT);
  await until('seen', () => self(rig)?.seenGeneration === operator.read().generation);
  assert.is(self(rig)?.acknowledgedGeneration, 0, 'seen is not stopped');
  assert.equal(rig.run([1]), ['halt']);
  operator.trigger(HALT);
  await until('acknowledged', () => self(rig)?.acknowledgedGeneration === operator.read().generation);
  operator.clear(operator.read());
  operator.trigger(NOTICE);
  await until('seen', () => self(rig)?.seenGeneration === operator.read().generation);
  const acknowledged = self(rig)?.acknowledgedGeneration;
  operator.trigger(HALT);
  await until('seen', () => self(rig)?.seenGeneration === operator.read().generation);
  assert.is(self(rig)?.acknowledgedGeneration, acknowledged, 'it may be running again');
  operator.close();
  rig.close();
});

test('[R-F9] a HALT of another run is reported, and obeyed only by option', () => {
  for (const obeyForeignRuns of [false, true]) {
    const rig = createGuardRig({ obeyForeignRuns });
    const other = rig.openOther();
    const signalId = other.trigger(HALT, { runId: 'another' });
    assert.equal(rig.run([1, 1]), obeyForeignRuns ? ['halt', 'halt'] : ['continue', 'continue']);
    const told = rig.events.filter(({ type }) => type === 'foreignHalt');
    assert.is(told.length, obeyForeignRuns ? 0 : 1);
    if (told[0]?.type === 'foreignHalt')
      assert.equal([told[0].signalId, told[0].runId], [signalId, 'another']);
    if (!obeyForeignRuns) {
      other.trigger(HALT, { runId: 'run' });
      assert.equal(rig.run([1]), ['halt'], 'its own comes on top');
    }
    other.close();
    rig.close();
  }
});

test('[R-F9] a HALT of no particular run concerns everybody, and so does one that the ring has lost', () => {
  const rig = createGuardRig();
  const other = rig.openOther();
  other.trigger(HALT, { runId: '' });
  assert.equal(rig.run([1]), ['halt']);
  other.clear(other.read());
  other.trigger(HALT, { runId: 'another' });
  assert.equal(rig.run([1]), ['continue']);
  for (let i = 0; i < 1000; i++) other.trigger(NOTICE);
  assert.equal(rig.run([1]), ['halt']);
  other.close();
  rig.close();
});

test('[R-F7] takes back only its own raise, and only if nobody has raised on top', () => {
  const rig = createGuardRig({ healthySteps: 5 });
  const other = rig.openOther();
  rig.healthy(40);
  rig.run([nan]);
  other.trigger(NOTICE, { reason: 'disk' });
  rig.healthy(2000);
  assert.is(rig.signal.level(), CONSERVATIVE);
  const deferred = rig.events.filter(({ type }) => type === 'clearDeferred');
  assert.ok(deferred.length > 10 && deferred.length < 50, 'ever more rarely');
  assert.is(rig.raises().length, 3, 'withdrawn once');
  assert.ok(deferred.every((event) => event.type === 'clearDeferred' && event.outcome === 'superseded'));
  other.clear(other.read());
  rig.run([nan]);
  rig.healthy(5);
  assert.is(rig.signal.level(), 0);
  other.close();
  rig.close();
});

test('[R-F7] who has not seen the raise delays its clear without blocking the training', () => {
  const rig = createGuardRig({ healthySteps: 5 });
  const other = rig.openOther();
  other.join('supervisor', 'slow');
  rig.healthy(40);
  rig.run([nan]);
  rig.healthy(12);
  assert.is(rig.signal.level(), CONSERVATIVE);
  const deferred = rig.events.find(({ type }) => type === 'clearDeferred');
  assert.ok(
    deferred?.type === 'clearDeferred' && deferred.outcome === 'unseen' && deferred.nextTrySteps === 5,
  );
  assert.ok(/supervisor:slow/.test(deferred.waitingFor[0] ?? ''));
  other.markSeen(other.read().generation);
  rig.healthy(8);
  assert.is(rig.signal.level(), 0);
  other.close();
  rig.close();
});

test('[R-F11] with the flag closed under it the guard still rolls back, and its own HALT holds', () => {
  const rig = createGuardRig({ maxRollbacks: 1 });
  rig.healthy(40);
  rig.signal.close();
  assert.equal(rig.run([nan]), ['rolledBack']);
  assert.equal(rig.run([nan, 1, 1]), ['halt', 'halt', 'halt']);
  const halt = rig.events.find(({ type }) => type === 'halt');
  assert.ok(halt?.type === 'halt' && !halt.acknowledged);
  rig.guard.close();
});

test('[R-F11] a flag without a free participant slot is told, and the training is guarded all the same', () => {
  const first = createGuardRig();
  const full = Array.from({ length: 127 }, (_, i) => {
    const other = first.openOther();
    other.join('trainer', `t${i}`);
    return other;
  });
  const events: string[] = [];
  const { signal } = first;
  const late = first.openOther();
  assert.throws(
    () => late.join('trainer', 'late'),
    (error: { code?: string }) => error.code === 'ESPER_SIGNAL_PARTICIPANTS_FULL',
  );
  const rig = createGuardRig({
    controller: { ...pick(first.controller), signal: late },
    onEvent: (event) => events.push(event.type),
  });
  assert.equal(events, ['environment']);
  signal.trigger(HALT);
  assert.is(rig.guard.step({ step: 1, loss: 1 }), 'halt');
  rig.close();
  for (const other of [late, ...full]) other.close();
  first.close();
});

function pick(controller: Rig['controller']) {
  const { runId, metrics, logger, clock } = controller;
  return {
    runId,
    metrics,
    logger,
    clock,
    level: HALT,
    escalate: controller.escalate.bind(controller),
    announce: controller.announce.bind(controller),
    clear: controller.clear.bind(controller),
    subscribe: controller.subscribe.bind(controller),
    flush: controller.flush.bind(controller),
    close: controller.close.bind(controller),
  };
}

test.run();
