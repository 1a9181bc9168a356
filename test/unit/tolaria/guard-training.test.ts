import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { EmergencyLevel } from '../../../src/leyline/messages.ts';
import { createTrainingGuard, type GuardEvent } from '../../../src/tolaria/index.ts';
import { hashOf, RegressionTrainer } from '../../helpers/regression-trainer.ts';
import { createTrainerHost } from '../../helpers/trainer-host.ts';

const test = suite('training guard on a real training');
const { EMERGENCY_LEVEL_CONSERVATIVE: CONSERVATIVE } = EmergencyLevel;

const callbacks = ({ snapshot, restore }: RegressionTrainer) => ({ snapshot, restore });

test('[R-F7] [R-F3] a rate that explodes the loss: raised, rolled back byte for byte, trained on, cleared', async () => {
  const host = createTrainerHost();
  const trainer = new RegressionTrainer(1);
  const hashes = new Map<number, string>();
  const events: GuardEvent[] = [];
  let restoredHash = '';
  const guard = createTrainingGuard({
    controller: host.controller,
    snapshot: () => {
      const state = trainer.snapshot();
      hashes.set(state.step, hashOf(state.weights));
      return state;
    },
    restore: (state) => {
      trainer.restore(state);
      restoredHash = trainer.hash();
    },
    checksum: ({ weights }) => hashOf(weights),
    onEvent: (event) => events.push(event),
  });

  let beforeFault = 0;
  for (let i = 0; i < 400; i++) {
    beforeFault = trainer.train().loss;
    assert.is(guard.step({ step: trainer.step, loss: beforeFault }), 'continue');
  }
  const faultStep = trainer.step;
  assert.is(host.signal.level(), 0);
  trainer.learningRate *= 1000;

  let outcome = 'continue';
  let worst = 0;
  while (outcome === 'continue') {
    const report = trainer.train();
    worst = report.loss;
    outcome = guard.step(report);
  }
  assert.is(outcome, 'rolledBack');
  assert.ok(worst > 15 * beforeFault);
  assert.is(host.signal.level(), CONSERVATIVE);
  assert.ok(trainer.step < faultStep, 'a snapshot from before the fault');
  assert.is(restoredHash, hashes.get(trainer.step), 'exactly the weights of that step');
  const rolledBack = events.find(({ type }) => type === 'rolledBack');
  assert.ok(rolledBack?.type === 'rolledBack' && rolledBack.toStep === trainer.step);
  const exploded = events.find((event) => event.type === 'anomaly' && event.anomaly.kind === 'explosion');
  assert.is(exploded?.type === 'anomaly' && exploded.signalId, host.signal.history().at(-1)?.signalId);

  trainer.learningRate /= 1000;
  let last = 0;
  for (let i = 0; i < 100; i++) {
    const report = trainer.train();
    last = report.loss;
    assert.is(guard.step(report), 'continue');
  }
  assert.ok(last < 3 * beforeFault, 'well again');
  assert.is(host.signal.level(), 0, 'the guard took its own raise back');
  const history = host.signal.history();
  assert.equal(
    history.slice(-2).map(({ kind, level }) => [kind, level]),
    [
      ['trigger', CONSERVATIVE],
      ['clear', 0],
    ],
  );
  assert.is(history.at(-1)?.clearedSignalId, history.at(-2)?.signalId);
  await host.controller.flush({ deadlineMs: 5000 });
  assert.equal(
    (await host.emergencies()).map(({ attributes }) => attributes.action),
    [undefined, 'clear'],
  );
  assert.is(guard.stats().rollbacks, 1);
  guard.close();
  await host.close();
});

test('[R-F7] weights that became NaN at any step are rolled back to finite ones', async () => {
  for (const failAt of [1, 2, 7, 21, 60, 133]) {
    const host = createTrainerHost();
    const trainer = new RegressionTrainer(failAt);
    const guard = createTrainingGuard({ ...callbacks(trainer), controller: host.controller });
    let rolledBack = false;
    while (!rolledBack) {
      if (trainer.step === failAt) trainer.weights[3] = Number.NaN;
      rolledBack = guard.step(trainer.train()) === 'rolledBack';
    }
    assert.ok(trainer.step < failAt || failAt === 1, `${failAt}: restored step ${trainer.step}`);
    assert.ok(trainer.weights.every(Number.isFinite), `failed at ${failAt}`);
    guard.close();
    await host.close();
  }
});

test('[R-F7] an ordinary training from its first step to its noise floor raises nothing', async () => {
  for (let seed = 100; seed < 120; seed++) {
    const host = createTrainerHost();
    const trainer = new RegressionTrainer(seed);
    const guard = createTrainingGuard({
      ...callbacks(trainer),
      controller: host.controller,
      gradExplosionFactor: 100,
    });
    for (let i = 0; i < 1500; i++) guard.step(trainer.train());
    const { spikes, explosions } = guard.stats();
    assert.equal([spikes, explosions, host.signal.history().length], [0, 0, 0], `seed ${seed}`);
    guard.close();
    await host.close();
  }
});

test('[R-F7] a snapshot that aliases the live weights is found by its checksum, not restored', async () => {
  const host = createTrainerHost();
  const trainer = new RegressionTrainer(2);
  const events: GuardEvent[] = [];
  const guard = createTrainingGuard({
    controller: host.controller,
    snapshot: () => ({ weights: trainer.weights, step: trainer.step }),
    restore: trainer.restore,
    checksum: ({ weights }) => hashOf(weights),
    onEvent: (event) => events.push(event),
  });
  for (let i = 0; i < 50; i++) guard.step(trainer.train());
  assert.is(guard.step({ step: 51, loss: Number.NaN }), 'halt');
  assert.is(guard.lastKnownGood(), undefined, 'nor offered for saving');
  const causes = events.flatMap((event) => (event.type === 'quarantined' ? [event.cause] : []));
  assert.equal(causes, ['checksum', 'checksum']);
  assert.ok(events.some(({ type }) => type === 'noSnapshot'));
  guard.close();
  await host.close();
});

test.run();
