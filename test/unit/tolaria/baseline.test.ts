import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { BASELINE_WINDOW, Baseline } from '../../../src/tolaria/baseline.ts';
import { seededRandom } from '../../helpers/seeded.ts';

const test = suite('baseline');
const options = { warmup: 10, minScale: 1e-6, floorFraction: 0.05 };

function medianOf(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] as number;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] as number) + upper) / 2;
}

/** The upper of the two middle deviations when their number is even, as the class says. */
function madOf(values: readonly number[]): number {
  const center = medianOf(values);
  const deviations = values.map((value) => Math.abs(value - center)).sort((a, b) => a - b);
  return deviations[deviations.length >> 1] as number;
}

test('[R-F7] is the exact median and MAD of the last values, however they come', () => {
  const random = seededRandom(20);
  const shapes = {
    noise: () => random() * 10 - 5,
    ties: () => Math.floor(random() * 3),
    rising: (i: number) => i,
    falling: (i: number) => -i,
    wild: () => 10 ** (random() * 300 - 150) * (random() < 0.5 ? -1 : 1),
  };
  for (const [shape, next] of Object.entries(shapes)) {
    const baseline = new Baseline(options);
    const all: number[] = [];
    for (let i = 0; i < 400; i++) {
      const value = next(i);
      all.push(value);
      baseline.push(value);
      const window = all.slice(-BASELINE_WINDOW);
      const close = (a: number, b: number) => Math.abs(a - b) <= 1e-12 * Math.max(Math.abs(a), Math.abs(b));
      assert.ok(close(baseline.median, medianOf(window)), `${shape} ${i}: median`);
      assert.ok(close(baseline.sigma, 1.4826 * madOf(window)), `${shape} ${i}: MAD`);
    }
  }
});

test('[R-F7] is not dragged by spikes that make up less than half of the window', () => {
  const baseline = new Baseline(options);
  for (let i = 0; i < 1000; i++) baseline.push(i % 3 === 0 ? 1e9 : 1 + (i % 7) / 100);
  assert.ok(baseline.median < 1.1, `median ${baseline.median}`);
  assert.ok(baseline.times(15) < 20);
});

test('[R-F7] for losses from 0 up, n times the baseline is n times the median', () => {
  const random = seededRandom(21);
  const baseline = new Baseline({ ...options, floorFraction: 0 });
  for (let i = 0; i < 500; i++) {
    baseline.push((-Math.log(1 - random())) ** 3);
    baseline.push(Math.abs(random() - 0.5) * 1e-3 + (random() < 0.4 ? 10 : 0));
    const expected = 15 * baseline.median;
    assert.ok(Math.abs(baseline.times(15) - expected) <= 1e-9 * expected);
  }
});

test('[R-F7] for losses of either sign the spread counts', () => {
  const random = seededRandom(22);
  const baseline = new Baseline(options);
  for (let i = 0; i < 200; i++) baseline.push(random() * 2 - 1);
  assert.ok(baseline.scale > 0.3, `scale ${baseline.scale}`);
  const below = new Baseline(options);
  for (let i = 0; i < 200; i++) below.push(-3);
  assert.is(below.times(15), -3 + 14 * 3);
});

test('[R-F7] near zero it never counts as less than its floors', () => {
  const baseline = new Baseline({ warmup: 10, minScale: 0.01, floorFraction: 0.05 });
  for (let i = 0; i < 10; i++) baseline.push(2);
  for (let i = 0; i < 100; i++) baseline.push(0);
  assert.ok(Math.abs(baseline.times(15) - 14 * 0.1) < 1e-12, 'five hundredths of the warm-up');
  const always = new Baseline({ warmup: 10, minScale: 0.01, floorFraction: 0.05 });
  for (let i = 0; i < 100; i++) always.push(0);
  assert.ok(Math.abs(always.times(15) - 14 * 0.01) < 1e-12, 'the absolute one');
});

test('[R-F7] a saved state put back goes on like the original', () => {
  const random = seededRandom(23);
  for (const pushes of [0, 3, 63, 64, 65, 200]) {
    const original = new Baseline(options);
    for (let i = 0; i < pushes; i++) original.push(random());
    const copy = new Baseline(options);
    for (let i = 0; i < 77; i++) copy.push(random() * 100);
    const state = original.save();
    copy.restore(state);
    for (let i = 0; i < 150; i++) {
      assert.is(copy.median, original.median, `${pushes}, ${i}`);
      assert.is(copy.times(3), original.times(3), `${pushes}, ${i}`);
      assert.is(copy.ready, original.ready);
      const value = random();
      original.push(value);
      copy.push(value);
    }
  }
});

test('[R-F7] is ready after its warm-up and after a reset only after another', () => {
  const baseline = new Baseline(options);
  for (let i = 0; i < 10; i++) {
    assert.is(baseline.ready, false);
    baseline.push(1);
  }
  assert.is(baseline.ready, true);
  baseline.reset();
  assert.is(baseline.ready, false);
  for (let i = 0; i < 10; i++) baseline.push(100);
  assert.is(baseline.median, 100);
});

test.run();
