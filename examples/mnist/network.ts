import { createHash } from 'node:crypto';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { setThreadsCount, setWasmPaths } from '@tensorflow/tfjs-backend-wasm';
import { CLASS_COUNT, type DigitSet, IMAGE_SIZE } from './mnist-data.ts';

/** Weights of one moment, copied out of the tensors: later training does not change them. */
export type Weights = readonly Float32Array[];

/** What one forward and backward pass found, before anything was changed. */
export interface Gradients {
  readonly loss: number;
  /** Euclidean norm over all weights. */
  readonly norm: number;
  /** Moves the weights against the gradients. Call this or `discard`, once. */
  apply(learningRate: number): void;
  discard(): void;
}

export interface DigitNetwork {
  readonly parameterCount: number;
  /** One pass over a batch; the weights stay as they are until `apply`. */
  gradients(batch: DigitSet): Gradients;
  /** Share of the digits that the network names correctly, 0 to 1. */
  accuracy(digits: DigitSet): number;
  copyWeights(): Weights;
  setWeights(weights: Weights): void;
}

/** Points tfjs at the WebAssembly files inside node_modules; without a path it would look next to the script. */
export async function startTensorflow(): Promise<string> {
  const resolve = createRequire(import.meta.url).resolve;
  const packageDirectory = dirname(resolve('@tensorflow/tfjs-backend-wasm/package.json'));
  setWasmPaths(`${join(packageDirectory, 'dist')}/`);
  // One thread sums in one order: the same seed gives the same weights, bit by bit.
  setThreadsCount(1);
  if (!(await tf.setBackend('wasm'))) throw new Error('tfjs could not start its WebAssembly backend');
  return `tfjs ${tf.version.tfjs}, ${tf.getBackend()} backend`;
}

/** Dense network 784 → hidden → 10, ReLU between, trained by plain stochastic gradient descent. */
export function createDigitNetwork(options: { hidden: readonly number[]; seed: number }): DigitNetwork {
  const widths = [IMAGE_SIZE, ...options.hidden, CLASS_COUNT];
  const variables = widths.slice(1).flatMap((width, layer) => {
    const inputs = widths[layer]!;
    // He initialisation: keeps the signal's size through ReLU layers.
    const kernel = tf.randomNormal(
      [inputs, width],
      0,
      Math.sqrt(2 / inputs),
      'float32',
      options.seed + layer,
    );
    return [tf.variable(kernel), tf.variable(tf.zeros([width]))];
  });

  const forward = (images: tf.Tensor2D): tf.Tensor2D => {
    let signal = images;
    for (let index = 0; index < variables.length; index += 2) {
      const output = signal.matMul(variables[index]!).add(variables[index + 1]!) as tf.Tensor2D;
      signal = index + 2 < variables.length ? output.relu() : output;
    }
    return signal;
  };

  return {
    parameterCount: variables.reduce((sum, variable) => sum + variable.size, 0),
    gradients: (batch) => computeGradients(variables, forward, batch),
    accuracy: (digits) => measureAccuracy(forward, digits),
    copyWeights: () => variables.map((variable) => Float32Array.from(variable.dataSync())),
    setWeights: (weights) => {
      for (const [index, variable] of variables.entries()) {
        tf.tidy(() => variable.assign(tf.tensor(weights[index]!, variable.shape)));
      }
    },
  };
}

function computeGradients(
  variables: readonly tf.Variable[],
  forward: (images: tf.Tensor2D) => tf.Tensor2D,
  batch: DigitSet,
): Gradients {
  const { loss, norm, grads } = tf.tidy(() => {
    const images = tf.tensor2d(batch.images, [batch.count, IMAGE_SIZE]);
    const expected = tf.oneHot(tf.tensor1d(batch.labels, 'int32'), CLASS_COUNT);
    const found = tf.variableGrads(
      () => tf.losses.softmaxCrossEntropy(expected, forward(images)).asScalar(),
      [...variables],
    );
    const squares = Object.values(found.grads).map((grad) => grad.square().sum());
    return {
      loss: found.value.dataSync()[0]!,
      norm: Math.sqrt(tf.addN(squares).dataSync()[0]!),
      grads: found.grads,
    };
  });
  return {
    loss,
    norm,
    apply: (learningRate) => {
      const optimizer = tf.train.sgd(learningRate);
      optimizer.applyGradients(grads);
      optimizer.dispose();
      tf.dispose(grads);
    },
    discard: () => tf.dispose(grads),
  };
}

function measureAccuracy(forward: (images: tf.Tensor2D) => tf.Tensor2D, digits: DigitSet): number {
  const answers = tf.tidy(() => {
    const images = tf.tensor2d(digits.images, [digits.count, IMAGE_SIZE]);
    return forward(images).argMax(1).dataSync();
  });
  let correct = 0;
  for (const [index, label] of digits.labels.entries()) if (answers[index] === label) correct += 1;
  return correct / digits.count;
}

/** SHA-256 over every bit of the weights, lower-case hex: equal hashes mean equal weights. */
export function hashWeights(weights: Weights): string {
  const hash = createHash('sha256');
  for (const layer of weights) hash.update(new Uint8Array(layer.buffer, layer.byteOffset, layer.byteLength));
  return hash.digest('hex');
}
