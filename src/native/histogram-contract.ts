/** The histogram classes of the native addon; see contract.ts. */

export interface NativeHistogram {
  readonly kind: 'shared' | 'process-local';
  readonly name: string;
  readonly path: string;
  /** Random id of the segment, 32 hex digits. */
  readonly nonce: string;
  /**
   * Counters of this object's stripe, f64 each; a reader's are nobody's. [0] sum of values in ns, [1] lowest + 1, [2]
   * highest, [3] out of range, [4] NaN or negative, [5-7] reserved, from [8] one a bucket. Single writer: a plain
   * `counters[i] += 1` records.
   */
  readonly counters: Float64Array;
  /** Sum over all stripes, also those of dead writers. */
  snapshot(): NativeHistogramSnapshot;
  /** Records from C++; the JavaScript hot path writes `counters` itself. */
  record(valueNs: number): void;
  close(): void;
}

/** What a histogram knows beside its buckets. All times are nanoseconds. */
export interface HistogramTotals {
  readonly sumNs: number;
  readonly minNs: number;
  readonly maxNs: number;
  /** Values of 2^42 ns (73 minutes) and more: in no bucket and in no sum. */
  readonly outOfRange: number;
  /** NaN and negative values: in no bucket and in no sum. */
  readonly invalid: number;
  /** Opens to record that found every stripe held, since the segment was created. */
  readonly refusedWriters: number;
}

export interface NativeHistogramSnapshot extends HistogramTotals {
  readonly counts: Float64Array;
}

export interface NativeOpenHistogram {
  readonly name: string;
  readonly kind: 'shared' | 'process-local';
  readonly attachTimeoutMs: number;
  readonly allowGroup: boolean;
  /** Writers that may record at once, 1-64. */
  readonly stripes: number;
  /** Take no stripe: `record` counts nothing then. Default false. */
  readonly readOnly?: boolean;
}
