import { OptionError } from '../../core/errors.ts';
import { resolveOptions } from '../../core/options.ts';
import { bucketValueNs } from '../../native/histogram-buckets.ts';
import { requireInteger } from '../errors.ts';
import type { HistogramView } from '../histogram-view.ts';

export interface OtelOptions {
  /** Buckets to an octave are 2^scale, -10 to 20. Default: the finest, at most 7, that fits into maxBuckets. */
  readonly scale?: number;
  /** Most buckets in the data point, 2-4096. Default 160, as in OpenTelemetry's own kits. */
  readonly maxBuckets?: number;
  /** Unit of sum, min, max and the buckets. Default 'ns'. */
  readonly unit?: 'ns' | 's';
}

/** Fields of OTLP's ExponentialHistogramDataPoint that a histogram of durations has. */
export interface OtelExponentialHistogram {
  readonly count: number;
  readonly sum: number;
  /** Absent when the histogram is empty, as is `max`. */
  readonly min?: number;
  readonly max?: number;
  readonly scale: number;
  /** Values of 0. */
  readonly zeroCount: number;
  readonly zeroThreshold: 0;
  /** bucketCounts[i] counts values in (base^(offset + i), base^(offset + i + 1)], base = 2^(2^-scale). */
  readonly positive: { readonly offset: number; readonly bucketCounts: readonly number[] };
}

interface Resolved {
  readonly scale: number | undefined;
  readonly maxBuckets: number;
  readonly unit: 'ns' | 's';
}

const OWNER = 'toOtelExponential';
const DEFAULTS: Resolved = Object.freeze({ scale: undefined, maxBuckets: 160, unit: 'ns' });
const UNIT_NS = Object.freeze({ ns: 1, s: 1e9 });
const MIN_SCALE = -10;
const MAX_SCALE = 20;
/** 2^7 buckets to an octave are as many as ours: finer ones would show a precision that is not there. */
const FINEST_DEFAULT = 7;

function resolve(options: OtelOptions): Resolved {
  const resolved = resolveOptions<Resolved>(OWNER, DEFAULTS, options);
  if (!Object.hasOwn(UNIT_NS, resolved.unit)) {
    throw new OptionError(`${OWNER}: unit must be 'ns' or 's', got ${String(resolved.unit)}`);
  }
  requireInteger(OWNER, 'maxBuckets', resolved.maxBuckets, 2, 4096);
  if (resolved.scale !== undefined) requireInteger(OWNER, 'scale', resolved.scale, MIN_SCALE, MAX_SCALE);
  return resolved;
}

/** Exponential bucket of a value: base^index < value <= base^(index + 1). Math.log2 is exact for powers of two. */
function exponentialIndex(value: number, scale: number): number {
  return Math.ceil(Math.log2(value) * 2 ** scale) - 1;
}

/**
 * See HistogramSnapshot.toOtelExponential. Each of our buckets is counted, whole, where the value that it stands for
 * belongs: a recorded value is within 1/256 (0.39 %) of the exponential bucket that counts it.
 */
export function toOtelExponential(view: HistogramView, options: OtelOptions = {}): OtelExponentialHistogram {
  const { scale: wanted, maxBuckets, unit } = resolve(options);
  const { counts, count } = view;
  const representative = (index: number): number => bucketValueNs(index) / UNIT_NS[unit];
  const lowest = counts.findIndex((each, index) => index > 0 && each > 0);
  const highest = counts.findLastIndex((each, index) => index > 0 && each > 0);
  const span = (scale: number): number =>
    exponentialIndex(representative(highest), scale) - exponentialIndex(representative(lowest), scale) + 1;
  let scale = wanted ?? FINEST_DEFAULT;
  if (lowest !== -1) {
    if (wanted === undefined) while (span(scale) > maxBuckets && scale > MIN_SCALE) scale -= 1;
    if (span(scale) > maxBuckets) {
      throw new OptionError(
        `${OWNER}: scale ${scale} takes ${span(scale)} buckets, maxBuckets is ${maxBuckets}`,
      );
    }
  }
  const offset = lowest === -1 ? 0 : exponentialIndex(representative(lowest), scale);
  const bucketCounts = new Array<number>(lowest === -1 ? 0 : span(scale)).fill(0);
  counts.forEach((each, index) => {
    if (each === 0 || index === 0) return;
    const at = exponentialIndex(representative(index), scale) - offset;
    bucketCounts[at] = (bucketCounts[at] ?? 0) + each;
  });
  const extremes = count === 0 ? {} : { min: view.minNs / UNIT_NS[unit], max: view.maxNs / UNIT_NS[unit] };
  return {
    count,
    sum: view.sumNs / UNIT_NS[unit],
    ...extremes,
    scale,
    zeroCount: counts[0] ?? 0,
    zeroThreshold: 0,
    positive: { offset, bucketCounts },
  };
}
