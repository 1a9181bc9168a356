import { OptionError } from '../../core/errors.ts';
import { refuseUnknownKeys } from '../../core/options.ts';
import { bucketValueNs } from '../../native/histogram-buckets.ts';
import type { HistogramView } from '../histogram-view.ts';

export interface PrometheusOptions {
  /** Name of the metric; by custom it ends in `_seconds`. */
  readonly name: string;
  /** Help text. Default: none. */
  readonly help?: string;
  /** Labels of every sample. Default: none. */
  readonly labels?: Readonly<Record<string, string>>;
  /** Upper bounds of the buckets, seconds, ascending, 1-500 of them; +Inf is added. Default: 1 µs to 10 s. */
  readonly bucketsSeconds?: readonly number[];
}

const OWNER = 'toPrometheus';
const KNOWN = ['name', 'help', 'labels', 'bucketsSeconds'];
const METRIC_NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const LABEL_NAME = /^(?!__)[a-zA-Z_][a-zA-Z0-9_]*$/;
const MAX_BUCKETS = 500;
const NS_PER_SECOND = 1e9;
/** Takes back the rounding of a bound such as 1e-7 s, which times 1e9 is a little less than 100 ns. */
const ROUNDED_UP = 1 + 2 ** -50;

/** 1, 2.5 and 5 of every power of ten from 1 µs to 10 s. */
export const DEFAULT_BUCKETS_SECONDS: readonly number[] = Object.freeze([
  0.000001, 0.0000025, 0.000005, 0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005,
  0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
]);

function requireBuckets(bounds: unknown): readonly number[] {
  const refuse = (why: string): never => {
    throw new OptionError(`${OWNER}: bucketsSeconds ${why}`);
  };
  if (!Array.isArray(bounds) || bounds.length < 1 || bounds.length > MAX_BUCKETS) {
    return refuse(`must be an array of 1 to ${MAX_BUCKETS} numbers`);
  }
  let previous = 0;
  for (const bound of bounds as unknown[]) {
    if (typeof bound !== 'number' || !Number.isFinite(bound) || bound <= previous) {
      refuse(`must ascend from above 0 and be finite, got ${String(bound)} after ${previous}`);
    }
    previous = bound as number;
  }
  return bounds as number[];
}

const escapeHelp = (text: string): string => text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
const escapeValue = (text: string): string => escapeHelp(text).replaceAll('"', '\\"');

function requireText(name: string, value: unknown): string {
  if (typeof value !== 'string')
    throw new OptionError(`${OWNER}: ${name} must be a string, got ${typeof value}`);
  return value;
}

/** `name="value"` each. */
function labelPairs(labels: Readonly<Record<string, string>>): string[] {
  return Object.entries(labels).map(([name, value]) => {
    if (!LABEL_NAME.test(name) || name === 'le') {
      throw new OptionError(`${OWNER}: "${name}" cannot be the name of a label here`);
    }
    return `${name}="${escapeValue(requireText(`label ${name}`, value))}"`;
  });
}

/** Values whose bucket's middle is at most each bound, cumulative. */
function cumulative({ counts }: HistogramView, bounds: readonly number[]): number[] {
  let index = 0;
  let reached = 0;
  return bounds.map((bound) => {
    const boundNs = bound * NS_PER_SECOND * ROUNDED_UP;
    while (index < counts.length && bucketValueNs(index) <= boundNs) reached += counts[index++] ?? 0;
    return reached;
  });
}

/**
 * See HistogramSnapshot.toPrometheus. A bound inside one of our buckets counts the whole bucket when its middle is not
 * above the bound, else none of it: `le` is right for a bound within 1/256 (0.39 %) of the one told. `_count` and
 * `_sum` are of the values that have a bucket; what has none is in two counters beside the histogram.
 */
export function toPrometheus(view: HistogramView, options: PrometheusOptions): string {
  refuseUnknownKeys(OWNER, options, KNOWN);
  const { name, help, labels = {}, bucketsSeconds = DEFAULT_BUCKETS_SECONDS } = options;
  if (!METRIC_NAME.test(requireText('name', name))) {
    throw new OptionError(`${OWNER}: name must match ${METRIC_NAME.source}, got "${name}"`);
  }
  const bounds = requireBuckets(bucketsSeconds);
  const pairs = labelPairs(labels);
  const braces = (more: readonly string[] = []): string => {
    const all = [...pairs, ...more];
    return all.length === 0 ? '' : `{${all.join(',')}}`;
  };
  const lines: string[] = [];
  const describe = (metric: string, type: string, text: string | undefined): void => {
    if (text !== undefined) lines.push(`# HELP ${metric} ${escapeHelp(requireText('help', text))}`);
    lines.push(`# TYPE ${metric} ${type}`);
  };
  describe(name, 'histogram', help);
  const reached = cumulative(view, bounds);
  for (const [at, bound] of bounds.entries()) {
    lines.push(`${name}_bucket${braces([`le="${bound}"`])} ${reached[at]}`);
  }
  lines.push(`${name}_bucket${braces(['le="+Inf"'])} ${view.count}`);
  lines.push(
    `${name}_sum${braces()} ${view.sumNs / NS_PER_SECOND}`,
    `${name}_count${braces()} ${view.count}`,
  );
  describe(
    `${name}_out_of_range_total`,
    'counter',
    'Values of 73 minutes and more: in no bucket, sum or count.',
  );
  lines.push(`${name}_out_of_range_total${braces()} ${view.outOfRange}`);
  describe(`${name}_invalid_total`, 'counter', 'Negative values and NaN: in no bucket, sum or count.');
  lines.push(`${name}_invalid_total${braces()} ${view.invalid}`);
  return `${lines.join('\n')}\n`;
}
