import { OptionError } from '../../core/errors.ts';
import { resolveOptions } from '../../core/options.ts';
import { bucketLowNs, bucketWidthNs, EXACT_BUCKETS, SUB_BUCKETS } from '../../native/histogram-buckets.ts';
import { requireInteger } from '../errors.ts';
import { bucketMeanNs, bucketStddevNs } from '../histogram-statistics.ts';
import type { HistogramView } from '../histogram-view.ts';

export interface HgrmOptions {
  /** Unit of the values in the text. Default 'ns'. */
  readonly unit?: 'ns' | 'us' | 'ms' | 's';
  /** Lines for each halving of the distance to 100 %, 1-100. Default 5. */
  readonly ticksPerHalfDistance?: number;
}

const OWNER = 'toHgrm';
const DEFAULTS: Required<HgrmOptions> = Object.freeze({ unit: 'ns', ticksPerHalfDistance: 5 });
const NS_PER_UNIT = Object.freeze({ ns: 1, us: 1e3, ms: 1e6, s: 1e9 });
const HEADING = '       Value     Percentile TotalCount 1/(1-Percentile)\n\n';

function fixed(digits: number): (value: number) => string {
  const format = new Intl.NumberFormat('en-US', {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
    useGrouping: false,
  });
  return (value) => format.format(value);
}
const digits2 = fixed(2);
const digits12 = fixed(12);

interface Tick {
  readonly index: number;
  readonly percent: number;
  readonly reached: number;
}

/** Percentiles that come closer to 100 the closer they are: so many to each half of what is left. */
function* ticks({ counts, count: total }: HistogramView, perHalfDistance: number): Generator<Tick> {
  let percent = 0;
  let reached = 0;
  for (const [index, count] of counts.entries()) {
    if (count === 0) continue;
    reached += count;
    while ((100 * reached) / total >= percent && percent < 100) {
      yield { index, percent, reached };
      const halvings = Math.floor(Math.log2(100 / (100 - percent))) + 1;
      percent += 100 / (perHalfDistance * 2 ** halvings);
      if (reached === total) break;
    }
    if (reached === total) yield { index, percent: 100, reached };
  }
}

/** See HistogramSnapshot.toHgrm. Values, also in the footer, are those of HdrHistogram: a bucket's highest. */
export function toHgrm(view: HistogramView, options: HgrmOptions = {}): string {
  const { unit, ticksPerHalfDistance } = resolveOptions<Required<HgrmOptions>>(OWNER, DEFAULTS, options);
  if (!Object.hasOwn(NS_PER_UNIT, unit)) {
    throw new OptionError(`${OWNER}: unit must be 'ns', 'us', 'ms' or 's', got ${String(unit)}`);
  }
  requireInteger(OWNER, 'ticksPerHalfDistance', ticksPerHalfDistance, 1, 100);
  const scaled = (ns: number): string => digits2(ns / NS_PER_UNIT[unit]).padStart(12);
  const highest = (index: number): number => bucketLowNs(index) + bucketWidthNs(index) - 1;
  let text = HEADING;
  for (const { index, percent, reached } of ticks(view, ticksPerHalfDistance)) {
    text += `${scaled(highest(index))} ${digits12(percent / 100)} ${String(reached).padStart(10)}`;
    text += percent < 100 ? ` ${digits2(1 / (1 - percent / 100)).padStart(14)}\n` : '\n';
  }
  const last = view.counts.findLastIndex((count) => count > 0);
  const octaves = (view.counts.length - EXACT_BUCKETS) / SUB_BUCKETS + 1;
  const whole = (value: number): string => String(value).padStart(12);
  text += `#[Mean    = ${scaled(bucketMeanNs(view))}, StdDeviation   = ${scaled(bucketStddevNs(view))}]\n`;
  text += `#[Max     = ${scaled(last === -1 ? 0 : highest(last))}, Total count    = ${whole(view.count)}]\n`;
  text += `#[Buckets = ${whole(octaves)}, SubBuckets     = ${whole(EXACT_BUCKETS)}]\n`;
  return text;
}
