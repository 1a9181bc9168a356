import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Clock, systemClock } from '../../src/core/clock.ts';
import type { TrainingGuard } from '../../src/tolaria/index.ts';
import { tell } from './events.ts';
import { batches, type Mnist } from './mnist-data.ts';
import { type DigitNetwork, hashWeights, type Weights } from './network.ts';
import { seededRandom } from './seeded-random.ts';

/** What reaches 0.95 on held-out digits within 600 steps; a step takes about three milliseconds. */
export const DIGIT_TRAINING = Object.freeze({ hidden: [128, 64], batchSize: 128, learningRate: 0.25 });

export interface TrainingPlan {
  /** Updates until the training counts as done; it goes on until it is told to halt. */
  readonly steps: number;
  readonly batchSize: number;
  readonly learningRate: number;
  /** Step whose update is made with the wrong rate, once; undefined for a training without a fault. */
  readonly faultAtStep: number | undefined;
  readonly faultFactor: number;
  readonly reportEverySteps: number;
  /** How long to go on after the last step while no HALT comes, milliseconds. */
  readonly overtimeMs: number;
  readonly seed: number;
}

/** Everything that a step changes: going back means putting exactly this back. */
export interface TrainingState {
  readonly weights: Weights;
  readonly learningRate: number;
  readonly updates: number;
  /** SHA-256 of the weights, taken when they were copied. */
  readonly hash: string;
}

interface Restored {
  readonly snapshotHash: string;
  readonly restoredHash: string;
  /** Time that putting the weights back took, without the hashing that proves it. */
  readonly restoreMs: number;
}

export type TrainingEnd = 'halted' | 'never-halted';

/** A training that a TrainingGuard can take back: `snapshot` and `restore` are what the guard is built with. */
export interface Training {
  snapshot(): TrainingState;
  restore(state: TrainingState): void;
  /** Trains until the guard says halt. Tells the demo about its progress, the fault and each rollback. */
  run(guard: Pick<TrainingGuard, 'step'>): Promise<TrainingEnd>;
}

export function createTraining(
  network: DigitNetwork,
  data: Mnist,
  plan: TrainingPlan,
  clock: Clock = systemClock,
): Training {
  const source = batches(data.train, plan.batchSize, seededRandom(plan.seed));
  let updates = 0;
  let learningRate = plan.learningRate;
  let faultPending = plan.faultAtStep !== undefined;
  let reportedStep = 0;
  let restored: Restored | undefined;

  const snapshot = (): TrainingState => {
    const weights = network.copyWeights();
    return { weights, learningRate, updates, hash: hashWeights(weights) };
  };

  const restore = (state: TrainingState): void => {
    const startedMs = clock.monotonicMs();
    network.setWeights(state.weights);
    learningRate = state.learningRate;
    updates = state.updates;
    const restoreMs = clock.monotonicMs() - startedMs;
    // Read back from the tensors: the hash proves what the network holds now, not what was meant for it.
    const restoredHash = hashWeights(network.copyWeights());
    restored = { snapshotHash: state.hash, restoredHash, restoreMs };
  };

  const injectFault = (step: number, loss: number): void => {
    const from = learningRate;
    learningRate *= plan.faultFactor;
    faultPending = false;
    tell({ type: 'fault', step, loss, from, to: learningRate, monotonicMs: clock.monotonicMs() });
  };

  const afterRollback = (step: number, loss: number): void => {
    if (restored === undefined) throw new Error('the guard says it rolled back, but restored nothing');
    learningRate /= 2;
    const toStep = updates + 1;
    const monotonicMs = clock.monotonicMs();
    tell({ type: 'rolledBack', step, loss, toStep, ...restored, learningRate, monotonicMs });
  };

  const report = (step: number, loss: number): void => {
    const done = step === plan.steps;
    const due = step % plan.reportEverySteps === 0 && step < plan.steps;
    // Right after the fault the accuracy shows what it did, although no loss has told anybody yet.
    if (!done && !due && step !== plan.faultAtStep) return;
    // Steps between a snapshot and a rollback come twice.
    if (step <= reportedStep) return;
    reportedStep = step;
    const accuracy = network.accuracy(data.heldOut);
    const monotonicMs = clock.monotonicMs();
    tell({ type: 'progress', step, loss, learningRate, accuracy, monotonicMs });
    if (done) tell({ type: 'target', step, accuracy, monotonicMs });
  };

  const run = async (guard: Pick<TrainingGuard, 'step'>): Promise<TrainingEnd> => {
    let overtimeEndsMs = Number.POSITIVE_INFINITY;
    while (clock.monotonicMs() < overtimeEndsMs) {
      const step = updates + 1;
      const gradients = network.gradients(source.next().value);
      // Asked before the update: what the guard keeps is exactly what produced this loss.
      const verdict = guard.step({ step, loss: gradients.loss, gradNorm: gradients.norm });
      if (verdict === 'continue') {
        if (faultPending && step === plan.faultAtStep) injectFault(step, gradients.loss);
        gradients.apply(learningRate);
        updates = step;
        report(step, gradients.loss);
        if (step === plan.steps) overtimeEndsMs = clock.monotonicMs() + plan.overtimeMs;
      } else {
        gradients.discard();
        if (verdict === 'halt') return 'halted';
        afterRollback(step, gradients.loss);
      }
      // Without a turn of the event loop between two steps, neither stdout nor the watcher would get a word in.
      await nextTurn();
    }
    return 'never-halted';
  };

  return { snapshot, restore, run };
}
