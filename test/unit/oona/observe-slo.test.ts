import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { silentLogger } from '../../../src/core/logger.ts';
import { Metrics } from '../../../src/core/metrics.ts';
import { observeOptions } from '../../../src/oona/observe/options.ts';
import { BURN_RULES, busObjectives, type Objective } from '../../../src/oona/observe/slo-definitions.ts';
import { type SloAlert, SloTracker } from '../../../src/oona/observe/slo-tracker.ts';
import { createManualClock } from '../../helpers/manual-clock.ts';

const test = suite('observe slo');

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const delivery: Objective & { name: 'delivery' } = {
  ...{ kind: 'ratio', name: 'delivery', text: 'entries acknowledged', target: 0.999 },
};
const dropped: Objective & { name: 'delivery' } = {
  ...{ kind: 'limit', name: 'delivery', text: 'dropped', limit: 5, unit: 'messages' },
  ...{ windowMs: 60_000, severity: 'page' },
};

interface Rig {
  readonly tracker: SloTracker<'delivery'>;
  readonly counts: { good: number; bad: number };
  readonly alerts: SloAlert[];
  readonly metrics: Metrics;
  /** Counts so many a second, for so long, ticking every `stepMs`. */
  run(ms: number, good: number, bad: number, stepMs?: number): void;
}

function rig(
  objective = delivery,
  { minIntervalMs = 0, onAlert = undefined as (() => void) | undefined } = {},
): Rig {
  const clock = createManualClock();
  const counts = { good: 0, bad: 0 };
  const alerts: SloAlert[] = [];
  const metrics = new Metrics();
  const tracker = new SloTracker<'delivery'>({
    objectives: [objective],
    sources: { delivery: () => ({ ...counts }) },
    periodMs: 30 * DAY_MS,
    minEvents: 20,
    pace: { clearRatio: 0.8, clearAfterMs: 30_000, minIntervalMs },
    ...{ clock, metrics, logger: silentLogger },
    onAlert: (alert) => {
      alerts.push(alert);
      onAlert?.();
    },
  });
  return {
    ...{ tracker, counts, alerts, metrics },
    run: (ms, good, bad, stepMs = 10_000) => {
      for (let doneMs = 0; doneMs < ms; doneMs += stepMs) {
        clock.advance(stepMs);
        counts.good += (good * stepMs) / 1000;
        counts.bad += (bad * stepMs) / 1000;
        tracker.tick();
      }
    },
  };
}

const told = (alerts: readonly SloAlert[]): string[] => alerts.map(({ rule, state }) => `${rule} ${state}`);

test('[R-O5] the thresholds are those of the SRE workbook: parts of the budget in parts of the period', () => {
  const spent = BURN_RULES.map(({ burnRate, longPart }) => burnRate / longPart);
  assert.equal(spent, [0.02, 0.05, 0.1]);
  const hours = BURN_RULES.map(({ longPart, shortPart }) => [720 / longPart, 720 / shortPart]);
  assert.equal(hours, [
    [1, 1 / 12],
    [6, 0.5],
    [72, 6],
  ]);
});

test('[R-O5] the budget is what the target leaves: 1 bad of 2000 at 99.9 % spends half of it', () => {
  const { tracker, counts, run } = rig();
  assert.equal(tracker.snapshot().ratios[0]?.budgetRemaining, 1, 'nothing happened: untouched');
  counts.good = 1999;
  counts.bad = 1;
  run(10_000, 0, 0);
  const state = tracker.snapshot().ratios[0];
  assert.ok(Math.abs((state?.budgetRemaining ?? 0) - 0.5) < 1e-9);
  assert.ok(Math.abs((state?.ratio ?? 0) - 0.9995) < 1e-12);
  assert.ok(state?.met);
  counts.bad = 3;
  run(10_000, 0, 0);
  const after = tracker.snapshot().ratios[0];
  assert.ok((after?.budgetRemaining ?? 0) < 0, 'overspent');
  assert.not.ok(after?.met);
});

test('[R-O5] a burn rate of 1 is a part of bad events that is just the budget', () => {
  const { tracker, run, alerts } = rig();
  run(2 * HOUR_MS, 999, 1, 30_000);
  const burn = tracker.snapshot().ratios[0]?.burn ?? [];
  for (const { long, short } of burn) {
    assert.ok(Math.abs(long - 1) < 1e-6, `long ${long}`);
    assert.ok(Math.abs(short - 1) < 1e-6, `short ${short}`);
  }
  assert.equal(
    alerts.filter(({ rule }) => rule !== 'steady'),
    [],
    'neither of the faster rules begins',
  );
});

test('[R-O5] the fast alert begins above 14.4 and not at 14', () => {
  const below = rig();
  below.run(HOUR_MS, 986, 14);
  assert.not.ok(told(below.alerts).includes('fast begin'));
  const above = rig();
  above.run(HOUR_MS, 985, 15);
  const fast = above.alerts.find(({ rule }) => rule === 'fast');
  assert.is(fast?.state, 'begin');
  assert.is(fast?.severity, 'page');
  assert.is(fast?.threshold, 14.4);
  assert.ok(Math.abs((fast?.value ?? 0) - 15) < 1e-6);
});

test('[R-O5] after an hour of health a total outage is paged within a minute, and ends soon after it ended', () => {
  const { run, alerts } = rig();
  run(HOUR_MS, 100, 0);
  run(60_000, 0, 100);
  assert.ok(told(alerts).includes('fast begin'), told(alerts).join());
  run(4 * 60_000, 100, 0);
  assert.not.ok(told(alerts).includes('fast end'), 'the short window still has it');
  run(3 * 60_000, 100, 0);
  assert.ok(told(alerts).includes('fast end'));
});

