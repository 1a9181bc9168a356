import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { BUCKET_COUNT, recordValue, TOTALS_COUNT } from '../../src/native/histogram-buckets.ts';
import { HistogramSnapshot } from '../../src/signals/index.ts';

const test = suite('histogram snapshot');

function snapshotOf(values: readonly number[]): HistogramSnapshot {
  const counts = new Float64Array(BUCKET_COUNT);
  const totals = new Float64Array(TOTALS_COUNT);
  for (const value of values) recordValue(counts, totals, value);
  const [sumNs = 0, minNs = 0, maxNs = 0, outOfRange = 0, invalid = 0] = totals;
  return HistogramSnapshot.fromNative({ counts, sumNs, minNs, maxNs, outOfRange, invalid });
}

test('[R-B3] percentiles are within 1/256 of the exact nearest rank', () => {
  const values = Array.from({ length: 5000 }, (_, i) => (i * i * 37) % 10_000_019);
  const sorted = [...values].sort((a, b) => a - b);
  const snapshot = snapshotOf(values);
  for (const percent of [0, 0.1, 1, 25, 50, 75, 90, 99, 99.9, 100]) {
    const exact = sorted[Math.max(1, Math.ceil((percent / 100) * sorted.length)) - 1] ?? 0;
    const error = Math.abs(snapshot.percentile(percent) - exact);
    assert.ok(error <= exact / 256, `p${percent}: exact ${exact}, got ${snapshot.percentile(percent)}`);
  }
});

test('[R-B3] a percentile outside 0-100 is refused', () => {
  const snapshot = snapshotOf([1]);
  for (const percent of [-1, 100.1, Number.NaN]) {
    assert.throws(
      () => snapshot.percentile(percent),
      (e: { code?: string }) => e.code === 'ESPER_OPTION_INVALID',
    );
  }
});

test('[R-B3] intervals sum to the total', () => {
  const values = Array.from({ length: 300 }, (_, i) => (i * 7919) % 100_003);
  const [a, b, c] = [snapshotOf(values.slice(0, 100)), snapshotOf(values.slice(0, 200)), snapshotOf(values)];
  const parts = [a, b.subtract(a), c.subtract(b)];
  assert.is(
    parts.reduce((sum, part) => sum + part.count, 0),
    c.count,
  );
  assert.is(
    parts.reduce((sum, part) => sum + part.sumNs, 0),
    c.sumNs,
  );
  for (const part of parts) assert.ok(part.minNs <= part.percentile(50) && part.percentile(50) <= part.maxNs);
});

test('[R-B3] an empty interval answers 0', () => {
  const snapshot = snapshotOf([5, 500]);
  const none = snapshot.subtract(snapshot);
  assert.equal([none.count, none.minNs, none.maxNs, none.meanNs, none.percentile(99)], [0, 0, 0, 0, 0]);
});

test.run();
