import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { bucketIndex, bucketValueNs, VALUE_LIMIT_NS } from '../../src/native/histogram-buckets.ts';
import { HistogramSnapshot } from '../../src/signals/index.ts';
import { snapshotOf } from '../helpers/histogram-of.ts';

const test = suite('histogram snapshot');
const hasCode = (code: string) => (error: { code?: string }) => error.code === code;

test('[R-B3] percentiles are within 1/256 of the exact nearest rank', () => {
  const values = Array.from({ length: 5000 }, (_, i) => (i * i * 37) % 10_000_019);
  const sorted = [...values].sort((a, b) => a - b);
  const snapshot = snapshotOf(values);
  const percents = [100, 0, 0.1, 1, 25, 50, 75, 90, 99, 99.9];
  const together = snapshot.percentiles(percents);
  for (const [at, percent] of percents.entries()) {
    const exact = sorted[Math.max(1, Math.ceil((percent / 100) * sorted.length)) - 1] ?? 0;
    const error = Math.abs(snapshot.percentile(percent) - exact);
    assert.ok(error <= exact / 256, `p${percent}: exact ${exact}, got ${snapshot.percentile(percent)}`);
    assert.is(
      together[at],
      snapshot.percentile(percent),
      'many at once are the same, in the order asked for',
    );
  }
});

test('[R-B3] a percentile is the decimal as it is written: 99.9 of 1000 is the 999th', () => {
  const snapshot = snapshotOf([...new Array<number>(999).fill(10), 200]);
  assert.is(snapshot.percentile(99.9), 10);
  assert.is(snapshot.percentile(99.90001), 200);
  for (const [percent, of] of [
    [99.9, 1000],
    [16.1, 1000],
    [64.9, 1000],
    [0.07, 10_000],
    [0.28, 10_000],
  ] as const) {
    const rank = Math.round((percent * of) / 100);
    const values = Array.from({ length: of }, (_, i) => (i < rank ? 1 : 2));
    assert.is(snapshotOf(values).percentile(percent), 1, `p${percent} of ${of}`);
  }
});

test('[R-B3] a percentile outside 0-100 is refused', () => {
  const snapshot = snapshotOf([1]);
  for (const percent of [-1, 100.1, Number.NaN]) {
    assert.throws(() => snapshot.percentile(percent), hasCode('ESPER_OPTION_INVALID'));
    assert.throws(() => snapshot.percentiles([50, percent]), hasCode('ESPER_OPTION_INVALID'));
  }
});

test('[R-B3] mean is exact, deviation is that of the middles', () => {
  const values = [100, 120, 140, 40_000];
  const snapshot = snapshotOf(values);
  assert.is(snapshot.meanNs, 10_090);
  const middles = values.map((value) => bucketValueNs(bucketIndex(value)));
  const mean = middles.reduce((a, b) => a + b) / 4;
  const deviation = Math.sqrt(middles.reduce((sum, value) => sum + (value - mean) ** 2, 0) / 4);
  assert.ok(Math.abs(snapshot.stddevNs - deviation) < 1e-9);
  assert.equal([snapshotOf([]).stddevNs, snapshotOf([7, 7]).stddevNs], [0, 0]);
});

test('[R-B3] intervals sum to the total', () => {
  const values = Array.from({ length: 300 }, (_, i) => (i * 7919) % 100_003);
  const [a, b, c] = [snapshotOf(values.slice(0, 100)), snapshotOf(values.slice(0, 200)), snapshotOf(values)];
  const total = HistogramSnapshot.merge([a, b.subtract(a), c.subtract(b)]);
  assert.equal(total.counts, c.counts);
  assert.equal([total.count, total.sumNs], [c.count, c.sumNs]);
  for (const part of [b.subtract(a), c.subtract(b)]) {
    assert.ok(part.minNs <= part.percentile(50) && part.percentile(50) <= part.maxNs);
  }
});

test('[R-B3] an empty interval answers 0', () => {
  const snapshot = snapshotOf([5, 500]);
  const none = snapshot.subtract(snapshot);
  assert.equal([none.count, none.minNs, none.maxNs, none.meanNs, none.percentile(99)], [0, 0, 0, 0, 0]);
});

test('[R-B3] the extremes of an interval are exact when they are new, else those of their buckets', () => {
  const first = snapshotOf([1000, 5]);
  const wider = snapshotOf([1000, 5, 3001, 2]).subtract(first);
  assert.equal([wider.minNs, wider.maxNs], [2, 3001]);
  const inside = snapshotOf([1000, 5, 7, 801]).subtract(first);
  assert.equal([inside.minNs, inside.maxNs], [7, 803]);
});

