import type { HistogramTotals, NativeHistogramSnapshot } from '../native/contract.ts';
import { BUCKET_COUNT, bucketLowNs, bucketWidthNs } from '../native/histogram-buckets.ts';
import { HistogramMismatchError, requireInteger } from './errors.ts';
import { correctForOmission } from './histogram-correction.ts';
import { toHdrBase64 } from './histogram-export/hdr.ts';
import { type HgrmOptions, toHgrm } from './histogram-export/hgrm.ts';
import {
  type OtelExponentialHistogram,
  type OtelOptions,
  toOtelExponential,
} from './histogram-export/otel-exponential.ts';
import { type PrometheusOptions, toPrometheus } from './histogram-export/prometheus.ts';
import { type HistogramJson, readHistogramJson, sparseBuckets } from './histogram-json.ts';
import { bucketStddevNs, percentilesOf } from './histogram-statistics.ts';
import type { HistogramView } from './histogram-view.ts';

const NO_TOTALS: HistogramTotals = {
  sumNs: 0,
  minNs: 0,
  maxNs: 0,
  outOfRange: 0,
  invalid: 0,
  refusedWriters: 0,
};
/** Longest interval between samples that makes sense: nothing longer is counted. */
const MAX_INTERVAL_NS = 2 ** 42 - 1;

const lastNs = (index: number): number => bucketLowNs(index) + bucketWidthNs(index) - 1;

/**
 * Counts of a latency histogram at one moment. All times are nanoseconds. An empty snapshot answers 0 everywhere.
 * While other processes record it is not one instant: the sum may hold what they recorded meanwhile, not counted yet.
 */
export class HistogramSnapshot implements HistogramView {
  readonly count: number;
  readonly sumNs: number;
  /** Exact; of an interval, unless it is the lowest since the beginning, the lower edge of its bucket. */
  readonly minNs: number;
  /** Exact; of an interval, unless it is the highest since the beginning, the last nanosecond of its bucket. */
  readonly maxNs: number;
  readonly outOfRange: number;
  readonly invalid: number;
  /** Opens to record that found every stripe held: what those processes recorded is not in here. */
  readonly refusedWriters: number;
  /** Segment that these counts are of, since its creation; '' for an interval, a sum or a corrected copy. */
  readonly segmentId: string;
  readonly counts: Float64Array;

  constructor(counts: Float64Array, totals: HistogramTotals, segmentId = '') {
    this.counts = counts;
    this.count = counts.reduce((sum, count) => sum + count, 0);
    this.sumNs = totals.sumNs;
    this.minNs = totals.minNs;
    this.maxNs = totals.maxNs;
    this.outOfRange = totals.outOfRange;
    this.invalid = totals.invalid;
    this.refusedWriters = totals.refusedWriters;
    this.segmentId = segmentId;
    Object.freeze(this);
  }

  static fromNative(native: NativeHistogramSnapshot, segmentId = ''): HistogramSnapshot {
    const lowest = native.counts.findIndex((count) => count > 0);
    if (lowest === -1)
      return new HistogramSnapshot(native.counts, { ...native, minNs: 0, maxNs: 0 }, segmentId);
    const highest = native.counts.findLastIndex((count) => count > 0);
    // A writer may have counted a value whose extremes are not visible yet: then its bucket is what is known. The
    // minimum is 0 also while there is none, so a recorded 0 is known by its bucket.
    const known = native.minNs > 0 || lowest === 0;
    const minNs = known && native.minNs <= lastNs(lowest) + 1 ? native.minNs : bucketLowNs(lowest);
    const maxNs = Math.max(native.maxNs, bucketLowNs(highest));
    return new HistogramSnapshot(native.counts, { ...native, minNs, maxNs }, segmentId);
  }

  /** What `toJSON` made. Throws HistogramFormatError on anything else. */
  static fromJSON(json: unknown): HistogramSnapshot {
    const { counts, segmentId, ...totals } = readHistogramJson(json);
    return new HistogramSnapshot(counts, totals, segmentId);
  }

  /**
   * Sum of snapshots of different segments, or of intervals. Throws HistogramMismatchError when two are of one
   * segment: what they have in common would count twice.
   */
  static merge(snapshots: Iterable<HistogramSnapshot>): HistogramSnapshot {
    const counts = new Float64Array(BUCKET_COUNT);
    const segments = new Set<string>();
    let totals = NO_TOTALS;
    let any = false;
    for (const each of snapshots) {
      if (each.segmentId !== '' && segments.has(each.segmentId)) {
        throw new HistogramMismatchError(`two snapshots of segment ${each.segmentId} would count twice`);
      }
      segments.add(each.segmentId);
      each.counts.forEach((count, index) => {
        counts[index] = (counts[index] ?? 0) + count;
      });
      totals = {
        sumNs: totals.sumNs + each.sumNs,
        minNs: each.count === 0 ? totals.minNs : any ? Math.min(totals.minNs, each.minNs) : each.minNs,
        maxNs: Math.max(totals.maxNs, each.maxNs),
        outOfRange: totals.outOfRange + each.outOfRange,
        invalid: totals.invalid + each.invalid,
        refusedWriters: totals.refusedWriters + each.refusedWriters,
      };
      any ||= each.count > 0;
    }
    return new HistogramSnapshot(counts, totals);
  }