test('[R-O5] trouble that is over begins no alert: the short window must burn too', () => {
  const { run, alerts, counts } = rig();
  run(HOUR_MS, 100, 0);
  // What a process counts in one go, when it is told late: 6 minutes old in the samples.
  run(10_000, 100, 20);
  const before = told(alerts).length;
  assert.is(before, 0, 'a burst of 200 in 361000 is a burn rate of 0.6 over the hour');
  run(6 * 60_000, 100, 0);
  counts.bad += 0;
  assert.equal(told(alerts), []);
});

test('[R-O5] a short burst begins no alert: the long window must burn too', () => {
  const { run, alerts, tracker } = rig();
  run(HOUR_MS, 100, 0);
  run(60_000, 90, 10);
  const fast = tracker.snapshot().ratios[0]?.burn.find(({ rule }) => rule === 'fast');
  assert.ok((fast?.short ?? 0) > 14.4 && (fast?.long ?? 99) < 14.4, JSON.stringify(fast));
  assert.not.ok(told(alerts).includes('fast begin'));
});

test('[R-O5] few events begin no alert', () => {
  const { run, alerts, counts } = rig();
  run(HOUR_MS, 0, 0);
  counts.bad = 19;
  run(30_000, 0, 0);
  assert.equal(alerts, []);
  counts.bad = 20;
  run(30_000, 0, 0);
  assert.ok(told(alerts).includes('fast begin'));
});

test('[R-O5] a process that is younger than the short window begins no alert', () => {
  const { run, alerts } = rig();
  run(290_000, 0, 100);
  assert.equal(told(alerts), []);
  run(10_000, 0, 100);
  assert.equal(told(alerts), ['fast begin']);
  run(HOUR_MS / 2, 0, 100);
  assert.equal(told(alerts), ['fast begin', 'slow begin']);
});

test('[R-O5] a slow leak begins the slow alert and not the fast one', () => {
  const { run, alerts } = rig();
  run(6 * HOUR_MS, 993, 7, 30_000);
  const rules = told(alerts);
  assert.ok(rules.includes('slow begin'), rules.join());
  assert.not.ok(rules.includes('fast begin'));
});

test('[R-O5] a limit of messages begins above it and ends below, after a while', () => {
  const { run, alerts, counts, tracker } = rig(dropped);
  counts.bad = 5;
  run(1000, 0, 0, 1000);
  assert.equal(told(alerts), [], 'at the limit');
  counts.bad = 6;
  run(1000, 0, 0, 1000);
  assert.equal(told(alerts), ['limit begin']);
  assert.equal([alerts[0]?.value, alerts[0]?.threshold], [6, 5]);
  assert.equal(tracker.snapshot().activeAlerts, [{ objective: 'delivery', rule: 'limit', severity: 'page' }]);
  // Samples of the windows are 30 s apart, so 60 s are forgotten after 90 s at the latest; then 30 s of quiet.
  run(85_000, 0, 0, 1000);
  assert.is(tracker.snapshot().activeAlerts.length, 1);
  run(45_000, 0, 0, 1000);
  assert.equal(told(alerts), ['limit begin', 'limit end']);
  assert.equal(tracker.snapshot().activeAlerts, []);
});

test('[R-O5] flapping is told once an interval, and how often it was not', () => {
  const { run, alerts, counts, metrics } = rig(dropped, { minIntervalMs: HOUR_MS });
  for (let i = 0; i < 5; i++) {
    counts.bad += 10;
    run(5000, 0, 0, 1000);
    run(180_000, 0, 0, 1000);
  }
  assert.equal(told(alerts), ['limit begin', 'limit end'], 'the others were suppressed, ends too');
  run(HOUR_MS, 0, 0);
  counts.bad += 10;
  run(5000, 0, 0, 1000);
  assert.equal(told(alerts).slice(2), ['limit begin']);
  assert.is(alerts.at(-1)?.suppressed, 4);
  assert.is(metrics.value('oona.slo.alerts_total'), 2);
});

test('[R-O5] a beginning that came too soon is told later while it lasts', () => {
  const { run, alerts, counts } = rig(dropped, { minIntervalMs: 600_000 });
  counts.bad += 10;
  run(5000, 0, 0, 1000);
  run(180_000, 0, 0, 1000);
  assert.equal(told(alerts), ['limit begin', 'limit end']);
  run(600_000, 0, 1, 1000);
  assert.equal(told(alerts), ['limit begin', 'limit end', 'limit begin']);
});

test('[R-O5] what the hook throws is counted and ends nothing', () => {
  const { run, counts, metrics, alerts } = rig(dropped, {
    onAlert: () => {
      throw new Error('pager is broken');
    },
  });
  counts.bad = 10;
  run(5000, 0, 0, 1000);
  assert.is(alerts.length, 1);
  assert.is(metrics.value('oona.slo.hook_errors_total'), 1);
});

test('[R-O5] a target at which no alert could begin is refused', () => {
  const settings = observeOptions.resolve(undefined);
  assert.is(busObjectives(settings).length, 8);
  for (const bad of [{ publishTarget: 0.93 }, { deliveryTarget: 0.5 }, { depthRecoveryTarget: 0.9 }]) {
    assert.throws(
      () => busObjectives({ ...settings, ...bad }),
      (error: { code?: string; message: string }) =>
        error.code === 'ESPER_OPTION_INVALID' && error.message.includes('0.9306'),
    );
  }
  assert.is(busObjectives({ ...settings, publishTarget: 0.931 }).length, 8);
});

test.run();
