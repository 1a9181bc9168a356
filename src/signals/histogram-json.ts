import type { HistogramTotals } from '../native/contract.ts';
import { BUCKET_COUNT } from '../native/histogram-buckets.ts';
import { HistogramFormatError } from './errors.ts';

/** A snapshot as JSON carries it: whole, without its empty buckets. */
export interface HistogramJson extends HistogramTotals {
  readonly unit: 'ns';
  /** Segment that a cumulative snapshot is of; '' for what was computed: an interval, a sum, a corrected copy. */
  readonly segmentId: string;
  readonly count: number;
  /** Bucket number and count, ascending; see `bucketLowNs`. */
  readonly buckets: readonly (readonly [index: number, count: number])[];
}

const TIMES = ['sumNs', 'minNs', 'maxNs'] as const;
const COUNTS = ['count', 'outOfRange', 'invalid', 'refusedWriters'] as const;

function requireNumber(name: string, value: unknown): number {
  if (typeof value !== 'number' || !Number.isFinite(value) || value < 0) {
    throw new HistogramFormatError(`${name} must be a number from 0, got ${String(value)}`);
  }
  return value;
}

function requireCount(name: string, value: unknown): number {
  if (!Number.isInteger(requireNumber(name, value)))
    throw new HistogramFormatError(`${name} must be a whole number, got ${String(value)}`);
  return value as number;
}

/** Counts by bucket, as JSON carries them. */
export function sparseBuckets(counts: Float64Array): [number, number][] {
  const buckets: [number, number][] = [];
  counts.forEach((count, index) => {
    if (count > 0) buckets.push([index, count]);
  });
  return buckets;
}

function readBuckets(buckets: unknown): Float64Array {
  if (!Array.isArray(buckets)) throw new HistogramFormatError('buckets must be an array');
  const counts = new Float64Array(BUCKET_COUNT);
  let previous = -1;
  for (const entry of buckets as unknown[]) {
    const [index, count] = Array.isArray(entry) ? (entry as unknown[]) : [];
    if (!Number.isInteger(index) || (index as number) <= previous || (index as number) >= BUCKET_COUNT) {
      const bound = BUCKET_COUNT - 1;
      throw new HistogramFormatError(`bucket numbers must ascend from 0 to ${bound}, got ${String(index)}`);
    }
    previous = index as number;
    counts[previous] = requireCount('a count', count);
  }
  return counts;
}

/** Checks what came from outside. Throws HistogramFormatError, names what is wrong. */
export function readHistogramJson(json: unknown): Omit<HistogramJson, 'buckets'> & { counts: Float64Array } {
  if (typeof json !== 'object' || json === null) throw new HistogramFormatError('it must be an object');
  const given = json as Record<string, unknown>;
  if (given.unit !== 'ns') throw new HistogramFormatError(`unit must be 'ns', got ${String(given.unit)}`);
  const { segmentId } = given;
  if (typeof segmentId !== 'string') throw new HistogramFormatError('segmentId must be a string');
  for (const name of TIMES) requireNumber(name, given[name]);
  for (const name of COUNTS) requireCount(name, given[name]);
  if ((given.minNs as number) > (given.maxNs as number))
    throw new HistogramFormatError(`minNs ${String(given.minNs)} is above maxNs ${String(given.maxNs)}`);
  const counts = readBuckets(given.buckets);
  const count = counts.reduce((sum, each) => sum + each, 0);
  if (count !== given.count) {
    throw new HistogramFormatError(`count is ${String(given.count)}, and its buckets hold ${count}`);
  }
  return { ...(given as unknown as Omit<HistogramJson, 'buckets'>), counts };
}
