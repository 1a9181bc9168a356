import { requireRange } from '../core/options.ts';
import { bucketValueNs } from '../native/histogram-buckets.ts';
import type { HistogramView } from './histogram-view.ts';

/**
 * Smallest rank that `percent` of `count` values do not exceed, from 1. In doubles 16.1 % of 1000 is a little more than
 * 161, which would make it 162; the last factor takes back the roundings of the percentage, the product and the
 * quotient.
 */
function rankOf(percent: number, count: number): number {
  return Math.max(1, Math.ceil(((percent * count) / 100) * (1 - 2 ** -51)));
}

/** Nearest-rank percentiles in one pass over the buckets, in the order asked for. See HistogramSnapshot.percentile. */
export function percentilesOf(view: HistogramView, percents: readonly number[]): number[] {
  const wanted = percents.map((percent, at) => {
    requireRange('percentile', 'percent', percent, 0, 100);
    return { at, rank: rankOf(percent, view.count) };
  });
  const out = percents.map(() => 0);
  if (view.count === 0) return out;
  wanted.sort((a, b) => a.rank - b.rank);
  let next = 0;
  let reached = 0;
  for (let index = 0; index < view.counts.length && next < wanted.length; index++) {
    reached += view.counts[index] ?? 0;
    for (let each = wanted[next]; each !== undefined && each.rank <= reached; each = wanted[++next]) {
      out[each.at] = Math.min(view.maxNs, Math.max(view.minNs, bucketValueNs(index)));
    }
  }
  // Only rounding of totals beyond 2^53 leaves a rank unreached.
  for (; next < wanted.length; next++) out[wanted[next]?.at ?? 0] = view.maxNs;
  return out;
}

/** Mean of the values that the buckets stand for, nanoseconds; 0 when empty. */
export function bucketMeanNs({ counts, count }: HistogramView): number {
  if (count === 0) return 0;
  return (
    counts.reduce((sum, each, index) => (each === 0 ? sum : sum + each * bucketValueNs(index)), 0) / count
  );
}

/** Population standard deviation of the values that the buckets stand for, nanoseconds; 0 when empty. */
export function bucketStddevNs(view: HistogramView): number {
  if (view.count === 0) return 0;
  const mean = bucketMeanNs(view);
  const squares = view.counts.reduce(
    (sum, each, index) => (each === 0 ? sum : sum + each * (bucketValueNs(index) - mean) ** 2),
    0,
  );
  return Math.sqrt(squares / view.count);
}
