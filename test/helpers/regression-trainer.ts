import { createHash } from 'node:crypto';
import { seededRandom } from './seeded.ts';

export interface RegressionState {
  readonly weights: Float64Array;
  readonly step: number;
}

const FEATURES = 8;
const BATCH = 16;

/** A real training: linear regression by SGD with momentum-free mini-batches. Too large a rate truly explodes. */
export class RegressionTrainer {
  weights = new Float64Array(FEATURES);
  step = 0;
  learningRate: number;
  readonly #random: () => number;
  readonly #truth: Float64Array;

  constructor(seed: number, learningRate = 0.05) {
    this.#random = seededRandom(seed);
    this.learningRate = learningRate;
    this.#truth = Float64Array.from({ length: FEATURES }, () => this.#random() * 4 - 2);
  }

  /** One step of SGD: mean squared error before the update, and the norm of its gradient. */
  train(): { step: number; loss: number; gradNorm: number } {
    const gradient = new Float64Array(FEATURES);
    let loss = 0;
    for (let i = 0; i < BATCH; i++) {
      const x = Float64Array.from({ length: FEATURES }, () => this.#random() * 2 - 1);
      const noise = (this.#random() - 0.5) * 0.2;
      const error = dot(this.weights, x) - dot(this.#truth, x) - noise;
      loss += (error * error) / BATCH;
      for (let f = 0; f < FEATURES; f++)
        gradient[f] = (gradient[f] as number) + (2 * error * (x[f] as number)) / BATCH;
    }
    for (let f = 0; f < FEATURES; f++) {
      this.weights[f] = (this.weights[f] as number) - this.learningRate * (gradient[f] as number);
    }
    this.step += 1;
    return { step: this.step, loss, gradNorm: Math.sqrt(dot(gradient, gradient)) };
  }

  readonly snapshot = (): RegressionState => ({ weights: this.weights.slice(), step: this.step });

  readonly restore = (state: RegressionState): void => {
    this.weights.set(state.weights);
    this.step = state.step;
  };

  hash(): string {
    return hashOf(this.weights);
  }
}

export function hashOf(weights: Float64Array): string {
  return createHash('sha256').update(new Uint8Array(weights.buffer)).digest('hex');
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] as number) * (b[i] as number);
  return sum;
}
