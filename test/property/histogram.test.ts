import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { EXACT_BUCKETS, VALUE_LIMIT_NS } from '../../src/native/histogram-buckets.ts';
import { HistogramSnapshot } from '../../src/signals/index.ts';
import { exactPercentile, snapshotOf } from '../helpers/histogram-of.ts';

const test = suite('histogram properties');
/** Log-uniform over the whole range, whole nanoseconds, with the edges of octaves and buckets among them. */
const valueNs = fc
  .double({ min: 0, max: 42, noNaN: true })
  .map((exponent) => Math.min(VALUE_LIMIT_NS - 1, Math.floor(2 ** exponent)));
const valuesNs = fc.array(valueNs, { minLength: 1, maxLength: 200 });
const thousandths = fc.integer({ min: 0, max: 100_000 });

test('[R-B3] every percentile is within 1/256 of the exact one', () => {
  fc.assert(
    fc.property(valuesNs, fc.array(thousandths, { minLength: 1, maxLength: 5 }), (values, ranks) => {
      const sorted = [...values].sort((a, b) => a - b);
      const snapshot = snapshotOf(values);
      const told = snapshot.percentiles(ranks.map((each) => each / 1000));
      for (const [at, each] of ranks.entries()) {
        const exact = exactPercentile(sorted, each);
        const error = Math.abs((told[at] ?? Number.NaN) - exact);
        const bound = exact < EXACT_BUCKETS ? 0 : exact / 256;
        assert.ok(error <= bound, `p${each / 1000}: exact ${exact}, told ${told[at]}`);
      }
    }),
    { numRuns: 2000 },
  );
});

test('[R-B3] count, sum, extremes and mean are exact, whatever comes', () => {
  const any = fc.oneof(valueNs, fc.double(), fc.constantFrom(-1, Number.NaN, Number.POSITIVE_INFINITY));
  fc.assert(
    fc.property(fc.array(any, { maxLength: 100 }), (given) => {
      const kept = given.filter((value) => value >= 0 && value < VALUE_LIMIT_NS);
      const snapshot = snapshotOf(given);
      assert.is(snapshot.count, kept.length);
      assert.is(snapshot.outOfRange, given.filter((value) => value >= VALUE_LIMIT_NS).length);
      assert.is(
        snapshot.count + snapshot.outOfRange + snapshot.invalid,
        given.length,
        'nothing is lost silently',
      );
      assert.is(
        snapshot.sumNs,
        kept.reduce((sum, value) => sum + value, 0),
      );
      assert.is(snapshot.maxNs, Math.max(0, ...kept));
    }),
    { numRuns: 1000 },
  );
});

test('[R-B3] any cut into intervals sums to the whole', () => {
  fc.assert(
    fc.property(fc.array(valuesNs, { minLength: 1, maxLength: 6 }), (parts) => {
      const recorded: number[] = [];
      let earlier = snapshotOf([]);
      const intervals = parts.map((part) => {
        recorded.push(...part);
        const later = snapshotOf(recorded);
        const interval = later.subtract(earlier);
        assert.is(interval.count, part.length);
        assert.ok(interval.minNs <= Math.min(...part) && interval.maxNs >= Math.max(...part));
        assert.ok(interval.minNs <= interval.percentile(0) && interval.percentile(100) <= interval.maxNs);
        earlier = later;
        return interval;
      });
      const whole = HistogramSnapshot.merge(intervals);
      assert.equal(whole.counts, earlier.counts);
      assert.is(whole.sumNs, earlier.sumNs);
    }),
    { numRuns: 200 },
  );
});

/** HdrHistogram's own definition, walked value by value. */
function walkedCorrection(values: readonly number[], intervalNs: number): number[] {
  return values.flatMap((value) => {
    const series = [value];
    for (let missing = value - intervalNs; missing >= intervalNs; missing -= intervalNs) series.push(missing);
    return series;
  });
}

test('[R-B3] the corrected copy holds what a walk down the series adds', () => {
  // Values below 256 stand for themselves, so the walk can start from what was recorded.
  const small = fc.array(fc.integer({ min: 0, max: EXACT_BUCKETS - 1 }), { maxLength: 20 });
  fc.assert(
    fc.property(small, fc.integer({ min: 1, max: 300 }), (values, intervalNs) => {
      const corrected = snapshotOf(values).correctedForOmission(intervalNs);
      const walked = snapshotOf(walkedCorrection(values, intervalNs));
      assert.equal(corrected.counts, walked.counts);
      assert.equal(
        [corrected.sumNs, corrected.minNs, corrected.maxNs],
        [walked.sumNs, walked.minNs, walked.maxNs],
      );
    }),
    { numRuns: 1000 },
  );
});

test.run();
