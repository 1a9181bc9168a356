import { bucketLowNs, bucketWidthNs } from '../native/histogram-buckets.ts';
import type { HistogramView } from './histogram-view.ts';

export interface Corrected {
  readonly counts: Float64Array;
  readonly sumNs: number;
  readonly minNs: number;
}

/**
 * Adds the values that were never recorded because a slow one held up those behind it: for a value v, also v - i,
 * v - 2i and so on, down to i. As HdrHistogram's copyCorrectedForCoordinatedOmission, to the count: v is the highest
 * whole value of its bucket. The series of a bucket is not walked but divided among the buckets below it, so the work
 * is bounded by the number of buckets, whatever the interval.
 */
export function correctForOmission(view: HistogramView, intervalNs: number): Corrected {
  const counts = view.counts.slice();
  let { sumNs } = view;
  let minNs = view.minNs;
  view.counts.forEach((count, index) => {
    if (count === 0) return;
    const value = bucketLowNs(index) + bucketWidthNs(index) - 1;
    const last = Math.floor(value / intervalNs) - 1;
    if (last < 1) return;
    minNs = Math.min(minNs, value - last * intervalNs);
    for (let target = index, first = 1; first <= last; target--) {
      // Those of the series that are not below the bucket: value - k * intervalNs >= low.
      const through = Math.min(last, Math.floor((value - bucketLowNs(target)) / intervalNs));
      const added = through - first + 1;
      if (added <= 0) continue;
      counts[target] = (counts[target] ?? 0) + added * count;
      sumNs += count * (added * value - intervalNs * ((added * (first + through)) / 2));
      first = through + 1;
    }
  });
  return { counts, sumNs, minNs };
}
