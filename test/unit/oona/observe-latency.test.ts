import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { silentLogger } from '../../../src/core/logger.ts';
import { RollingLatency } from '../../../src/oona/observe/latency.ts';
import { LatencyBook } from '../../../src/oona/observe/latency-book.ts';
import { openLatencyHistogram } from '../../../src/signals/latency-histogram.ts';
import { createManualClock } from '../../helpers/manual-clock.ts';

const test = suite('observe latency');

let opened = 0;
const rolling = (windowsMs: readonly number[], nowMs = 0): RollingLatency =>
  new RollingLatency(openLatencyHistogram(`t.${++opened}`, { kind: 'process-local' }), windowsMs, nowMs);

const near = (actual: number, expected: number): void =>
  assert.ok(Math.abs(actual - expected) <= expected / 256, `${actual} is not ${expected}`);

test('[R-O2] percentiles of everything and of the last minutes, in milliseconds', () => {
  const latency = rolling([60_000, 300_000]);
  for (let i = 1; i <= 100; i++) latency.recordMs(i);
  const { total, windows } = latency.view(1000);
  for (const summary of [total, ...windows]) {
    assert.is(summary.count, 100);
    near(summary.p50Ms, 50);
    near(summary.p95Ms, 95);
    near(summary.p99Ms, 99);
    near(summary.meanMs, 50.5);
    near(summary.maxMs, 100);
    assert.is(summary.coversMs, 1000);
  }
});

test('[R-O2] a window forgets what is older than itself, the totals do not', () => {
  const latency = rolling([60_000]);
  for (let i = 0; i < 10; i++) latency.recordMs(500);
  for (let nowMs = 1000; nowMs <= 120_000; nowMs += 1000) {
    if (nowMs === 100_000) latency.recordMs(2);
    latency.roll(nowMs);
  }
  const { total, windows } = latency.view(120_000);
  assert.is(total.count, 11);
  near(total.maxMs, 500);
  assert.is(windows[0]?.count, 1);
  near(windows[0]?.p99Ms ?? 0, 2);
});

test('[R-O2] at any moment a window covers itself and at most a fifth more', () => {
  const latency = rolling([1000]);
  for (let nowMs = 0; nowMs <= 20_000; nowMs += 10) {
    latency.recordMs(1);
    latency.roll(nowMs);
    const { coversMs = -1, count = -1 } = latency.view(nowMs).windows[0] ?? {};
    if (nowMs < 1000) assert.is(coversMs, nowMs);
    else assert.ok(coversMs >= 1000 && coversMs <= 1210, `covers ${coversMs} at ${nowMs}`);
    assert.ok(Math.abs(count - coversMs / 10) <= 1, `${count} in ${coversMs} ms`);
  }
});

test('[R-O2] a window is what the histogram itself tells of the same interval', () => {
  const histogram = openLatencyHistogram(`t.${++opened}`, { kind: 'process-local' });
  const latency = new RollingLatency(histogram, [1000], 0);
  const take = histogram.intervals();
  for (let round = 1; round <= 20; round++) {
    for (let i = 0; i < 200; i++) latency.recordMs((((round * 7919 + i * 104_729) % 10_007) / 97) ** 1.5);
    latency.roll(round * 1000);
    const [window] = latency.view(round * 1000 + 1000).windows;
    // Nothing was counted after the roll, so the window is empty; the one before it is what was recorded.
    assert.is(window?.count, 0);
    const interval = take();
    const previous = latency.view(round * 1000).windows[0];
    assert.is(previous?.count, interval.count);
    const expected = interval.percentiles([50, 95, 99]).map((ns) => ns / 1e6);
    assert.equal([previous?.p50Ms, previous?.p95Ms, previous?.p99Ms], expected);
    assert.is(previous?.maxMs, interval.maxNs / 1e6);
    near(previous?.meanMs ?? 0, interval.meanNs / 1e6);
  }
});

