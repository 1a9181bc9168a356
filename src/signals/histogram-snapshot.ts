import { requireRange } from '../core/options.ts';
import type { NativeHistogramSnapshot } from '../native/contract.ts';
import { bucketLowNs, bucketValueNs, bucketWidthNs } from '../native/histogram-buckets.ts';

interface Totals {
  readonly sumNs: number;
  readonly minNs: number;
  readonly maxNs: number;
  readonly outOfRange: number;
  readonly invalid: number;
}

/**
 * Counts of a latency histogram at one moment. All times are nanoseconds. An empty snapshot answers 0 everywhere.
 * While other processes record, a snapshot may hold a value's count and not yet its part of the sum.
 */
export class HistogramSnapshot {
  /** Values counted in a bucket. */
  readonly count: number;
  readonly sumNs: number;
  /** Exact, but for a difference of two snapshots: then the edges of the outermost buckets in use. */
  readonly minNs: number;
  readonly maxNs: number;
  /** Values of 2^42 ns (73 minutes) and more. */
  readonly outOfRange: number;
  /** NaN and negative values. */
  readonly invalid: number;
  /** One count a bucket; see `bucketLowNs` and `bucketWidthNs`. */
  readonly counts: Float64Array;

  constructor(counts: Float64Array, totals: Totals) {
    this.counts = counts;
    this.count = counts.reduce((sum, count) => sum + count, 0);
    this.sumNs = totals.sumNs;
    this.minNs = totals.minNs;
    this.maxNs = totals.maxNs;
    this.outOfRange = totals.outOfRange;
    this.invalid = totals.invalid;
    Object.freeze(this);
  }

  static fromNative(native: NativeHistogramSnapshot): HistogramSnapshot {
    // The stored minimum is 0 while there is none, so a recorded 0 is known by its bucket alone.
    const minNs = (native.counts[0] ?? 0) > 0 ? 0 : native.minNs;
    return new HistogramSnapshot(native.counts, { ...native, minNs });
  }

  /** Arithmetic mean, nanoseconds; from the exact sum, not from the buckets. */
  get meanNs(): number {
    return this.count === 0 ? 0 : this.sumNs / this.count;
  }

  /**
   * Smallest value that at least `percent` of the values do not exceed (nearest rank), nanoseconds: exact up to
   * 255 ns, then within 1/256 (0.39 %). Throws OptionError outside 0-100.
   */
  percentile(percent: number): number {
    requireRange('percentile', 'percent', percent, 0, 100);
    if (this.count === 0) return 0;
    const rank = Math.max(1, Math.ceil((percent / 100) * this.count));
    let reached = 0;
    for (let index = 0; index < this.counts.length; index++) {
      reached += this.counts[index] ?? 0;
      if (reached >= rank) return Math.min(this.maxNs, Math.max(this.minNs, bucketValueNs(index)));
    }
    return this.maxNs;
  }

  /** What was recorded after `earlier`, a snapshot of the same histogram. */
  subtract(earlier: HistogramSnapshot): HistogramSnapshot {
    const counts = this.counts.map((count, index) => Math.max(0, count - (earlier.counts[index] ?? 0)));
    const lowest = counts.findIndex((count) => count > 0);
    const highest = counts.findLastIndex((count) => count > 0);
    return new HistogramSnapshot(counts, {
      sumNs: this.sumNs - earlier.sumNs,
      minNs: lowest === -1 ? 0 : Math.max(this.minNs, bucketLowNs(lowest)),
      maxNs: highest === -1 ? 0 : Math.min(this.maxNs, bucketLowNs(highest) + bucketWidthNs(highest)),
      outOfRange: this.outOfRange - earlier.outOfRange,
      invalid: this.invalid - earlier.invalid,
    });
  }
}
