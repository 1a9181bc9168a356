import { randomUUID } from 'node:crypto';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { systemClock } from '../../../src/core/clock.ts';
import { OptionError } from '../../../src/core/errors.ts';
import { EmergencyLevel } from '../../../src/leyline/messages.ts';
import { openRollbackSignal } from '../../../src/signals/rollback-signal.ts';
import { createTrainingGuard, type StepReport, TolariaError } from '../../../src/tolaria/index.ts';
import { createGuardRig } from '../../helpers/guard-rig.ts';
import { createManualClock } from '../../helpers/manual-clock.ts';
import { blockFor } from '../../helpers/until.ts';

const test = suite('training guard: what fails around it');
const {
  EMERGENCY_LEVEL_ELEVATED: ELEVATED,
  EMERGENCY_LEVEL_CONSERVATIVE: CONSERVATIVE,
  EMERGENCY_LEVEL_HALT: HALT,
} = EmergencyLevel;
const nan = Number.NaN;
const isOptionError = (error: Error): boolean => error instanceof OptionError;
const openRollback = () =>
  openRollbackSignal(`rollback-${randomUUID()}`, { kind: 'process-local', keepAlive: false });

test('[R-F7] a restore that throws raises HALT with its cause', () => {
  const broken = new Error('device lost');
  const rig = createGuardRig({
    restore: () => {
      throw broken;
    },
  });
  rig.healthy(40);
  assert.equal(rig.run([nan]), ['halt']);
  assert.equal(rig.raises(), [CONSERVATIVE, HALT]);
  assert.ok(/device lost/.test(rig.signal.history().at(-1)?.reason ?? ''));
  const failed = rig.events.find(({ type }) => type === 'restoreFailed');
  assert.ok(failed?.type === 'restoreFailed' && failed.error.cause === broken);
  assert.is(failed.error.code, 'ESPER_TOLARIA_RESTORE_FAILED');
  rig.close();
});

test('[R-F7] a restore that is asynchronous is a restore that failed, and its rejection is not left unhandled', async () => {
  const rig = createGuardRig({ restore: async () => Promise.reject(new Error('too late')) });
  rig.healthy(40);
  assert.equal(rig.run([nan]), ['halt']);
  assert.ok(/synchronous/.test(rig.signal.history().at(-1)?.reason ?? ''));
  await new Promise((resolve) => setImmediate(resolve));
  rig.close();
});

test('[R-F7] a snapshot that is asynchronous is refused at construction', () => {
  const isAsync = (error: Error): boolean =>
    error instanceof TolariaError && error.code === 'ESPER_TOLARIA_ASYNC_CALLBACK';
  assert.throws(() => createGuardRig({ snapshot: (async () => ({ step: 0 })) as never }), isAsync);
});

test('[R-F7] a snapshot that throws later costs nothing but that snapshot', () => {
  let fail = false;
  const rig = createGuardRig({
    snapshot: () => {
      if (fail) throw new RangeError('Array buffer allocation failed');
      return { step: 0 };
    },
  });
  fail = true;
  rig.healthy(20);
  const failed = rig.events.find(({ type }) => type === 'snapshotFailed');
  assert.ok(failed?.type === 'snapshotFailed' && failed.error.code === 'ESPER_TOLARIA_SNAPSHOT_FAILED');
  assert.equal(rig.run([nan]), ['rolledBack']);
  assert.equal(rig.restored, [0]);
  rig.close();
});

test('[R-F7] a restore within its deadline settles the rollback signal; its request names the emergency', () => {
  const rollbackSignal = openRollback();
  const rig = createGuardRig({ rollbackSignal, rollbackDeadlineMs: 60_000 });
  rig.healthy(40);
  assert.equal(rig.run([nan]), ['rolledBack']);
  const history = rollbackSignal.history();
  assert.equal(
    history.map(({ kind }) => kind),
    ['requested', 'settled'],
  );
  const [request] = history;
  assert.is(request?.requestId, rig.signal.history()[0]?.signalId);
  assert.equal([request?.step, request?.tier, request?.runId], [31, 1, 'run']);
  assert.is(rollbackSignal.isSet(), false);
  rig.close();
  rollbackSignal.close();
});

