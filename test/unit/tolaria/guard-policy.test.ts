import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { EmergencyLevel } from '../../../src/leyline/messages.ts';
import { createGuardRig } from '../../helpers/guard-rig.ts';

const test = suite('training guard policy');
const {
  EMERGENCY_LEVEL_ELEVATED: ELEVATED,
  EMERGENCY_LEVEL_CONSERVATIVE: CONSERVATIVE,
  EMERGENCY_LEVEL_HALT: HALT,
} = EmergencyLevel;

test('[R-F7] a spike raises ELEVATED once, restores nothing, and is taken back after healthySteps healthy steps', () => {
  const rig = createGuardRig({ healthySteps: 10 });
  rig.healthy(40);
  assert.equal(rig.run([5, 6, 5]), ['continue', 'continue', 'continue']);
  assert.is(rig.signal.level(), ELEVATED);
  assert.equal(rig.raises(), [ELEVATED], 'one emergency, not one a step');
  assert.equal(rig.restored, []);
  rig.healthy(9);
  assert.is(rig.signal.level(), ELEVATED);
  rig.healthy(1);
  assert.is(rig.signal.level(), 0);
  assert.is(rig.guard.stats().raised, false);
  rig.run([5]);
  assert.equal(rig.raises(), [ELEVATED, ELEVATED], 'the next one is a new one');
  rig.close();
});

test('[R-F7] NaN, Inf and an explosion, of loss or gradient, raise CONSERVATIVE and roll back', () => {
  const { NaN: nan, POSITIVE_INFINITY: inf, NEGATIVE_INFINITY: minusInf } = Number;
  const bad = [
    { loss: nan, kind: 'nan' },
    { loss: inf, kind: 'infinite' },
    { loss: minusInf, kind: 'infinite' },
    { loss: 15.5, kind: 'explosion' },
    { loss: 1, gradNorm: nan, kind: 'nan' },
    { loss: 1, gradNorm: inf, kind: 'infinite' },
    { loss: 1, gradNorm: 1000, kind: 'explosion' },
  ];
  for (const { kind, ...values } of bad) {
    const rig = createGuardRig({ gradExplosionFactor: 100 });
    rig.healthy(40, { gradNorm: 2 });
    assert.is(rig.guard.step({ step: rig.next(), ...values }), 'rolledBack', kind);
    assert.is(rig.signal.level(), CONSERVATIVE);
    assert.is(rig.restored.length, 1);
    const anomaly = rig.events.find(({ type }) => type === 'anomaly');
    assert.ok(anomaly?.type === 'anomaly' && anomaly.anomaly.kind === kind, kind);
    assert.ok(rig.signal.history()[0]?.reason.includes('step 41'));
    rig.close();
  }
});

test('[R-F7] the limits: 3 and 15 times the baseline by default, others by option', () => {
  const limitsOf = (options: Parameters<typeof createGuardRig>[0]) => {
    const rig = createGuardRig(options);
    rig.healthy(40);
    const { baseline } = rig.guard.stats();
    rig.close();
    return baseline;
  };
  assert.equal(limitsOf({}), { loss: 1, spikeAt: 3, explosionAt: 15 });
  assert.equal(limitsOf({ spikeFactor: 4, explosionFactor: 50 }), { loss: 1, spikeAt: 4, explosionAt: 50 });
  const rig = createGuardRig();
  rig.healthy(40);
  assert.is(rig.run([15])[0], 'continue', 'the limit itself is not beyond it');
  assert.is(rig.run([15.01])[0], 'rolledBack');
  rig.close();
});

test('[R-F7] before the warm-up is over only NaN, Inf and what has lost all proportion count', () => {
  const rig = createGuardRig({ warmupSteps: 30 });
  rig.run(Array.from({ length: 29 }, (_, i) => 10 ** (i % 5)));
  assert.is(rig.guard.stats().baseline, undefined);
  assert.is(rig.signal.level(), 0);
  assert.equal(rig.run([Number.NaN]), ['rolledBack']);
  rig.close();
});

test('[R-F7] goes back to the newest snapshot that enough healthy steps have followed, not to a later suspect one', () => {
  const rig = createGuardRig({ snapshotEverySteps: 1, confirmSteps: 5 });
  rig.healthy(40);
  const snapshots = rig.events.filter(({ type }) => type === 'snapshot').map(({ step }) => step);
  assert.equal(snapshots.slice(0, 3), [1, 6, 11]);
  assert.equal(snapshots.slice(-2), [31, 36], 'the one of step 36 is a candidate');
  rig.run([Number.NaN]);
  assert.equal(rig.restored, [31]);
  rig.close();

  const spiked = createGuardRig({ snapshotEverySteps: 1, confirmSteps: 5 });
  spiked.healthy(40);
  spiked.run([5]);
  spiked.healthy(4);
  spiked.run([Number.NaN]);
  assert.equal(spiked.restored, [31], 'neither taken before a spike nor confirmed since');
  spiked.close();
});

test('[R-F7] a snapshot every so many steps, and no more copies held than asked for', () => {
  const rig = createGuardRig({ snapshotEverySteps: 20, confirmSteps: 5, keepSnapshots: 2 });
  rig.healthy(200);
  const taken = rig.events.filter(({ type }) => type === 'snapshot').map(({ step }) => step);
  assert.equal(taken, [20, 40, 60, 80, 100, 120, 140, 160, 180, 200]);
  assert.is(rig.held.size, 3);
  assert.is(rig.guard.lastKnownGood()?.step, 180);
  rig.close();
  assert.is(rig.held.size, 0, 'close() releases all');
});

