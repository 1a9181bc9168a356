import type { HistogramTotals } from '../native/contract.ts';

/** What the exports read of a HistogramSnapshot. */
export interface HistogramView extends Omit<HistogramTotals, 'refusedWriters'> {
  /** Values counted in a bucket. */
  readonly count: number;
  /** One count a bucket; see `bucketLowNs` and `bucketWidthNs`. */
  readonly counts: Float64Array;
}
