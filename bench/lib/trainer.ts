import { setImmediate as nextTurn } from 'node:timers/promises';
import { batches, loadMnist } from '../../examples/mnist/mnist-data.ts';
import { createDigitNetwork, startTensorflow } from '../../examples/mnist/network.ts';
import { seededRandom } from '../../examples/mnist/seeded-random.ts';

const SEED = 1;
const HIDDEN = [128];
const BATCH_SIZE = 32;
const LEARNING_RATE = 0.05;

/** Trains on real digits for at least so many milliseconds, step by step, with a turn of the event loop after each. */
export type Train = (durationMs: number) => Promise<void>;

/** The demo's network with a small batch: a step of about two milliseconds. */
export async function startTraining(): Promise<Train> {
  await startTensorflow();
  const network = createDigitNetwork({ hidden: HIDDEN, seed: SEED });
  const source = batches(loadMnist().train, BATCH_SIZE, seededRandom(SEED));
  return async (durationMs) => {
    const untilMs = performance.now() + durationMs;
    do {
      network.gradients(source.next().value).apply(LEARNING_RATE);
      await nextTurn();
    } while (performance.now() < untilMs);
  };
}
