import { randomUUID } from 'node:crypto';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openEmergencySignal } from '../../../src/signals/emergency-signal.ts';
import {
  controllerOptionsFrom,
  createEmergencyController,
  createTrainingGuard,
  tolariaSettingsFromEnv,
} from '../../../src/tolaria/index.ts';
import { createGuardRig } from '../../helpers/guard-rig.ts';

const test = suite('training guard: where going on is no use, and who else is there');
const nan = Number.NaN;
const codeIs = (code: string) => (error: { code?: string }) => error.code === code;

test('[R-F7] failures one after the other halt although each takes longer than the rollback window', () => {
  const rig = createGuardRig({ maxAttempts: 100 });
  rig.healthy(30);
  const outcomes = Array.from({ length: 4 }, () => {
    rig.clock.advance(660_000);
    return rig.run([nan])[0];
  });
  assert.equal(outcomes, ['rolledBack', 'rolledBack', 'rolledBack', 'halt']);
  rig.close();
  const recovering = createGuardRig({ maxAttempts: 100 });
  for (let i = 0; i < 20; i++) {
    recovering.healthy(40);
    recovering.clock.advance(660_000);
    assert.equal(recovering.run([nan]), ['rolledBack']);
  }
  recovering.close();
});

test('[R-F7] an explosion within the warm-up is rolled back, and the state before it is kept', () => {
  const rig = createGuardRig();
  rig.run([2.3, 2.2, 2.1, 2]);
  assert.equal(rig.run([1e12]), ['rolledBack']);
  assert.equal(rig.restored, [0]);
  rig.close();
});

test('[R-F7] until the baseline judges, no snapshot pushes the initial one out', () => {
  for (const keepSnapshots of [1, 2, 3]) {
    const rig = createGuardRig({ keepSnapshots, warmupSteps: 64, maxAttempts: 1, maxRollbacks: 100 });
    rig.healthy(60);
    assert.ok(rig.held.size <= keepSnapshots + 1);
    for (let i = 0; i < keepSnapshots; i++) assert.equal(rig.run([nan]), ['rolledBack']);
    assert.is(rig.restored.at(-1), 0, `keeping ${keepSnapshots}`);
    rig.close();
  }
});

test('[R-F7] a loss that creeps up at two per cent a step confirms no snapshot far above its best', () => {
  const rig = createGuardRig();
  rig.healthy(100);
  for (let loss = 1; loss < 1e9; loss *= 1.02) rig.run([loss]);
  assert.equal(rig.run([nan]), ['rolledBack']);
  const steps = (rig.restored[0] ?? 0) - 100;
  assert.ok(1.02 ** steps < 6, `restored the loss ${1.02 ** steps}`);
  rig.close();
  const risen = createGuardRig({ regimeSteps: 50 });
  risen.healthy(100);
  for (let loss = 1; loss < 10; loss *= 1.02) risen.run([loss]);
  risen.run(Array.from({ length: 300 }, () => 10));
  assert.ok((risen.guard.lastKnownGood()?.step ?? 0) > 400, 'a new level that holds is good');
  risen.close();
});

test('[R-F7] a batch no worse than the first ones is no explosion, and a resumed run may say what those were', () => {
  const rig = createGuardRig();
  rig.run([...Array(20).fill(1), ...Array(100).fill(0)]);
  assert.equal(rig.run([0.8]), ['continue']);
  assert.is(rig.guard.stats().explosions, 0);
  rig.close();
  for (const [referenceLoss, outcome] of [
    [2.3, 'continue'],
    [0.01, 'rolledBack'],
  ] as const) {
    const resumed = createGuardRig({ referenceLoss });
    resumed.run(Array.from({ length: 100 }, () => 0.01));
    assert.equal(resumed.run([0.6]), [outcome]);
    resumed.close();
  }
});

test('[R-F7] an explosion stands out from the noise as well as from the baseline', () => {
  const rig = createGuardRig();
  rig.run(Array.from({ length: 100 }, (_, i) => (i % 2 === 0 ? 3 : 0.1)));
  const { loss = 0, explosionAt = 0 } = rig.guard.stats().baseline ?? {};
  assert.ok(explosionAt > 20 * loss);
  rig.close();
});

