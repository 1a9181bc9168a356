import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Random } from '../../src/core/random.ts';
import { shuffle } from './seeded-random.ts';

export const IMAGE_SIZE = 28 * 28;
export const CLASS_COUNT = 10;

/** One image of every five is held out. The package's own split is random, so two runs could not be compared. */
const HOLD_OUT_EVERY = 5;

export interface DigitSet {
  readonly count: number;
  /** `count` × 784 grey values, 0 to 1. */
  readonly images: Float32Array;
  /** The digit that each image shows. */
  readonly labels: Int32Array;
}

export interface Mnist {
  readonly train: DigitSet;
  /** Never trained on. */
  readonly heldOut: DigitSet;
}

/** Reads the 10,000 real handwritten digits that the `mnist` package carries; no network. */
export function loadMnist(): Mnist {
  const digits = Array.from({ length: CLASS_COUNT }, (_, digit) => readDigit(digit));
  return {
    train: collect(digits, (index) => index % HOLD_OUT_EVERY !== 0),
    heldOut: collect(digits, (index) => index % HOLD_OUT_EVERY === 0),
  };
}

function readDigit(digit: number): readonly number[] {
  const path = createRequire(import.meta.url).resolve(`mnist/src/digits/${digit}.json`);
  const content = JSON.parse(readFileSync(path, 'utf8')) as { data: number[] };
  return content.data;
}

function collect(digits: readonly (readonly number[])[], wanted: (index: number) => boolean): DigitSet {
  const chosen: { digit: number; start: number }[] = [];
  for (const [digit, pixels] of digits.entries()) {
    const images = Math.floor(pixels.length / IMAGE_SIZE);
    for (let index = 0; index < images; index += 1) {
      if (wanted(index)) chosen.push({ digit, start: index * IMAGE_SIZE });
    }
  }
  const images = new Float32Array(chosen.length * IMAGE_SIZE);
  const labels = new Int32Array(chosen.length);
  for (const [position, { digit, start }] of chosen.entries()) {
    images.set(digits[digit]!.slice(start, start + IMAGE_SIZE), position * IMAGE_SIZE);
    labels[position] = digit;
  }
  return { count: chosen.length, images, labels };
}

/** Endless batches: every image once per epoch, in an order that only the given randomness decides. */
export function* batches(digits: DigitSet, batchSize: number, random: Random): Generator<DigitSet, never> {
  const order = Uint32Array.from({ length: digits.count }, (_, index) => index);
  for (;;) {
    shuffle(order, random);
    for (let start = 0; start + batchSize <= order.length; start += batchSize) {
      yield pick(digits, order.subarray(start, start + batchSize));
    }
  }
}

function pick(digits: DigitSet, indices: Uint32Array): DigitSet {
  const images = new Float32Array(indices.length * IMAGE_SIZE);
  const labels = new Int32Array(indices.length);
  for (const [position, index] of indices.entries()) {
    images.set(digits.images.subarray(index * IMAGE_SIZE, (index + 1) * IMAGE_SIZE), position * IMAGE_SIZE);
    labels[position] = digits.labels[index]!;
  }
  return { count: indices.length, images, labels };
}
