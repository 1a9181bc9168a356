import { setImmediate as nextTurn } from 'node:timers/promises';
import { batches, loadMnist } from '../../examples/mnist/mnist-data.ts';
import { createDigitNetwork, startTensorflow } from '../../examples/mnist/network.ts';
import { seededRandom } from '../../examples/mnist/seeded-random.ts';
import { DIGIT_TRAINING } from '../../examples/mnist/training.ts';

const SEED = 1;
const { hidden, learningRate } = DIGIT_TRAINING;
/** A quarter of the demo's: a step of one to two milliseconds, or no emergency could come every ten. */
const BATCH_SIZE = 32;

/** Trains on real digits for at least so many milliseconds, step by step, with a turn of the event loop after each. */
export type Train = (durationMs: number) => Promise<void>;

/** The demo's network. */
export async function startTraining(): Promise<Train> {
  await startTensorflow();
  const network = createDigitNetwork({ hidden, seed: SEED });
  const source = batches(loadMnist().train, BATCH_SIZE, seededRandom(SEED));
  return async (durationMs) => {
    const untilMs = performance.now() + durationMs;
    do {
      network.gradients(source.next().value).apply(learningRate);
      await nextTurn();
    } while (performance.now() < untilMs);
  };
}
