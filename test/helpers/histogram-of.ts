import { COUNTERS_COUNT, FIRST_BUCKET, recordValue } from '../../src/native/histogram-buckets.ts';
import { HistogramSnapshot } from '../../src/signals/index.ts';

/** Cumulative snapshot of a segment that counted these values. */
export function snapshotOf(values: Iterable<number>, segmentId = 'a', refusedWriters = 0): HistogramSnapshot {
  const counters = new Float64Array(COUNTERS_COUNT);
  for (const value of values) recordValue(counters, value);
  const [sumNs = 0, lowest = 0, maxNs = 0, outOfRange = 0, invalid = 0] = counters;
  const counts = counters.slice(FIRST_BUCKET);
  const minNs = Math.max(0, lowest - 1);
  return HistogramSnapshot.fromNative(
    { counts, sumNs, minNs, maxNs, outOfRange, invalid, refusedWriters },
    segmentId,
  );
}

/** Exact nearest-rank percentile, given in thousandths of a percent: the rank is then a division of integers. */
export function exactPercentile(sorted: readonly number[], thousandths: number): number {
  const rank = Number((BigInt(thousandths) * BigInt(sorted.length) + 99_999n) / 100_000n);
  return sorted[Math.max(1, rank) - 1] ?? 0;
}