test('[R-F7] a restore past its deadline raises HALT, or is told as late where that is switched off', () => {
  for (const haltOnRollbackDeadline of [true, false]) {
    const rollbackSignal = openRollback();
    const rig = createGuardRig({
      rollbackSignal,
      rollbackDeadlineMs: 5,
      clock: systemClock,
      haltOnRollbackDeadline,
      restore: () => blockFor(30),
    });
    rig.healthy(40);
    assert.equal(rig.run([nan]), [haltOnRollbackDeadline ? 'halt' : 'rolledBack']);
    assert.is(rig.signal.level(), haltOnRollbackDeadline ? HALT : CONSERVATIVE);
    const late = rig.events.find(({ type }) => type === 'rolledBack');
    assert.ok(late?.type === 'rolledBack' && late.late);
    assert.is.not(rollbackSignal.read().phase, 'requested');
    if (!haltOnRollbackDeadline)
      assert.is(rollbackSignal.isSet(), false, 'tolerated, so it no longer looks stuck');
    rig.close();
    rollbackSignal.close();
  }
});

test('[R-F7] a restore past its deadline is late although nobody’s timer has noticed', () => {
  const rollbackSignal = openRollback();
  const clock = createManualClock();
  const rig = createGuardRig({ rollbackSignal, clock, restore: () => clock.advance(251) });
  rig.healthy(40);
  assert.equal(rig.run([nan]), ['halt']);
  assert.ok(/251 ms, at most 250 ms/.test(rig.signal.history().at(-1)?.reason ?? ''));
  rig.close();
  rollbackSignal.close();
});

test('[R-F11] a rollback signal that cannot be used does not keep the model from being restored', () => {
  const rollbackSignal = openRollback();
  rollbackSignal.close();
  const rig = createGuardRig({ rollbackSignal });
  rig.healthy(40);
  assert.equal(rig.run([nan]), ['rolledBack']);
  assert.ok(rig.events.some((event) => event.type === 'environment' && event.what === 'rollback signal'));
  rig.close();
});

test('[R-F7] a step that comes too late raises ELEVATED; suspended or caused by the guard itself it does not', () => {
  const rig = createGuardRig({ stepDeadlineMs: 1000, healthySteps: 5 });
  rig.healthy(1);
  rig.clock.advance(1000);
  rig.healthy(1);
  assert.is(rig.signal.level(), 0, 'just in time');
  rig.clock.advance(1001);
  rig.healthy(1);
  assert.is(rig.signal.level(), ELEVATED);
  assert.is(rig.guard.stats().deadlineMisses, 1);
  assert.ok(/1001 ms/.test(rig.signal.history()[0]?.reason ?? ''));
  rig.healthy(5);
  assert.is(rig.signal.level(), 0, 'taken back');

  const resumeOuter = rig.guard.suspendDeadline();
  const resumeInner = rig.guard.suspendDeadline();
  rig.clock.advance(5000);
  rig.healthy(1);
  resumeInner();
  resumeInner();
  rig.clock.advance(5000);
  rig.healthy(1);
  assert.is(rig.guard.stats().deadlineMisses, 1);
  resumeOuter();
  rig.clock.advance(1001);
  rig.healthy(1);
  assert.is(rig.guard.stats().deadlineMisses, 2);
  rig.close();

  const clock = createManualClock();
  const slow = createGuardRig({
    clock,
    stepDeadlineMs: 1000,
    snapshot: () => {
      clock.advance(5000);
      return { step: 0 };
    },
    restore: () => clock.advance(5000),
  });
  slow.healthy(30);
  slow.run([nan, 1, 1]);
  assert.is(slow.guard.stats().deadlineMisses, 0);
  slow.close();
});

