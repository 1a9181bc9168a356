import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ForcedGc } from '../../../src/faults/memory/forced-gc.ts';
import { LevelTracker } from '../../../src/faults/memory/level.ts';
import { levelRules, resolveMemoryOptions } from '../../../src/faults/memory/options.ts';
import { nextLookMs } from '../../../src/faults/memory/pace.ts';
import type { MemoryUse } from '../../../src/faults/memory/types.ts';

const test = suite('memory levels');
const OPTIONS = resolveMemoryOptions({ margin: 0.03, dwellMs: 100 });
const tracker = () => new LevelTracker(levelRules(OPTIONS));

test('[R-E3] the defaults: 85, 90, 95 and 98 %', () => {
  const { warningThreshold, errorThreshold, criticalThreshold, shutdownThreshold } = OPTIONS;
  assert.equal(
    [warningThreshold, errorThreshold, criticalThreshold, shutdownThreshold],
    [0.85, 0.9, 0.95, 0.98],
  );
});

test('[R-E3] a threshold is reached when it is met, each level after the other or over several at once', () => {
  const steps = tracker();
  const told = [0.5, 0.8499, 0.85, 0.9, 0.95, 0.98, 1.2].map((share, at) => steps.update(share, share, at));
  assert.equal(told, [undefined, undefined, 'normal', 'warning', 'error', 'critical', undefined]);
  const jump = tracker();
  assert.is(jump.update(0.96, 0.96, 0), 'normal');
  assert.is(jump.level, 'critical');
});

test('[R-E3] a peak between two looks reaches a level, what is there now leaves it', () => {
  const one = tracker();
  assert.is(one.update(0.4, 0.96, 0), 'normal');
  assert.is(one.level, 'critical');
  assert.is(one.update(0.4, 0.4, 99), undefined);
  assert.is(one.update(0.4, 0.4, 100), 'critical');
  assert.is(one.level, 'normal');
});

test('[R-E3] left only below the threshold less the margin, for the dwell time without a break', () => {
  const one = tracker();
  one.update(0.86, 0.86, 0);
  const at = (share: number, ms: number) => one.update(share, share, ms);
  assert.is(at(0.821, 1000), undefined, 'within the margin for as long as it likes');
  assert.is(at(0.81, 1100), undefined);
  assert.is(at(0.821, 1150), undefined, 'a break');
  assert.is(at(0.81, 1160), undefined);
  assert.is(at(0.81, 1259), undefined);
  assert.is(at(0.81, 1260), 'warning');
  assert.is(one.level, 'normal');
});

test('[R-E3] down several levels at once, to the one that is kept', () => {
  const one = tracker();
  one.update(0.99, 0.99, 0);
  one.update(0.88, 0.88, 10);
  assert.is(one.update(0.88, 0.88, 110), 'shutdown');
  assert.is(one.level, 'error', '0.88 is within the margin of 0.90');
});

test('[R-E3] what swings around a threshold is one change', () => {
  const one = tracker();
  let changes = 0;
  for (let ms = 0; ms < 10_000; ms += 10) {
    const share = ms % 20 === 0 ? 0.86 : 0.83;
    if (one.update(share, share, ms) !== undefined) changes += 1;
  }
  assert.is(changes, 1);
});

