// watchdog: 240 s
import { inflateSync } from 'node:zlib';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type HdrHistogram, loadHdr } from '../../bench/lib/hdr-peer.ts';
import {
  BUCKET_COUNT,
  bucketLowNs,
  bucketValueNs,
  bucketWidthNs,
  VALUE_LIMIT_NS,
} from '../../src/native/histogram-buckets.ts';
import type { HistogramSnapshot } from '../../src/signals/index.ts';
import { snapshotOf } from '../helpers/histogram-of.ts';
import { seededRandom } from '../helpers/seeded.ts';

// hdr-histogram-js is the judge: what we export is what it would have counted itself.

const test = suite('histogram exports, read by hdr-histogram-js');
const hdr = await loadHdr();

function logUniform(count: number, seed: number): number[] {
  const random = seededRandom(seed);
  return Array.from({ length: count }, () => Math.floor(2 ** (random() * 42)));
}

const decoded = (snapshot: HistogramSnapshot): HdrHistogram =>
  hdr.decodeFromCompressedBase64(snapshot.toHdrBase64(), 64);

const countsOf = (histogram: HdrHistogram): number[] =>
  Array.from({ length: BUCKET_COUNT }, (_, index) => histogram.getCountAtIndex(index));

const fresh = (): HdrHistogram =>
  hdr.build({
    bitBucketSize: 64,
    lowestDiscernibleValue: 1,
    highestTrackableValue: VALUE_LIMIT_NS - 1,
    numberOfSignificantValueDigits: 2,
  });

test('[R-B3] both edges of every bucket are counted by HdrHistogram in the bucket of the same number', () => {
  const values: number[] = [];
  for (let index = 0; index < BUCKET_COUNT; index++) {
    // One more in each bucket than in the one below: a shift by one would show.
    for (let i = 0; i <= index % 3; i++) values.push(bucketLowNs(index));
    values.push(bucketLowNs(index) + bucketWidthNs(index) - 1);
  }
  const theirs = fresh();
  for (const value of values) theirs.recordValue(value);
  const snapshot = snapshotOf(values);
  assert.equal(countsOf(theirs), [...snapshot.counts]);
  const back = decoded(snapshot);
  assert.equal(countsOf(back), [...snapshot.counts]);
  assert.is(back.totalCount, snapshot.count);
  assert.equal([back.numberOfSignificantValueDigits, back.highestTrackableValue], [2, VALUE_LIMIT_NS - 1]);
});

test('[R-B3] what the decoder tells is the top of the bucket whose middle we tell', () => {
  const snapshot = snapshotOf(logUniform(5000, 1));
  const back = decoded(snapshot);
  for (const percent of [1, 10, 50, 90, 99, 99.9]) {
    const told = back.getValueAtPercentile(percent);
    const index = snapshot.counts.findIndex((_, at) => told < bucketLowNs(at) + bucketWidthNs(at));
    assert.is(told, bucketLowNs(index) + bucketWidthNs(index) - 1);
    assert.is(snapshot.percentile(percent), bucketValueNs(index));
  }
});

test('[R-B3] counts of every size survive, and an empty histogram too', () => {
  const counts = [0, 1, 63, 64, 127, 128, 8191, 8192, 2 ** 20, 2 ** 31, 2 ** 32 + 1, 2 ** 45, 2 ** 51 + 1];
  for (const count of counts) {
    const snapshot = snapshotOf([]);
    snapshot.counts[700] = count;
    snapshot.counts[702] = count;
    const back = decoded(snapshot);
    assert.equal([back.getCountAtIndex(700), back.getCountAtIndex(702)], [count, count]);
    assert.equal([back.getCountAtIndex(701), back.totalCount], [0, count * 2]);
  }
  assert.is(decoded(snapshotOf([])).totalCount, 0);
});

test('[R-B3] the counts are encoded byte for byte as HdrHistogram encodes them', () => {
  /** Without the envelope of 8 bytes and the header of 40. */
  const payload = (base64: string): Buffer =>
    inflateSync(Buffer.from(base64, 'base64').subarray(8)).subarray(40);
  for (const values of [[], [0], [1], [0, 2], [5, 7, 7, 300], logUniform(3000, 8)]) {
    const theirs = fresh();
    for (const value of values) theirs.recordValue(value);
    const ours = snapshotOf(values).toHdrBase64();
    assert.equal(payload(ours), payload(hdr.encodeIntoCompressedBase64(theirs)));
  }
});

test('[R-B3] the WebAssembly decoder reads it as well', async () => {
  await hdr.initWebAssembly();
  const snapshot = snapshotOf(logUniform(2000, 2));
  const back = hdr.decodeFromCompressedBase64(snapshot.toHdrBase64(), 64, true);
  assert.is(back.totalCount, 2000);
  assert.is(back.getValueAtPercentile(50), decoded(snapshot).getValueAtPercentile(50));
  back.destroy();
});

test('[R-B3] the .hgrm text is, to the letter, what HdrHistogram prints', () => {
  for (const values of [
    [],
    [0],
    [5],
    logUniform(10, 3),
    logUniform(20_000, 4),
    new Array<number>(999).fill(77),
  ]) {
    const snapshot = snapshotOf(values);
    const theirs = decoded(snapshot);
    assert.is(snapshot.toHgrm(), theirs.outputPercentileDistribution());
    assert.is(
      snapshot.toHgrm({ unit: 'ms', ticksPerHalfDistance: 7 }),
      theirs.outputPercentileDistribution(7, 1e6),
    );
  }
  const { stddevNs } = snapshotOf(logUniform(100, 5));
  assert.ok(Math.abs(stddevNs / decoded(snapshotOf(logUniform(100, 5))).stdDeviation - 1) < 1e-12);
});

test('[R-B3] the corrected copy counts as HdrHistogram’s', () => {
  for (const [values, intervalNs] of [
    [logUniform(200, 6).map((value) => Math.floor(value / 2 ** 12)), 10_000],
    [logUniform(50, 7).map((value) => Math.floor(value / 2 ** 20)), 333],
    [[100, 10_000_000], 1000],
    [[999, 1000, 1999, 2000], 1000],
    [[0, 1, 2, 3], 1],
  ] as const) {
    const snapshot = snapshotOf(values);
    const theirs = fresh();
    theirs.addWhileCorrectingForCoordinatedOmission(decoded(snapshot), intervalNs);
    const ours = snapshot.correctedForOmission(intervalNs);
    assert.equal([...ours.counts], countsOf(theirs));
    assert.is(ours.count, theirs.totalCount);
    assert.ok(Math.abs(ours.meanNs - theirs.mean) <= theirs.mean / 128);
  }
});

test.run();