test('[R-F7] refuses reports that no training can mean, and changes nothing by them', () => {
  const rig = createGuardRig();
  rig.healthy(40);
  const before = JSON.stringify(rig.guard.stats());
  const bad = [
    undefined,
    null,
    7,
    {},
    { step: 41 },
    { step: 41, loss: '0.5' },
    { step: 41, loss: 1n },
    { step: 41, loss: 1, gradNorm: '1' },
    { step: 41, loss: 1, gradNorm: null },
    { step: -1, loss: 1 },
    { step: 41.5, loss: 1 },
    { step: nan, loss: 1 },
    { step: 2 ** 53, loss: 1 },
    { step: 39, loss: 1 },
    { loss: 1 },
  ];
  for (const report of bad as unknown as StepReport[]) {
    assert.throws(
      () => rig.guard.step(report),
      isOptionError,
      JSON.stringify(report, (_, v) => String(v)),
    );
  }
  assert.is(JSON.stringify(rig.guard.stats()), before);
  assert.throws(() => rig.guard.step({ step: 41, loss: 1, gradNorm: -1 }), isOptionError);
  assert.is(rig.signal.level(), 0);
  rig.close();
});

test('[R-F7] a step may repeat and, after a rollback, go back to the restored one, but no further', () => {
  const rig = createGuardRig();
  rig.healthy(40);
  assert.is(rig.guard.step({ step: 40, loss: 1 }), 'continue');
  rig.run([nan]);
  const [to = 0] = rig.restored;
  assert.throws(() => rig.guard.step({ step: to - 1, loss: 1 }), isOptionError);
  assert.is(rig.guard.step({ step: to, loss: 1 }), 'continue');
  assert.is(rig.guard.step({ step: 100, loss: 1 }), 'continue');
  assert.throws(() => rig.guard.step({ step: 99, loss: 1 }), isOptionError);
  rig.close();
});

test('[R-F7] after close() step() says so; close() may be called again', () => {
  const rig = createGuardRig();
  rig.healthy(3);
  rig.guard.close();
  rig.guard.close();
  assert.throws(
    () => rig.healthy(1),
    (error: Error) => error instanceof TolariaError && error.code === 'ESPER_TOLARIA_CLOSED',
  );
  rig.close();
});

test('[R-F7] callbacks that throw are told as events, and a listener that throws is counted', () => {
  const rig = createGuardRig({
    keepSnapshots: 1,
    release: () => {
      throw new Error('release');
    },
    checksum: (() => {
      let calls = 0;
      return () => {
        calls += 1;
        if (calls > 3) throw new Error('checksum');
        return 'same';
      };
    })(),
    snapshotEverySteps: 10,
    onEvent: () => {
      throw new Error('listener');
    },
  });
  rig.healthy(35);
  assert.equal(rig.run([nan]), ['halt']);
  assert.ok(rig.controller.metrics.value('tolaria.guard.environment_errors_total') >= 2);
  assert.ok(rig.controller.metrics.value('tolaria.guard.listener_errors_total') > 5);
  rig.close();
});

test('[R-F7] refuses options that mean nothing, naming them', () => {
  const { controller, close } = createGuardRig();
  const good = { controller, snapshot: () => 0, restore: () => undefined };
  const bad: [string, unknown][] = [
    ['snapshotEverySteps', 0],
    ['snapshotEverySteps', 1.5],
    ['keepSnapshots', -1],
    ['confirmSteps', 0],
    ['warmupSteps', 65],
    ['spikeFactor', 1],
    ['explosionFactor', nan],
    ['gradExplosionFactor', 0],
    ['minBaselineLoss', 0],
    ['baselineFloor', 1.1],
    ['stepDeadlineMs', 0],
    ['maxRollbacks', -1],
    ['rollbackWindowMs', Number.POSITIVE_INFINITY],
    ['rollbackEnabled', 1],
    ['onEvent', 'log'],
    ['restore', undefined],
    ['snapshot', 7],
    ['controller', {}],
    ['participantName', ''],
    ['explosionFaktor', 15],
  ];
  for (const [name, value] of bad) {
    const options = { ...good, [name]: value } as never;
    assert.throws(
      () => createTrainingGuard(options),
      (error: Error) => isOptionError(error) && error.message.includes(name),
    );
  }
  close();
});

test.run();