test('[R-F7] before anything is confirmed the state at construction is what it goes back to', () => {
  const rig = createGuardRig({ initialStep: 1000 });
  assert.equal(rig.run([1, 1, Number.NaN]), ['continue', 'continue', 'rolledBack']);
  assert.equal(rig.restored, [1000]);
  rig.close();
});

test('[R-F7] with no snapshot at all it raises, says so and halts', () => {
  const rig = createGuardRig({ initialSnapshot: false, maxRollbacks: 2 });
  const nan = Number.NaN;
  assert.equal(rig.run([1, nan, 1]), ['continue', 'halt', 'halt']);
  assert.equal(rig.raises(), [CONSERVATIVE, HALT]);
  assert.is(rig.events.filter(({ type }) => type === 'noSnapshot').length, 1);
  rig.close();
});

test('[R-F7] a snapshot that the run fails after again and again is quarantined for an older one', () => {
  const rig = createGuardRig({ maxAttempts: 2, maxRollbacks: 100, keepSnapshots: 3 });
  rig.healthy(40);
  const outcomes = rig.run(Array.from({ length: 7 }, () => Number.NaN));
  assert.equal(rig.restored, [31, 31, 26, 26, 21, 21]);
  assert.equal(outcomes.slice(-2), ['rolledBack', 'halt']);
  assert.is(rig.guard.stats().quarantined, 3);
  assert.is(rig.guard.stats().knownGoodStep, undefined);
  assert.is(rig.guard.lastKnownGood()?.step, 21, 'for saving');
  assert.is(rig.held.size, 1);
  rig.close();
});

test('[R-F7] the rollback budget is per time window; spent, the next failure halts', () => {
  const rig = createGuardRig({ maxRollbacks: 2, rollbackWindowMs: 60_000, maxAttempts: 100 });
  const fail = () => {
    rig.healthy(30);
    return rig.run([Number.NaN])[0];
  };
  assert.equal([fail(), fail()], ['rolledBack', 'rolledBack']);
  rig.clock.advance(60_000);
  assert.equal([fail(), fail(), fail()], ['rolledBack', 'rolledBack', 'halt']);
  assert.is(rig.signal.level(), HALT);
  assert.ok(/budget of 2 in 60 s or in a row/.test(rig.signal.history().at(-1)?.reason ?? ''));
  assert.is(rig.run([1])[0], 'halt', 'and stays halted');
  rig.signal.clear(rig.signal.read(), { force: true });
  assert.is(rig.run([1])[0], 'continue', 'until an operator clears it');
  rig.close();
});

test('[R-F7] the baseline goes back with the snapshot, so that an early state is not judged by late losses', () => {
  const rig = createGuardRig({
    keepSnapshots: 100,
    maxAttempts: 1,
    maxRollbacks: 1000,
    snapshotEverySteps: 50,
  });
  for (let i = 0; i < 400; i++) rig.run([Math.max(0.001, 100 * 0.97 ** i)]);
  while (rig.restored.at(-1) !== 50) assert.is(rig.run([Number.NaN])[0], 'rolledBack');
  assert.is(rig.run([20])[0], 'continue', 'as at step 50');
  const { explosions, spikes } = rig.guard.stats();
  assert.equal([explosions, spikes], [0, 0]);
  rig.close();
});

test('[R-F7] a loss that improves fast, to zero or to a new level, raises nothing', () => {
  const shapes: Record<string, (i: number) => number> = {
    cliff: (i) => (i < 100 ? 10 : 0.01),
    decay: (i) => 10 * 0.9 ** i,
    zero: (i) => (i < 50 ? 1 : 0),
    stairs: (i) => 2 ** -Math.floor(i / 40),
    negative: (i) => 5 - i * 0.1,
    tiny: (i) => 1e-12 * (1 + (i % 5)),
  };
  for (const [shape, loss] of Object.entries(shapes)) {
    const rig = createGuardRig();
    rig.run(Array.from({ length: 400 }, (_, i) => loss(i)));
    assert.equal(rig.raises(), [], shape);
    rig.close();
  }
});

test('[R-F7] a loss that stays high without exploding is learnt as the new regime', () => {
  const rig = createGuardRig({ regimeSteps: 50, healthySteps: 10 });
  rig.healthy(100);
  rig.run(Array.from({ length: 100 }, (_, i) => 5 + (i % 3) * 0.1));
  assert.ok(rig.events.some(({ type }) => type === 'rebased'));
  assert.is(rig.guard.stats().baseline?.loss, 5.1);
  assert.is(rig.signal.level(), 0, 'the guard has taken its raise back');
  rig.close();
  const never = createGuardRig({ regimeSteps: 0 });
  never.healthy(100);
  never.run(Array.from({ length: 400 }, () => 5));
  assert.is(never.guard.stats().baseline?.loss, 1);
  never.close();
});

test('[R-F7] with rollback disabled it raises once and goes on', () => {
  const rig = createGuardRig({ rollbackEnabled: false });
  rig.healthy(40);
  assert.equal(rig.run([Number.NaN, Number.NaN, Number.NaN]), ['continue', 'continue', 'continue']);
  assert.equal(rig.raises(), [CONSERVATIVE]);
  assert.equal(rig.restored, []);
  rig.close();
});

test.run();
