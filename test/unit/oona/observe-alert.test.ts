import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { AlertLatch, type Standing, standingOf } from '../../../src/oona/observe/alert.ts';
import { CountHistory } from '../../../src/oona/observe/slo-window.ts';

const test = suite('observe alert');

const latch = (pace: Partial<{ clearAfterMs: number; minIntervalMs: number }> = {}): AlertLatch =>
  new AlertLatch({ clearRatio: 0.8, clearAfterMs: 30_000, minIntervalMs: 0, ...pace });

test('[R-O5] an alert ends only after it was under its limit for long enough without a break', () => {
  const alert = latch();
  assert.is(alert.update('over', 0), 'begin');
  assert.is(alert.update('under', 1000), undefined);
  assert.is(alert.update('under', 30_999), undefined);
  assert.is(alert.update('between', 31_000), undefined, 'begins the wait anew');
  assert.is(alert.update('under', 32_000), undefined);
  assert.is(alert.update('under', 61_999), undefined);
  assert.ok(alert.active);
  assert.is(alert.update('under', 62_000), 'end');
  assert.not.ok(alert.active);
});

test('[R-O5] between limit and hysteresis nothing begins and nothing ends', () => {
  const alert = latch();
  for (let nowMs = 0; nowMs < 100_000; nowMs += 1000) assert.is(alert.update('between', nowMs), undefined);
  assert.is(alert.update('over', 100_000), 'begin');
  for (let nowMs = 101_000; nowMs < 900_000; nowMs += 1000) {
    assert.is(alert.update('between', nowMs), undefined);
  }
  assert.ok(alert.active);
});

test('[R-O5] standing: above is over, at the limit is not, a limit of 0 is left at 0', () => {
  assert.equal(
    [11, 10, 9, 8, 0].map((value) => standingOf(value, 10, 0.8)),
    ['over', 'between', 'between', 'under', 'under'],
  );
  assert.equal(
    [1, 0].map((value) => standingOf(value, 0, 0.8)),
    ['over', 'under'],
  );
});

test('[R-O5] whatever happens, beginnings and ends alternate and beginnings keep their distance', () => {
  const step = fc.record({
    standing: fc.constantFrom<Standing>('over', 'between', 'under'),
    ms: fc.integer({ min: 0, max: 5000 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const alert = latch({ clearAfterMs: 3000, minIntervalMs: 10_000 });
      let nowMs = 0;
      let begunAtMs = Number.NEGATIVE_INFINITY;
      let last = 'end';
      for (const { standing, ms } of steps) {
        nowMs += ms;
        const told = alert.update(standing, nowMs);
        if (told === undefined) continue;
        assert.is.not(told, last);
        last = told;
        if (told === 'begin') {
          assert.ok(nowMs - begunAtMs >= 10_000);
          assert.ok(alert.active);
          begunAtMs = nowMs;
        } else assert.not.ok(alert.active);
      }
    }),
  );
});

const DAY_MS = 86_400_000;

test('[R-O5] a window begins at the newest sample that is old enough', () => {
  // Slots of a second.
  const history = new CountHistory(DAY_MS, 0, { good: 0, bad: 0 });
  for (let s = 1; s <= 100; s++) history.push(s * 1000, { good: s, bad: 2 * s });
  assert.equal(history.over(10_000, 100_000), { good: 10, bad: 20, coversMs: 10_000 });
  assert.equal(history.over(9999, 100_000), { good: 10, bad: 20, coversMs: 10_000 });
  assert.equal(history.over(10_001, 100_000), { good: 11, bad: 22, coversMs: 11_000 });
  assert.equal(history.over(500_000, 100_000), { good: 100, bad: 200, coversMs: 100_000 }, 'all there is');
  assert.equal(history.over(0, 100_000), { good: 0, bad: 0, coversMs: 0 });
});

test('[R-O5] windows agree with a plain list of all samples, over days, whatever the steps', () => {
  const steps = fc.array(
    fc.record({ ms: fc.integer({ min: 1, max: 900_000 }), good: fc.nat(50), bad: fc.nat(5) }),
    { minLength: 1, maxLength: 400 },
  );
  fc.assert(
    fc.property(steps, fc.integer({ min: 1000, max: DAY_MS }), (each, windowMs) => {
      const history = new CountHistory(DAY_MS, 0, { good: 0, bad: 0 });
      const all = [{ atMs: 0, good: 0, bad: 0 }];
      for (const { ms, good, bad } of each) {
        const { atMs, good: wereGood, bad: wereBad } = all.at(-1) ?? { atMs: 0, good: 0, bad: 0 };
        const now = { atMs: atMs + ms, good: wereGood + good, bad: wereBad + bad };
        all.push(now);
        history.push(now.atMs, now);
      }
      const last = all.at(-1) ?? { atMs: 0, good: 0, bad: 0 };
      const { good, bad, coversMs } = history.over(windowMs, last.atMs);
      // Whatever sample it began at, it is one of the list, old enough, and no older than a slot more.
      const start = all.find(({ atMs }) => atMs === last.atMs - coversMs);
      assert.equal(
        [good, bad],
        [last.good - (start?.good ?? Number.NaN), last.bad - (start?.bad ?? Number.NaN)],
      );
      const slotMs = windowMs <= DAY_MS / 120 ? DAY_MS / 86_400 : DAY_MS / 720;
      assert.ok(coversMs >= Math.min(windowMs, last.atMs), 'not too short');
      const fitting = all.findLast(({ atMs }) => last.atMs - atMs >= windowMs) ?? all[0];
      assert.ok(coversMs <= last.atMs - (fitting?.atMs ?? 0) + slotMs, 'at most a slot too long');
    }),
    { numRuns: 200 },
  );
});

test.run();
