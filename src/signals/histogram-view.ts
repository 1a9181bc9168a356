/** What the exports read of a HistogramSnapshot. All times are nanoseconds. */
export interface HistogramView {
  /** Values counted in a bucket. */
  readonly count: number;
  readonly sumNs: number;
  readonly minNs: number;
  readonly maxNs: number;
  /** Values of 2^42 ns (73 minutes) and more: in no bucket and in no sum. */
  readonly outOfRange: number;
  /** NaN and negative values: in no bucket and in no sum. */
  readonly invalid: number;
  /** One count a bucket; see `bucketLowNs` and `bucketWidthNs`. */
  readonly counts: Float64Array;
}
