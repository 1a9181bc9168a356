import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  BUCKET_COUNT,
  bucketIndex,
  bucketLowNs,
  bucketValueNs,
  bucketWidthNs,
  COUNTERS_COUNT,
  EXACT_BUCKETS,
  FIRST_BUCKET,
  RELATIVE_ERROR,
  recordValue,
  VALUE_LIMIT_NS,
} from '../../src/native/histogram-buckets.ts';

const test = suite('histogram buckets');

/** The float64 just below a positive value. */
function below(value: number): number {
  const bits = new BigUint64Array(new Float64Array([value]).buffer);
  bits[0] = (bits[0] ?? 0n) - 1n;
  return new Float64Array(bits.buffer)[0] ?? 0;
}

test('[R-B3] the buckets lie edge to edge from 0 to 2^42 ns', () => {
  assert.is(BUCKET_COUNT, 4608);
  assert.is(bucketLowNs(0), 0);
  for (let index = 1; index < BUCKET_COUNT; index++) {
    assert.is(bucketLowNs(index), bucketLowNs(index - 1) + bucketWidthNs(index - 1));
  }
  assert.is(bucketLowNs(BUCKET_COUNT - 1) + bucketWidthNs(BUCKET_COUNT - 1), VALUE_LIMIT_NS);
  assert.ok(VALUE_LIMIT_NS >= 3_600_000_000_000, 'an hour fits');
});

test('[R-B3] both edges of every bucket are counted in it', () => {
  for (let index = 0; index < BUCKET_COUNT; index++) {
    const low = bucketLowNs(index);
    const end = low + bucketWidthNs(index);
    for (const value of [low, end - 1, below(end)]) assert.is(bucketIndex(value), index);
    if (index > 0) assert.is(bucketIndex(below(low)), index - 1);
  }
});

test('[R-B3] the relative error holds at every bucket edge and is reached', () => {
  let worst = 0;
  for (let index = EXACT_BUCKETS; index < BUCKET_COUNT; index++) {
    const low = bucketLowNs(index);
    for (const value of [low, below(low + bucketWidthNs(index))]) {
      const error = Math.abs(bucketValueNs(index) - value) / value;
      assert.ok(error <= RELATIVE_ERROR, `bucket ${index}: ${error}`);
      worst = Math.max(worst, error);
    }
  }
  assert.is(worst, RELATIVE_ERROR, 'the bound is no wider than needed');
  for (let value = 0; value < EXACT_BUCKETS; value++) assert.is(bucketValueNs(bucketIndex(value)), value);
});

test('[R-B3] what has no bucket is counted apart', () => {
  const counters = new Float64Array(COUNTERS_COUNT);
  for (const value of [VALUE_LIMIT_NS, 1e300, Number.POSITIVE_INFINITY]) recordValue(counters, value);
  for (const value of [Number.NaN, -1, -1e-9, Number.NEGATIVE_INFINITY]) recordValue(counters, value);
  assert.equal([...counters.subarray(0, FIRST_BUCKET)], [0, 0, 0, 3, 4, 0, 0, 0]);
  assert.is(counters.indexOf(1), -1);
  recordValue(counters, below(VALUE_LIMIT_NS));
  recordValue(counters, -0);
  assert.is(counters[FIRST_BUCKET + BUCKET_COUNT - 1], 1);
  assert.is(counters[FIRST_BUCKET], 1);
});

test.run();
