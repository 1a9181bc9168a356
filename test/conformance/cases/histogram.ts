import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  BUCKET_COUNT,
  bucketLowNs,
  bucketWidthNs,
  COUNTERS_COUNT,
  recordValue,
  VALUE_LIMIT_NS,
} from '../../../src/native/histogram-buckets.ts';
import { HistogramSnapshot } from '../../../src/signals/index.ts';
import { Bench, type Subject } from '../subject.ts';

/** Recording from JavaScript and from the module, and what a snapshot makes of both. */
export function histogramCases(subject: Subject): void {
  const bench = new Bench(subject);
  const test = suite(`${subject.title} histogram`);
  test.after.each(() => bench.cleanUp());

  const native = (name = bench.name()) =>
    bench.module.openHistogram({
      name,
      kind: bench.kind,
      attachTimeoutMs: 1000,
      allowGroup: false,
      stripes: 4,
    });

  test('[R-B3] JavaScript and the module put every bucket edge into the same bucket', () => {
    const byModule = native();
    const byScript = native();
    for (let index = 0; index < BUCKET_COUNT; index++) {
      for (const value of [bucketLowNs(index), bucketLowNs(index) + bucketWidthNs(index) - 1]) {
        byModule.record(value);
        recordValue(byScript.counters, value);
      }
    }
    for (const value of [VALUE_LIMIT_NS, Number.POSITIVE_INFINITY, -1, Number.NaN, 0.25, 1.75]) {
      byModule.record(value);
      recordValue(byScript.counters, value);
    }
    assert.equal(byScript.snapshot(), byModule.snapshot());
    assert.is(byModule.counters.length, COUNTERS_COUNT);
    const { outOfRange, invalid, counts } = byModule.snapshot();
    assert.equal([outOfRange, invalid], [2, 2]);
    assert.is(counts[BUCKET_COUNT - 1], 2);
    byModule.close();
    byScript.close();
  });

  test('[R-B3] a snapshot tells count, sum, extremes and percentiles', () => {
    const histogram = bench.histogram();
    assert.is(histogram.kind, subject.kind);
    const empty = histogram.snapshot();
    assert.equal(
      [empty.count, empty.meanNs, empty.minNs, empty.maxNs, empty.percentile(50)],
      [0, 0, 0, 0, 0],
    );
    for (let ns = 1; ns <= 100; ns++) histogram.record(ns);
    histogram.record(2_000_000);
    histogram.record(Number.NaN);
    histogram.record(VALUE_LIMIT_NS);
    const snapshot = histogram.snapshot();
    assert.equal(
      [snapshot.count, snapshot.sumNs, snapshot.minNs, snapshot.maxNs],
      [101, 2_005_050, 1, 2_000_000],
    );
    assert.equal([snapshot.invalid, snapshot.outOfRange], [1, 1]);
    assert.is(snapshot.meanNs, 2_005_050 / 101);
    assert.equal(
      [0, 50, 99].map((p) => snapshot.percentile(p)),
      [1, 51, 100],
    );
    assert.is(snapshot.percentile(100), 2_000_000, 'never above the highest value');
  });

  test('[R-B3] a recorded 0 is the minimum whatever came before and after', () => {
    for (const values of [
      [0, 5],
      [5, 0],
      [0, 0],
      [5, 0, 7],
    ]) {
      const histogram = bench.histogram();
      for (const value of values) histogram.record(value);
      assert.is(histogram.snapshot().minNs, 0);
    }
  });

  test('[R-B3] two writers of one name sum up, also after one has gone', () => {
    const name = bench.name();
    const [a, b] = [bench.histogram(name), bench.histogram(name)];
    a.record(100);
    b.record(300);
    assert.is(a.snapshot().count, 2);
    assert.equal([b.snapshot().minNs, b.snapshot().maxNs, b.snapshot().sumNs], [100, 300, 400]);
    b.close();
    assert.equal([a.snapshot().count, a.snapshot().sumNs], [2, 400]);
  });

  test('[R-B3] an interval is the difference of two snapshots', () => {
    const histogram = bench.histogram();
    histogram.record(10);
    const earlier = histogram.snapshot();
    histogram.record(1000);
    histogram.record(3000);
    const interval = histogram.snapshot().subtract(earlier);
    assert.equal([interval.count, interval.sumNs, interval.meanNs], [2, 4000, 2000]);
    assert.ok(interval.minNs <= 1000 && interval.minNs > 990);
    assert.is(interval.maxNs, 3000);
    assert.is(earlier.count, 1, 'a snapshot does not move');
  });

  test('[R-B3] intervals() tells what came since the time before, and nothing twice', () => {
    const histogram = bench.histogram();
    histogram.record(1);
    const [mine, yours] = [histogram.intervals(), histogram.intervals()];
    histogram.record(10);
    histogram.record(Number.NaN);
    assert.equal([mine().sumNs, mine().sumNs], [10, 0]);
    histogram.record(100);
    const both = yours();
    assert.equal([both.sumNs, both.count, both.invalid], [110, 2, 1]);
    assert.is(mine().sumNs, 100);
  });

  test('[R-B3] snapshots of two histograms do not subtract, and those of one not backwards', () => {
    const [a, b] = [bench.histogram(), bench.histogram()];
    const earlier = a.snapshot();
    a.record(1);
    const later = a.snapshot();
    assert.match(later.segmentId, /^[0-9a-f]{32}$/);
    const isMismatch = (e: { code?: string }) => e.code === 'ESPER_HISTOGRAM_MISMATCH';
    assert.throws(() => earlier.subtract(later), isMismatch);
    assert.throws(() => later.subtract(b.snapshot()), isMismatch);
    assert.throws(() => HistogramSnapshot.merge([earlier, later]), isMismatch);
    assert.is(later.merge(b.snapshot()).count, 1);
  });

  test('[R-B3] a reader sees what writers count and counts nothing itself', () => {
    const name = bench.name();
    const writer = bench.histogram(name);
    const reader = bench.histogram(name, { readOnly: true });
    writer.record(5);
    reader.record(7);
    assert.equal([reader.snapshot().sumNs, writer.snapshot().sumNs], [5, 5]);
    assert.is(reader.snapshot().segmentId, writer.snapshot().segmentId);
    assert.is(reader.snapshot().refusedWriters, 0);
  });

  test('[R-B3] time() and start() record what they measured', async () => {
    const histogram = bench.histogram();
    assert.is(
      histogram.time(() => 7),
      7,
    );
    assert.is(histogram.snapshot().count, 1);
    const fail = (): never => {
      throw new RangeError('measured all the same');
    };
    assert.throws(() => histogram.time(fail), /measured all the same/);
    assert.is(histogram.snapshot().count, 2);
    let finish = (_: string): void => undefined;
    const later = histogram.time(
      () =>
        new Promise<string>((resolve) => {
          finish = resolve;
        }),
    );
    assert.is(histogram.snapshot().count, 2, 'a promise counts when it settles');
    finish('done');
    assert.is(await later, 'done');
    await later;
    assert.is(histogram.snapshot().count, 3);
    const stop = histogram.start();
    const elapsed = stop();
    assert.is(stop(), elapsed);
    assert.is(histogram.snapshot().count, 4);
    assert.ok(elapsed > 0);
  });

  test('[R-B3] after close() record is safe and snapshot says so', () => {
    const name = bench.name();
    const [other, histogram] = [bench.histogram(name), bench.histogram(name)];
    histogram.record(5);
    histogram.close();
    histogram.close();
    histogram.record(5);
    assert.is(other.snapshot().count, 1, 'nothing is written into a stripe given back');
    assert.throws(
      () => histogram.snapshot(),
      (e: { code?: string }) => e.code === 'ESPER_SIGNAL_CLOSED',
    );
  });

  test.run();
}