function pair() {
  const rig = createGuardRig({ healthySteps: 5, participantName: 'rank0' });
  const signal = rig.openOther();
  const other = createGuardRig({
    healthySteps: 5,
    participantName: 'rank1',
    controller: createEmergencyController({ signal, runId: 'run' }),
  });
  const close = () => {
    other.close();
    signal.close();
    rig.close();
  };
  return { rig, other, close };
}

test('[R-F7] two guards that explode together lower the flag when both are well again', () => {
  const { rig, other, close } = pair();
  for (const each of [rig, other]) each.healthy(40);
  assert.equal([rig.run([nan]), other.run([nan])], [['rolledBack'], ['rolledBack']]);
  rig.healthy(20);
  assert.is(rig.signal.level(), 3, 'the other is not well yet');
  assert.is(rig.raises().length, 3, 'withdrawn in one record');
  for (let i = 0; i < 100; i++) {
    other.healthy(1);
    rig.healthy(1);
  }
  assert.is(rig.signal.level(), 0);
  assert.equal([rig.guard.stats().raised, other.guard.stats().raised], [false, false]);
  close();
});

test('[R-F7] the clear is tried as long as the raise stands, however long somebody has not seen it', () => {
  const rig = createGuardRig({ healthySteps: 5 });
  const other = rig.openOther();
  other.join('trainer', 'saving');
  rig.healthy(40);
  rig.run([nan]);
  rig.healthy(5000);
  assert.is(rig.signal.level(), 3);
  other.markSeen(other.read().generation);
  rig.healthy(100);
  assert.is(rig.signal.level(), 0);
  other.close();
  rig.close();
});

test('[R-F9] a second guard on one signal object is refused, and takes nothing with it', () => {
  const rig = createGuardRig();
  let released = 0;
  const create = () =>
    createTrainingGuard({
      controller: rig.controller,
      snapshot: () => 0,
      restore: () => undefined,
      release: () => {
        released += 1;
      },
    });
  assert.throws(create, codeIs('ESPER_TOLARIA_SIGNAL_IN_USE'));
  assert.is(released, 1);
  assert.is(rig.signal.participants().length, 1);
  rig.guard.close();
  create().close();
  rig.signal.join('supervisor', 'host');
  assert.throws(create, codeIs('ESPER_SIGNAL_ALREADY_JOINED'));
  assert.equal(
    rig.signal.participants().map(({ role }) => role),
    ['supervisor'],
  );
  rig.close();
});

test('[R-F11] a logger that throws reaches neither escalate() nor step()', () => {
  const full = (): never => {
    throw new Error('ENOSPC');
  };
  const logger = { debug: full, info: full, warn: full, error: full };
  const signal = openEmergencySignal(`test-${randomUUID()}`, { kind: 'process-local', keepAlive: false });
  const controller = createEmergencyController({ signal, runId: 'run', logger });
  const rig = createGuardRig({ controller, logger, onEvent: full });
  rig.healthy(40);
  assert.equal(rig.run([5, nan]), ['continue', 'rolledBack']);
  assert.is(controller.escalate(4, { reason: 'operator', step: 1 }).currentLevel, 4);
  assert.equal(rig.run([1]), ['halt']);
  assert.is(controller.clear({ reason: 'over' }).outcome, 'cleared');
  rig.close();
  signal.close();
});

test('[R-F3] controllerOptionsFrom hands over what the environment sets', () => {
  const settings = tolariaSettingsFromEnv({
    ESPER_RUN_ID: 'run-7',
    ESPER_HOST_ID: 'host-7',
    TOLARIA_EMERGENCY_FAST_PATH_ENABLED: '0',
    TOLARIA_EMERGENCY_BYPASS_MAX_PER_MIN: '7',
  });
  const expected = { runId: 'run-7', hostId: 'host-7', fastPathEnabled: false, bypassMaxPerMin: 7 };
  assert.equal(controllerOptionsFrom(settings), expected);
});

test.run();
