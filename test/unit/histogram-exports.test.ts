import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  BUCKET_COUNT,
  bucketLowNs,
  bucketValueNs,
  bucketWidthNs,
} from '../../src/native/histogram-buckets.ts';
import { DEFAULT_BUCKETS_SECONDS, type OtelOptions } from '../../src/signals/index.ts';
import { snapshotOf } from '../helpers/histogram-of.ts';
import { seededRandom } from '../helpers/seeded.ts';

const test = suite('histogram exports');
const refused = (error: { code?: string }) => error.code === 'ESPER_OPTION_INVALID';

interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

const UNESCAPED: Readonly<Record<string, string>> = { '\\\\': '\\', '\\n': '\n', '\\"': '"' };
const unescaped = (text: string): string => text.replaceAll(/\\[\\n"]/g, (each) => UNESCAPED[each] ?? each);

/** Reads the exposition format, strictly: what is no line of it fails. */
function parseExposition(text: string): {
  samples: Sample[];
  types: Map<string, string>;
  help: Map<string, string>;
} {
  assert.ok(text.endsWith('\n'));
  const [samples, types, help] = [[] as Sample[], new Map<string, string>(), new Map<string, string>()];
  for (const line of text.slice(0, -1).split('\n')) {
    const comment = /^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.*)$/.exec(line);
    if (comment !== null) {
      const [, what, name = '', rest = ''] = comment;
      assert.not((what === 'HELP' ? help : types).has(name), `one ${what} a metric`);
      (what === 'HELP' ? help : types).set(name, unescaped(rest));
      continue;
    }
    const sample = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/.exec(line);
    assert.ok(sample, line);
    const [, name = '', inner = '', value = ''] = sample ?? [];
    const pair = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\[\\n"])*)"(?:,|$)/y;
    const labels: Record<string, string> = {};
    while (pair.lastIndex < inner.length) {
      const match = pair.exec(inner);
      assert.ok(match, line);
      labels[match?.[1] ?? ''] = unescaped(match?.[2] ?? '');
      if (match === null) break;
    }
    samples.push({ name, labels, value: Number(value) });
  }
  return { samples, types, help };
}

test('[R-B3] Prometheus: cumulative buckets in seconds, sum and count, and what has no bucket beside them', () => {
  const snapshot = snapshotOf([0, 500, 900, 2e6, 3e9, 4e12, Number.NaN, 2 ** 42]);
  const text = snapshot.toPrometheus({
    name: 'step_seconds',
    help: 'Time.',
    bucketsSeconds: [1e-6, 0.01, 1, 60],
  });
  const { samples, types, help } = parseExposition(text);
  const buckets = samples.filter(({ name }) => name === 'step_seconds_bucket');
  assert.equal(
    buckets.map(({ labels, value }) => [labels.le, value]),
    [
      ['0.000001', 3],
      ['0.01', 4],
      ['1', 4],
      ['60', 5],
      ['+Inf', 6],
    ],
  );
  const sampleValue = (wanted: string) => samples.find(({ name }) => name === wanted)?.value;
  assert.equal(
    [sampleValue('step_seconds_count'), sampleValue('step_seconds_sum')],
    [6, snapshot.sumNs / 1e9],
  );
  assert.equal(
    [sampleValue('step_seconds_out_of_range_total'), sampleValue('step_seconds_invalid_total')],
    [1, 1],
  );
  assert.equal([types.get('step_seconds'), help.get('step_seconds')], ['histogram', 'Time.']);
});

test('[R-B3] Prometheus: labels and help are escaped, and every sample has the labels', () => {
  const value = 'back\\slash "quoted"\nnext {line},le="1"';
  const text = snapshotOf([5]).toPrometheus({
    name: 'a:b_c',
    help: 'one\\\ntwo',
    labels: { run: value, _x1: '' },
  });
  const { samples, help } = parseExposition(text);
  assert.is(help.get('a:b_c'), 'one\\\ntwo');
  assert.is(samples.length, DEFAULT_BUCKETS_SECONDS.length + 5);
  for (const { labels } of samples) assert.equal([labels.run, labels._x1], [value, '']);
});

test('[R-B3] Prometheus: a bound inside a bucket is right for a bound within 1/256 of it', () => {
  const random = seededRandom(11);
  const values = Array.from({ length: 3000 }, () => Math.floor(10 ** (random() * 12)));
  const bucketsSeconds = [...new Set(Array.from({ length: 60 }, () => 10 ** (random() * 12 - 9)))].sort(
    (a, b) => a - b,
  );
  const { samples } = parseExposition(snapshotOf(values).toPrometheus({ name: 'x', bucketsSeconds }));
  let previous = 0;
  for (const [at, bound] of bucketsSeconds.entries()) {
    const { value = -1, labels } = samples[at] ?? {};
    assert.is(labels?.le, String(bound));
    const within = (factor: number) => values.filter((each) => each <= bound * 1e9 * factor).length;
    assert.ok(value >= within(1 - 1 / 256) && value <= within(1 + 1 / 256), `le=${bound}: ${value}`);
    assert.ok(value >= previous, 'cumulative');
    previous = value;
  }
});

test('[R-B3] Prometheus: a bound on a bucket of one nanosecond counts it, however the bound is rounded', () => {
  for (let ns = 1; ns < 256; ns++) {
    const { samples } = parseExposition(
      snapshotOf([ns]).toPrometheus({ name: 'x', bucketsSeconds: [ns / 1e9] }),
    );
    assert.is(samples[0]?.value, 1, `${ns} ns`);
  }
});

test('[R-B3] Prometheus: bad options are refused by name', () => {
  const bad: [object, RegExp][] = [
    [{}, /name/],
    [{ name: '9x' }, /name/],
    [{ name: 'x y' }, /name/],
    [{ name: 'x', labels: { le: '1' } }, /"le"/],
    [{ name: 'x', labels: { __name__: '1' } }, /__name__/],
    [{ name: 'x', labels: { 'a-b': '1' } }, /a-b/],
    [{ name: 'x', labels: { a: 1 } }, /label a/],
    [{ name: 'x', help: 1 }, /help/],
    [{ name: 'x', bucketsSeconds: [] }, /bucketsSeconds/],
    [{ name: 'x', bucketsSeconds: [1, 1] }, /ascend/],
    [{ name: 'x', bucketsSeconds: [0, 1] }, /above 0/],
    [{ name: 'x', bucketsSeconds: [1, Number.POSITIVE_INFINITY] }, /finite/],
    [{ name: 'x', buckets: [1] }, /unknown option "buckets"/],
  ];
  for (const [options, why] of bad) {
    const call = () => snapshotOf([1]).toPrometheus(options as { name: string });
    assert.throws(call, why);
    assert.throws(call, refused);
  }
});

/** Bounds (low, high] of each bucket with what it counts. */
function otelBuckets(point: ReturnType<ReturnType<typeof snapshotOf>['toOtelExponential']>) {
  const { scale, positive } = point;
  const bound = (index: number): number => 2 ** (index * 2 ** -scale);
  return positive.bucketCounts.map((count, at) => {
    const index = positive.offset + at;
    return { low: bound(index), high: bound(index + 1), count };
  });
}

test('[R-B3] OpenTelemetry: every bucket of ours is counted within 1/256 of an exponential bucket, at every scale', () => {
  const edges = Array.from(
    { length: BUCKET_COUNT },
    (_, index) => [bucketLowNs(index), bucketWidthNs(index)] as const,
  );
  for (const scale of [-10, 0, 7]) {
    const bound = (index: number): number => 2 ** (index * 2 ** -scale);
    for (const [index, [low, width]] of edges.entries()) {
      if (index === 0) continue;
      const { positive, zeroCount } = snapshotOf([low]).toOtelExponential({ scale });
      assert.equal([positive.bucketCounts, zeroCount], [[1], 0]);
      const middle = bucketValueNs(index);
      const slack = 1e-9;
      assert.ok(bound(positive.offset) < middle * (1 + slack), `${middle} at scale ${scale}`);
      assert.ok(middle <= bound(positive.offset + 1) * (1 + slack), `${middle} at scale ${scale}`);
      assert.ok(index < 256 || (middle - low) / low <= 1 / 256 + 1e-12);
      assert.ok(width > 0);
    }
  }
});

test('[R-B3] OpenTelemetry: powers of two close their bucket, at every scale', () => {
  for (let exponent = 0; exponent < 8; exponent++) {
    for (const scale of [0, 1, 5, 20]) {
      const { positive } = snapshotOf([2 ** exponent]).toOtelExponential({ scale });
      assert.is(positive.offset, exponent * 2 ** scale - 1);
    }
    assert.is(
      snapshotOf([2 ** exponent]).toOtelExponential({ scale: -2 }).positive.offset,
      Math.ceil(exponent / 4) - 1,
    );
  }
});

test('[R-B3] OpenTelemetry: counts, zero, sum, extremes; the finest scale that fits', () => {
  const values = [0, 0, 1, 3, 1000, 1001, 5e6, 5e6, 4e12];
  const snapshot = snapshotOf(values);
  for (const maxBuckets of [2, 10, 160, 4096]) {
    const point = snapshot.toOtelExponential({ maxBuckets });
    const buckets = otelBuckets(point);
    assert.ok(buckets.length <= maxBuckets);
    assert.equal([point.count, point.zeroCount, point.min, point.max], [9, 2, 0, 4e12]);
    assert.is(point.sum, snapshot.sumNs);
    assert.is(
      buckets.reduce((sum, { count }) => sum + count, 0),
      7,
    );
    for (const { low, high, count } of buckets) {
      const fitting = values.filter(
        (value) => value > low * (1 - 1 / 256) && value <= high * (1 + 1 / 256),
      ).length;
      assert.ok(fitting >= count);
    }
    if (point.scale < 7)
      assert.throws(() => snapshot.toOtelExponential({ scale: point.scale + 1, maxBuckets }), refused);
  }
  assert.is(snapshotOf([1e6]).toOtelExponential().scale, 7, 'no finer than ours');
});

test('[R-B3] OpenTelemetry: in seconds it is the same shape', () => {
  const point = snapshotOf([250_000_000, 1_000_000_000]).toOtelExponential({ unit: 's', scale: 0 });
  assert.equal([point.sum, point.min, point.max], [1.25, 0.25, 1]);
  // The middles are within 1/256 of a quarter and of one, and above both.
  assert.equal(point.positive, { offset: -2, bucketCounts: [1, 0, 1] });
});

test('[R-B3] OpenTelemetry: an empty histogram has no extremes; bad options are refused', () => {
  const empty = snapshotOf([]).toOtelExponential();
  assert.equal(empty.positive, { offset: 0, bucketCounts: [] });
  assert.not('min' in empty || 'max' in empty);
  const bad: object[] = [
    { scale: 21 },
    { scale: -11 },
    { scale: 0.5 },
    { maxBuckets: 1 },
    { unit: 'ms' },
    { size: 9 },
  ];
  for (const options of bad) {
    assert.throws(() => snapshotOf([1, 1e9]).toOtelExponential(options as OtelOptions), refused);
  }
});

test('[R-B3] .hgrm: bad options are refused', () => {
  for (const options of [{ unit: 'm' }, { ticksPerHalfDistance: 0 }, { ticks: 5 }]) {
    assert.throws(() => snapshotOf([1]).toHgrm(options as object), refused);
  }
});

test.run();