test('[R-O2] what a window holds on to is bounded', () => {
  const latency = rolling([1000, 5000]);
  for (let nowMs = 0; nowMs <= 60_000; nowMs += 50) {
    latency.recordMs(1);
    latency.roll(nowMs);
    assert.ok(latency.held <= 14, `${latency.held} snapshots at ${nowMs}`);
  }
});

test('[R-O2] rolled too late, a window says what it really covers', () => {
  const latency = rolling([1000]);
  latency.recordMs(1);
  assert.is(latency.view(50_000).windows[0]?.coversMs, 50_000);
  latency.roll(50_000);
  latency.recordMs(1);
  assert.is(latency.view(51_000).windows[0]?.count, 1);
});

test('[R-O2] an idle histogram is empty in its windows and stays in its totals', () => {
  const latency = rolling([1000]);
  latency.recordMs(5);
  for (let nowMs = 0; nowMs <= 5000; nowMs += 100) latency.roll(nowMs);
  const { total, windows } = latency.view(5000);
  assert.equal([total.count, windows[0]?.count, windows[0]?.p95Ms], [1, 0, 0]);
});

test('[R-O2] what is no duration is counted apart', () => {
  const latency = rolling([1000]);
  for (const odd of [Number.NaN, -1, Number.POSITIVE_INFINITY, 74 * 60_000]) latency.recordMs(odd);
  assert.is(latency.view(10).total.count, 0);
  assert.is(latency.uncounted(), 4);
});

test('[R-O2] after close() recording is safe, and what was counted is still told', () => {
  const latency = rolling([1000]);
  latency.recordMs(5);
  latency.close();
  latency.close();
  latency.recordMs(5);
  latency.roll(10_000);
  assert.is(latency.view(10_000).total.count, 1);
});

test('[R-O2] a book has a histogram for each kind and stream, opened when it is needed', () => {
  const clock = createManualClock();
  const windowsMs = [60_000, 300_000];
  const book = new LatencyBook({
    ...{ memory: 'process-local', name: 'oona', windowsMs, clock, logger: silentLogger },
  });
  book.of('publish', 'normal').recordMs(3);
  book.of('endToEnd', 'kernelReady').recordMs(-1);
  assert.equal(Object.keys(book.view('publish', clock.monotonicMs())), ['normal']);
  assert.equal(book.view('handler', clock.monotonicMs()), {});
  assert.is(book.uncounted('endToEnd'), 0, 'not looked at yet');
  book.view('endToEnd', clock.monotonicMs());
  assert.is(book.uncounted('endToEnd'), 1);
  const other = new LatencyBook({
    ...{ memory: 'process-local', name: 'oona', windowsMs, clock, logger: silentLogger },
  });
  other.of('publish', 'normal');
  assert.equal(other.view('publish', clock.monotonicMs()), {}, 'two buses of a process count apart');
  other.close();
  book.close();
  book.of('handler', 'policy').recordMs(1);
  assert.equal(book.view('handler', clock.monotonicMs()), {});
  assert.equal(Object.keys(book.view('publish', clock.monotonicMs())), ['normal']);
});

test('[R-O2] shared histograms add up over all that use the name, and outlive the one that counted', () => {
  const clock = createManualClock();
  const name = `observe-${process.pid}`;
  const open = (): LatencyBook =>
    new LatencyBook({ ...{ memory: 'shared', name, windowsMs: [60_000], clock, logger: silentLogger } });
  const first = open();
  first.of('publish', 'normal').recordMs(3);
  const second = open();
  try {
    second.of('publish', 'normal').recordMs(4);
    const view = second.view('publish', clock.monotonicMs()).normal;
    assert.equal(
      [view?.total.count, view?.windows[0]?.count],
      [2, 1],
      'its window begins when it was opened',
    );
    first.close();
    assert.is(second.view('publish', clock.monotonicMs()).normal?.total.count, 2);
  } finally {
    first.close();
    second.close();
    for (const role of ['normal', 'emergency']) {
      const histogram = openLatencyHistogram(`${name}.publish.${role}`, { readOnly: true });
      histogram.unlink();
      histogram.close();
    }
  }
});

test.run();