  merge(other: HistogramSnapshot): HistogramSnapshot {
    return HistogramSnapshot.merge([this, other]);
  }

  /**
   * What was recorded after `earlier`, an earlier snapshot of the same segment. Throws HistogramMismatchError when it
   * is of another segment, of none, or later.
   */
  subtract(earlier: HistogramSnapshot): HistogramSnapshot {
    if (this.segmentId === '' || earlier.segmentId !== this.segmentId) {
      const [ours, theirs] = [this, earlier].map(({ segmentId }) => (segmentId === '' ? 'none' : segmentId));
      throw new HistogramMismatchError(`a snapshot of segment ${theirs} from one of segment ${ours}`);
    }
    const counts = this.counts.map((count, index) => count - (earlier.counts[index] ?? 0));
    const outOfRange = this.outOfRange - earlier.outOfRange;
    const invalid = this.invalid - earlier.invalid;
    const refusedWriters = this.refusedWriters - earlier.refusedWriters;
    // No counter ever falls.
    if (outOfRange < 0 || invalid < 0 || refusedWriters < 0 || counts.some((count) => count < 0)) {
      throw new HistogramMismatchError('the snapshot to subtract is the later one');
    }
    const lowest = counts.findIndex((count) => count > 0);
    const highest = counts.findLastIndex((count) => count > 0);
    const lowered = earlier.count === 0 || this.minNs < earlier.minNs;
    return new HistogramSnapshot(counts, {
      sumNs: Math.max(0, this.sumNs - earlier.sumNs),
      minNs: lowest === -1 ? 0 : lowered ? this.minNs : Math.max(this.minNs, bucketLowNs(lowest)),
      maxNs:
        highest === -1 ? 0 : this.maxNs > earlier.maxNs ? this.maxNs : Math.min(this.maxNs, lastNs(highest)),
      outOfRange,
      invalid,
      refusedWriters,
    });
  }

  /** Arithmetic mean, nanoseconds; from the exact sum, not from the buckets. */
  get meanNs(): number {
    return this.count === 0 ? 0 : this.sumNs / this.count;
  }

  /** Population standard deviation, nanoseconds; each value taken as the middle of its bucket. */
  get stddevNs(): number {
    return bucketStddevNs(this);
  }

  /**
   * Smallest recorded value that at least `percent` of the values do not exceed (nearest rank), nanoseconds: told as
   * the middle of its bucket, never outside [minNs, maxNs], so within 1/256 (0.39 %) of it, and exact up to 255 ns.
   * `percent` means the decimal as it is written: 99.9 is 999 of 1000. Throws OptionError outside 0-100.
   */
  percentile(percent: number): number {
    return percentilesOf(this, [percent])[0] ?? 0;
  }

  /** Several percentiles in one pass, in the order asked for. */
  percentiles(percents: readonly number[]): number[] {
    return percentilesOf(this, percents);
  }

  /**
   * A copy with the values that coordinated omission kept from being recorded: whoever measures one after the other
   * and meant to start one every `expectedIntervalNs` has, for each slow one, not measured those that would have
   * waited behind it. HdrHistogram's semantics. `expectedIntervalNs`: an integer from 1 to 2^42 - 1.
   */
  correctedForOmission(expectedIntervalNs: number): HistogramSnapshot {
    requireInteger('correctedForOmission', 'expectedIntervalNs', expectedIntervalNs, 1, MAX_INTERVAL_NS);
    const { counts, ...changed } = correctForOmission(this, expectedIntervalNs);
    return new HistogramSnapshot(counts, { ...this, ...changed });
  }

  toJSON(): HistogramJson {
    const { counts, ...totals } = this;
    return { unit: 'ns', ...totals, buckets: sparseBuckets(counts) };
  }

  /** HdrHistogram V2, compressed, base64: what its tools and libraries decode. See docs/histogram.md. */
  toHdrBase64(): string {
    return toHdrBase64(this);
  }

  /** Percentile distribution as text (.hgrm), as HdrHistogram prints it. */
  toHgrm(options?: HgrmOptions): string {
    return toHgrm(this, options);
  }

  /** A histogram in the text format of Prometheus, in seconds. */
  toPrometheus(options: PrometheusOptions): string {
    return toPrometheus(this, options);
  }

  /** Data point of an OpenTelemetry exponential histogram. */
  toOtelExponential(options?: OtelOptions): OtelExponentialHistogram {
    return toOtelExponential(this, options);
  }
}