test('[R-E3] thresholds out of order, 0, above 1 and NaN are refused by name', () => {
  const rows: [Record<string, unknown>, RegExp][] = [
    [{ warningThreshold: 0 }, /warningThreshold must be .* got 0/],
    [{ errorThreshold: 1.01 }, /errorThreshold must be .* got 1.01/],
    [{ criticalThreshold: Number.NaN }, /criticalThreshold must be .* got NaN/],
    [{ shutdownThreshold: '0.98' }, /shutdownThreshold must be .* got "0.98"/],
    [{ shutdownThreshold: Number.POSITIVE_INFINITY }, /shutdownThreshold/],
    [{ errorThreshold: 0.8 }, /errorThreshold must be above warningThreshold \(0.85\), got 0.8/],
    [{ criticalThreshold: 0.9 }, /criticalThreshold must be above errorThreshold \(0.9\), got 0.9/],
    [{ shutdownThreshold: 0.5 }, /shutdownThreshold must be above criticalThreshold/],
    [{ warningThreshold: 0.2, margin: 0.2 }, /margin must be below warningThreshold/],
    [{ margin: -0.1 }, /margin/],
    [{ intervalMs: 0 }, /intervalMs/],
    [{ memoryLimitBytes: 0 }, /memoryLimitBytes/],
    [{ memoryLimitBytes: 1.5 }, /memoryLimitBytes/],
    [{ emergencyLevel: 5 }, /emergencyLevel/],
    [{ root: 'relative' }, /root/],
    [{ warningTreshold: 0.8 }, /did you mean "warningThreshold"/],
  ];
  for (const [given, message] of rows) {
    assert.throws(
      () => resolveMemoryOptions(given as never),
      (error: { code: string; message: string }) =>
        error.code === 'ESPER_OPTION_INVALID' && message.test(error.message),
      JSON.stringify(given),
    );
  }
  const edge = resolveMemoryOptions({ warningThreshold: 0.01, margin: 0, shutdownThreshold: 1 });
  assert.is(edge.shutdownThreshold, 1);
});

function use(share: number, growthBytesPerSecond = 0, heapShare = 0): MemoryUse {
  const limitBytes = 2 ** 30;
  return {
    ...{ which: 'memory', share, peakShare: share, usageBytes: share * limitBytes, limitBytes },
    ...{ heapUsedBytes: heapShare * limitBytes, heapLimitBytes: limitBytes, growthBytesPerSecond },
  };
}

test('[R-E3] the loop looks the sooner the nearer the next threshold is, of memory and heap', () => {
  const slow = { ...OPTIONS, intervalMs: 1000 };
  assert.ok(Math.abs(nextLookMs(use(0.35), slow) - 125) < 0.01, 'half of 1 GiB at 4 GiB a second');
  assert.is(nextLookMs(use(0.849), slow), 10);
  assert.ok(nextLookMs(use(0.35, 2 ** 33), slow) < 40);
  assert.is(nextLookMs(use(0.1, 0, 0.849), slow), 10);
  assert.is(nextLookMs(use(0.99), slow), 10);
  assert.is(nextLookMs(use(0.35), { ...slow, intervalMs: 5 }), 5);
});

test('[R-E3] a forced collection: only when allowed, once a back-off, given up while it is of no use', () => {
  const settings = { forceGc: true, gcBackoffMs: 1000, gcMinReclaim: 0.05 };
  let usedBytes = 1000;
  let after = 500;
  const collect = (): void => {
    usedBytes = after;
  };
  const gc = new ForcedGc(
    settings,
    () => usedBytes,
    () => collect,
  );
  assert.equal(gc.run(0), { ran: true, reclaimedBytes: 500, reclaimedShare: 0.5 });
  assert.equal(gc.run(999), { ran: false, why: 'back-off' });
  [usedBytes, after] = [1000, 960];
  assert.is(gc.run(1000).ran, true, 'gives back 4 %');
  assert.equal(gc.run(2000), { ran: false, why: 'futile' });
  assert.equal(gc.run(900_000), { ran: false, why: 'futile' });
  gc.eased();
  [usedBytes, after] = [1000, 100];
  assert.is(gc.run(900_000).ran, true);
  assert.is(gc.count, 3);
  const forbidden = new ForcedGc(
    { ...settings, forceGc: false },
    () => usedBytes,
    () => collect,
  );
  assert.equal(forbidden.run(0), { ran: false, why: 'forbidden' });
  const missing = new ForcedGc(
    settings,
    () => usedBytes,
    () => undefined,
  );
  assert.equal(missing.run(0), { ran: false, why: 'missing' });
});

test.run();
