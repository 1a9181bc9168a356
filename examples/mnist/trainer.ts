/**
 * The training process: a dense network on MNIST digits under a TrainingGuard. Which flag, run, host and bus it uses
 * comes from the environment, as in any trainer; what goes wrong comes from the arguments.
 */
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { systemClock } from '../../src/core/clock.ts';
import { errorMessage } from '../../src/core/errors.ts';
import { tolariaSettingsFromEnv } from '../../src/tolaria/index.ts';
import { tell } from './events.ts';
import { loadMnist } from './mnist-data.ts';
import { createDigitNetwork, startTensorflow } from './network.ts';
import { protect } from './protection.ts';
import { createTraining, DIGIT_TRAINING, type TrainingPlan } from './training.ts';

/** Long: the operator waits for the trainer of the slowest host. The demo bounds its own waits. */
const OVERTIME_MS = 900_000;
const REPORTS = 16;

function readPlan(): TrainingPlan {
  const { values } = parseArgs({
    options: {
      steps: { type: 'string', default: '800' },
      seed: { type: 'string', default: '7' },
      'fault-at': { type: 'string' },
      'fault-factor': { type: 'string', default: '1000' },
    },
  });
  const steps = Number(values.steps);
  return {
    steps,
    batchSize: DIGIT_TRAINING.batchSize,
    learningRate: DIGIT_TRAINING.learningRate,
    faultAtStep: values['fault-at'] === undefined ? undefined : Number(values['fault-at']),
    faultFactor: Number(values['fault-factor']),
    reportEverySteps: 10 * Math.max(1, Math.round(steps / REPORTS / 10)),
    overtimeMs: OVERTIME_MS,
    seed: Number(values.seed),
  };
}

async function main(): Promise<void> {
  // The demo holds the other end of stdin and closes it to let a halted trainer go. Closed earlier, it has died.
  let stopped = false;
  const letGo = once(process.stdin.resume(), 'end');
  void letGo.then(() => stopped || process.exit(1));

  const plan = readPlan();
  const backend = await startTensorflow();
  const data = loadMnist();
  const network = createDigitNetwork({ hidden: DIGIT_TRAINING.hidden, seed: plan.seed });
  const training = createTraining(network, data, plan);
  const protection = await protect(training, tolariaSettingsFromEnv(process.env));

  tell({
    type: 'trainerReady',
    pid: process.pid,
    backend,
    parameters: network.parameterCount,
    trainDigits: data.train.count,
    heldOutDigits: data.heldOut.count,
    signalKind: protection.signalKind,
    monotonicMs: systemClock.monotonicMs(),
  });
  const end = await training.run(protection.guard);
  if (end === 'never-halted') throw new Error(`no HALT came in ${OVERTIME_MS} ms after the last step`);
  tell({
    type: 'finished',
    step: training.snapshot().updates,
    testAccuracy: network.accuracy(data.heldOut),
    rollbacks: protection.guard.stats().rollbacks,
    monotonicMs: systemClock.monotonicMs(),
  });
  // Frozen, but there: whoever leaves at once counts as gone, and a supervisor may look later than that.
  stopped = true;
  await letGo;
  await protection.close();
}

try {
  await main();
} catch (error) {
  tell({ type: 'failed', message: errorMessage(error), monotonicMs: systemClock.monotonicMs() });
  process.exit(1);
}