test('[R-B3] what is no earlier snapshot of the segment is refused', () => {
  const [earlier, later] = [snapshotOf([5]), snapshotOf([5, 500])];
  const refused = hasCode('ESPER_HISTOGRAM_MISMATCH');
  assert.throws(() => earlier.subtract(later), refused);
  assert.throws(() => later.subtract(snapshotOf([5], 'another')), refused);
  assert.throws(() => later.subtract(later.subtract(earlier)), refused);
  assert.throws(() => later.subtract(earlier).subtract(earlier), refused);
  assert.throws(() => snapshotOf([Number.NaN]).subtract(snapshotOf([Number.NaN, -1])), refused);
  assert.throws(() => snapshotOf([]).subtract(snapshotOf([VALUE_LIMIT_NS])), refused);
  assert.throws(() => earlier.merge(later), refused);
  const sum = earlier.merge(snapshotOf([7], 'b'));
  assert.throws(() => sum.subtract(sum), refused, 'sums are of no segment');
});

test('[R-B3] writers that found no stripe are carried by intervals, sums and JSON', () => {
  const [earlier, later] = [snapshotOf([5], 'a', 1), snapshotOf([5, 6], 'a', 4)];
  assert.is(later.subtract(earlier).refusedWriters, 3);
  assert.is(later.merge(snapshotOf([], 'b', 2)).refusedWriters, 6);
  assert.throws(() => snapshotOf([5, 6], 'a', 0).subtract(earlier), hasCode('ESPER_HISTOGRAM_MISMATCH'));
  const { refusedWriters: _, ...without } = later.toJSON();
  assert.throws(() => HistogramSnapshot.fromJSON(without), /refusedWriters/);
});

test('[R-B3] a corrected copy is of no segment: an interval of it would be nonsense', () => {
  assert.is(snapshotOf([5]).correctedForOmission(1000).segmentId, '');
});

test('[R-B3] a sum keeps everything, also what has no bucket', () => {
  const sum = snapshotOf([7, Number.NaN], 'a').merge(snapshotOf([VALUE_LIMIT_NS, 9], 'b'));
  assert.equal([sum.count, sum.sumNs, sum.minNs, sum.maxNs], [2, 16, 7, 9]);
  assert.equal([sum.outOfRange, sum.invalid, sum.segmentId], [1, 1, '']);
  const [low, high, none] = [snapshotOf([7], 'a'), snapshotOf([9], 'b'), snapshotOf([], 'c')];
  for (const parts of [
    [low, high, none],
    [high, none, low],
    [none, low, high],
  ]) {
    const { minNs, maxNs, count } = HistogramSnapshot.merge(parts);
    assert.equal([minNs, maxNs, count], [7, 9, 2]);
  }
  assert.is(HistogramSnapshot.merge([]).count, 0);
});

test('[R-B3] JSON carries all of it, there and back', () => {
  const snapshot = snapshotOf([0, 1, 255, 256, 1e6, 1e6, VALUE_LIMIT_NS - 1, VALUE_LIMIT_NS, Number.NaN]);
  const text = JSON.stringify(snapshot);
  const back = HistogramSnapshot.fromJSON(JSON.parse(text));
  assert.equal({ ...back }, { ...snapshot });
  assert.is(back.subtract(snapshotOf([0])).count, 6, 'and it is still a snapshot of its segment');
});

test('[R-B3] what is no JSON of a snapshot is refused, and told why', () => {
  const good = JSON.parse(JSON.stringify(snapshotOf([5, 6])));
  const bad: [unknown, RegExp][] = [
    [null, /object/],
    [{ ...good, unit: 's' }, /unit/],
    [{ ...good, count: 3 }, /count is 3/],
    [{ ...good, sumNs: -1 }, /sumNs/],
    [{ ...good, maxNs: '9' }, /maxNs/],
    [{ ...good, segmentId: undefined }, /segmentId/],
    [{ ...good, buckets: {} }, /buckets/],
    [
      {
        ...good,
        buckets: [
          [6, 1],
          [5, 1],
        ],
      },
      /ascend/,
    ],
    [{ ...good, buckets: [[4608, 2]] }, /4607/],
    [{ ...good, buckets: [[5, Number.NaN]] }, /count/],
    [{ ...good, buckets: [5] }, /ascend/],
    [{ ...good, count: 0.5, buckets: [[5, 0.5]] }, /whole/],
    [{ ...good, minNs: 7, maxNs: 6 }, /above/],
  ];
  for (const [json, why] of bad) {
    assert.throws(() => HistogramSnapshot.fromJSON(json), why);
    assert.throws(() => HistogramSnapshot.fromJSON(json), hasCode('ESPER_HISTOGRAM_FORMAT'));
  }
});

test('[R-B3] a count that is visible before its extremes is told by its bucket', () => {
  const counts = snapshotOf([300, 5000]).counts;
  const totals = { sumNs: 0, minNs: 0, maxNs: 0, outOfRange: 0, invalid: 0, refusedWriters: 0 };
  const torn = HistogramSnapshot.fromNative({ counts, ...totals });
  assert.ok(torn.minNs <= 300 && torn.minNs >= 298 && torn.maxNs <= 5000 && torn.maxNs > 4960);
  assert.ok(Math.abs(torn.percentile(100) - 5000) <= 5000 / 128);
});

test.run();
