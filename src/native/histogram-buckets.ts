/**
 * Arithmetic of the latency histogram, without any counter: which bucket a value belongs to and which value a
 * bucket stands for. The C++ side computes the same (native/core/histogram_buckets.h).
 *
 * Values are nanoseconds from 0 to 2^42 - 1 (73 minutes). Up to 255 ns each nanosecond has a bucket of its own.
 * From 256 ns each power of two is split into 128 buckets of equal width, so a bucket at 2^e is 2^e / 128 wide and
 * its middle is at most 2^e / 256 from any value in it: a relative error of at most 1/256 (0.39 %).
 */

const SUB_BUCKET_BITS = 7;
const EXACT_BITS = 8;
const MAX_BITS = 42;
const EXPONENT_BIAS = 1023;

/** Buckets of one nanosecond each, for 0-255 ns. */
export const EXACT_BUCKETS = 2 ** EXACT_BITS;
export const SUB_BUCKETS = 2 ** SUB_BUCKET_BITS;
/** 256 exact buckets and 34 powers of two of 128 buckets. */
export const BUCKET_COUNT = EXACT_BUCKETS + (MAX_BITS - EXACT_BITS) * SUB_BUCKETS;
/** Values from here on are out of range, nanoseconds. */
export const VALUE_LIMIT_NS = 2 ** MAX_BITS;
/** Largest distance of a recorded value from its bucket's representative, as a part of the value. */
export const RELATIVE_ERROR = 1 / 256;

// Not exported, which is why they are named again: V8 folds these into the code of a record and loads exported ones
// each time (8.0 ns a record instead of 5.0).
const SUM = 0;
const MIN = 1;
const MAX = 2;
const OUT_OF_RANGE = 3;
const INVALID = 4;
const FIRST = 8;
const EXACT = EXACT_BUCKETS;
const LIMIT = VALUE_LIMIT_NS;

/** Where the counters of a stripe keep what, see NativeHistogram. */
export const TOTAL = Object.freeze({
  sum: SUM,
  min: MIN,
  max: MAX,
  outOfRange: OUT_OF_RANGE,
  invalid: INVALID,
});
/** The buckets begin here. */
export const FIRST_BUCKET = FIRST;
export const COUNTERS_COUNT = FIRST_BUCKET + BUCKET_COUNT;

// A float64 already is a logarithm: its exponent names the power of two and the first 7 bits of its mantissa the
// sub-bucket. The shift keeps both; reading the high word costs less than Math.log2 or Math.clz32 with a division.
const MANTISSA_SHIFT = 20 - SUB_BUCKET_BITS;
const INDEX_OFFSET = EXACT_BUCKETS - ((EXPONENT_BIAS + EXACT_BITS) << SUB_BUCKET_BITS);
const scratch = new Float64Array(1);
const words = new Uint32Array(scratch.buffer);
const HIGH_WORD = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1 ? 1 : 0;

/** Bucket of a value in [0, VALUE_LIMIT_NS) nanoseconds; a fraction of a nanosecond is dropped. No other value. */
export function bucketIndex(valueNs: number): number {
  if (valueNs < EXACT_BUCKETS) return valueNs | 0;
  scratch[0] = valueNs;
  return ((words[HIGH_WORD] as number) >>> MANTISSA_SHIFT) + INDEX_OFFSET;
}

/** Lowest value of a bucket, nanoseconds. */
export function bucketLowNs(index: number): number {
  if (index < EXACT_BUCKETS) return index;
  const offset = index - EXACT_BUCKETS;
  const octave = offset >>> SUB_BUCKET_BITS;
  return (SUB_BUCKETS + (offset & (SUB_BUCKETS - 1))) * 2 ** (octave + EXACT_BITS - SUB_BUCKET_BITS);
}

/** Width of a bucket, nanoseconds: it holds [low, low + width). */
export function bucketWidthNs(index: number): number {
  if (index < EXACT_BUCKETS) return 1;
  return 2 ** (((index - EXACT_BUCKETS) >>> SUB_BUCKET_BITS) + EXACT_BITS - SUB_BUCKET_BITS);
}

/** Value that a bucket stands for, nanoseconds: itself up to 255 ns, then the bucket's middle. */
export function bucketValueNs(index: number): number {
  return index < EXACT_BUCKETS ? index : bucketLowNs(index) + bucketWidthNs(index) / 2;
}

/** Lowest, highest, sum, and last the bucket, as in C++: what is counted is then in the totals, whenever it dies. */
function count(counters: Float64Array, valueNs: number, index: number): void {
  const lowest = counters[MIN] as number;
  if (valueNs + 1 < lowest || lowest === 0) counters[MIN] = valueNs + 1;
  if (valueNs > (counters[MAX] as number)) counters[MAX] = valueNs;
  (counters[SUM] as number) += valueNs;
  (counters[FIRST + index] as number) += 1;
}

/**
 * Counts one value into a stripe. Single writer: plain increments, nothing is atomic, nothing allocates. The lowest is
 * kept + 1: 0 says that there is none, which a recorded 0 must not. Totals and buckets are one array: two would cost
 * half as much again.
 */
export function recordValue(counters: Float64Array, valueNs: number): void {
  if (valueNs >= EXACT && valueNs < LIMIT) {
    scratch[0] = valueNs;
    count(counters, valueNs, ((words[HIGH_WORD] as number) >>> MANTISSA_SHIFT) + INDEX_OFFSET);
  } else if (valueNs >= 0 && valueNs < EXACT) count(counters, valueNs, valueNs | 0);
  else if (valueNs >= LIMIT) (counters[OUT_OF_RANGE] as number) += 1;
  else (counters[INVALID] as number) += 1;
}
