import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { OptionError } from '../../../src/core/errors.ts';
import { Metrics } from '../../../src/core/metrics.ts';
import { GracefulDegradation } from '../../../src/faults/degradation.ts';
import type { DegradationOptions } from '../../../src/faults/degradation-options.ts';
import type { DegradationAction, DegradationLevel } from '../../../src/faults/degradation-types.ts';
import type { ErrorReport } from '../../../src/faults/error-event.ts';
import { FaultsClosedError } from '../../../src/faults/errors.ts';
import { limitRateAction } from '../../../src/faults/limit-rate-action.ts';
import { RateLimiter } from '../../../src/faults/rate-limiter.ts';
import { CRITICAL, INFO, turns } from '../../helpers/faults.ts';
import { createManualClock } from '../../helpers/manual-clock.ts';

const test = suite('graceful degradation');

interface Rig {
  readonly log: string[];
  readonly failing: Set<string>;
  action(name: string): DegradationAction;
}

function rig(): Rig {
  const log: string[] = [];
  const failing = new Set<string>();
  const step = (text: string): void => {
    if (failing.has(text)) throw new Error(`cannot ${text}`);
    log.push(text);
  };
  return {
    log,
    failing,
    action: (name) => ({ name, apply: () => step(`+${name}`), undo: () => step(`-${name}`) }),
  };
}

function setup(options: DegradationOptions = {}, given?: (rig: Rig) => DegradationLevel[]) {
  const made = rig();
  const levels = given?.(made) ?? [
    { name: 'shed', actions: [made.action('a'), made.action('b')] },
    { name: 'starve', actions: [made.action('c'), made.action('d')] },
  ];
  const reports: ErrorReport[] = [];
  const clock = createManualClock();
  const metrics = new Metrics();
  const degradation = new GracefulDegradation(
    { levels, clock, metrics, errors: { emit: (report) => void reports.push(report) } },
    options,
  );
  const told = (): string[] => reports.splice(0).map(({ code, context }) => `${code} ${context?.level}`);
  const done = (): string => made.log.splice(0).join(' ');
  return { ...made, reports, clock, metrics, degradation, told, done };
}

test('[R-E7] follows the pressure up and down, undoing in reverse order, with an event for each change', () => {
  const { degradation, done, told, metrics } = setup();
  degradation.update(1, 'memory at 90 %');
  assert.equal([done(), told()], ['+a +b', ['DEGRADED_MODE_ACTIVATED 1']]);
  degradation.update(1, 'memory at 91 %');
  assert.equal([done(), told()], ['', []]);
  degradation.update(7, 'memory at 95 %');
  assert.equal([done(), told()], ['+c +d', ['DEGRADED_MODE_ACTIVATED 2']]);
  assert.equal(degradation.snapshot().applied, ['shed: a', 'shed: b', 'starve: c', 'starve: d']);
  assert.is(metrics.value('pipeline.degradation.level'), 2);
  degradation.update(1, 'memory at 89 %');
  assert.equal([done(), told()], ['-d -c', ['DEGRADED_MODE_LOWERED 1']]);
  degradation.update(2, 'memory at 95 %');
  degradation.update(0, 'memory at 50 %');
  assert.equal(
    [done(), told()],
    ['+c +d -d -c -b -a', ['DEGRADED_MODE_ACTIVATED 2', 'DEGRADED_MODE_CLEARED 0']],
  );
  const { level, name, applied, activations, clearances } = degradation.snapshot();
  assert.equal(
    { level, name, applied, activations, clearances },
    {
      ...{ level: 0, name: '', applied: [] },
      ...{ activations: 3, clearances: 1 },
    },
  );
  assert.is(metrics.value('pipeline.degradation.clearances_total'), 1);
});

test('[R-E7] its events say how far, why, and what is in force', () => {
  const { degradation, reports } = setup();
  degradation.update(2, 'memory at 95 %');
  degradation.update(0, 'memory at 50 %');
  const [entered, left] = reports;
  assert.equal(entered, {
    severity: CRITICAL,
    code: 'DEGRADED_MODE_ACTIVATED',
    message: 'degraded mode, level 2 (starve): memory at 95 %',
    component: 'engine',
    recoverable: true,
    context: {
      ...{ level: 2, name: 'starve', from: 0, reason: 'memory at 95 %', failed: 0 },
      ...{ applied: ['shed: a', 'shed: b', 'starve: c', 'starve: d'], stuck: [] },
    },
  });
  assert.equal(
    [left?.severity, left?.message],
    [INFO, 'degraded mode: everything as before: memory at 50 %'],
  );
});

test('[R-E7] by hand: by number or name, held under any pressure, taken back by leave', () => {
  const { degradation, done } = setup();
  degradation.enter('starve', 'drill');
  assert.is(degradation.level, 2);
  degradation.update(1, 'memory');
  degradation.update(0, 'no memory');
  assert.is(degradation.level, 2);
  degradation.update(1, 'memory');
  degradation.leave('drill over');
  assert.is(degradation.level, 1);
  degradation.update(0, 'no memory');
  assert.is(done(), '+a +b +c +d -d -c -b -a');
  degradation.enter(1, 'drill');
  assert.is(degradation.level, 1);
});

test('[R-E7][R-E9] not automatic: pressure is remembered, and only a hand changes anything', () => {
  const { degradation, done, told } = setup({ automatic: false });
  degradation.update(2, 'memory at 95 %');
  assert.equal([degradation.level, degradation.snapshot().byPressure], [0, 2]);
  assert.equal([done(), told()], ['', []]);
  degradation.enter('shed', 'operator');
  assert.is(done(), '+a +b');
  degradation.leave('operator');
  assert.is(done(), '-b -a');
});

test('[R-E7] an action that cannot be applied is told, the others are, and it is not undone', () => {
  const { degradation, failing, done, reports, metrics } = setup();
  failing.add('+a');
  degradation.update(1, 'memory');
  assert.is(done(), '+b');
  assert.equal(
    reports.map(({ code, message }) => `${code} ${message}`),
    [
      'DEGRADATION_ACTION_FAILED apply failed: shed: a',
      'DEGRADED_MODE_ACTIVATED degraded mode, level 1 (shed): memory',
    ],
  );
  assert.equal(reports[1]?.context?.failed, 1);
  assert.is(metrics.value('pipeline.degradation.failures_total'), 1);
  degradation.update(0, 'no memory');
  assert.is(done(), '-b');
});

test('[R-E7] an undo that throws keeps no other, and is tried again until it holds', async () => {
  const { degradation, failing, done, told, clock } = setup({ undoRetryMs: 100, undoRetryCapMs: 150 });
  degradation.update(1, 'memory');
  done();
  failing.add('-b');
  degradation.update(0, 'no memory');
  assert.is(done(), '-a');
  assert.equal(degradation.snapshot().stuck, ['shed: b']);
  for (const waitMs of [100, 150]) {
    clock.advance(waitMs);
    await turns();
  }
  assert.equal(told().filter((code) => code.startsWith('DEGRADATION_ACTION_FAILED')).length, 3);
  failing.clear();
  clock.advance(150);
  await turns();
  assert.is(done(), '-b');
  assert.equal(degradation.snapshot().stuck, []);
  assert.is(clock.sleepers, 0, 'nothing left to do');
});

test('[R-E7] what could not be undone is not applied twice when the pressure comes back', async () => {
  const { degradation, failing, done, clock } = setup();
  degradation.update(1, 'memory');
  failing.add('-b');
  degradation.update(0, 'no memory');
  failing.clear();
  done();
  degradation.update(1, 'memory');
  assert.is(done(), '+a');
  degradation.update(0, 'no memory');
  assert.is(done(), '-b -a');
  clock.advance(60_000);
  await turns();
  assert.is(done(), '');
});

test('[R-E7] an action that itself relieves the pressure is heard when the actions are done', async () => {
  let degradation: GracefulDegradation | undefined;
  const made = setup({}, ({ action }) => [
    {
      name: 'collect',
      actions: [
        { name: 'gc', apply: () => degradation?.update(0, 'collected'), undo: () => undefined },
        action('after'),
      ],
    },
  ]);
  degradation = made.degradation;
  degradation.update(1, 'memory');
  assert.equal([degradation.level, made.done()], [1, '+after']);
  await turns();
  assert.equal([degradation.level, made.done()], [0, '-after']);
});

test('[R-E7] a limiter gets its rate of now back, not the one it had', () => {
  const clock = createManualClock();
  const intake = new RateLimiter({ name: 'intake', clock }, { ratePerSecond: 1000, burst: 100 });
  const { degradation } = setup({}, () => [
    { name: 'slow', actions: [limitRateAction(intake, { ratePerSecond: 100, burst: 10 })] },
    { name: 'crawl', actions: [limitRateAction(intake, { ratePerSecond: 1, burst: 1 })] },
  ]);
  const rate = (): number[] => [intake.snapshot().ratePerSecond, intake.snapshot().burst];
  degradation.update(2, 'memory');
  assert.equal(rate(), [1, 1]);
  degradation.update(1, 'less');
  assert.equal(rate(), [100, 10]);
  intake.setRate({ ratePerSecond: 500, burst: 50 });
  degradation.update(0, 'none');
  assert.equal(rate(), [500, 50]);
});

test('[R-E7] close undoes everything, and that is the end', async () => {
  const { degradation, failing, done, told, clock } = setup();
  degradation.enter(2, 'drill');
  failing.add('-c');
  done();
  degradation.close();
  assert.is(done(), '-d -b -a');
  assert.ok(told().includes('DEGRADED_MODE_CLEARED 0'));
  degradation.update(2, 'memory');
  degradation.close();
  assert.is(degradation.level, 0);
  await turns();
  assert.is(clock.sleepers, 0);
  assert.throws(
    () => degradation.enter(1, 'x'),
    (error: unknown) => error instanceof FaultsClosedError,
  );
});

test('[R-E7][R-E9] levels and names that cannot be are refused', () => {
  const isOption = (error: unknown): boolean => error instanceof OptionError;
  const { degradation } = setup();
  assert.throws(() => degradation.enter('unknown', 'x'), /there is no level unknown; levels: shed, starve/);
  for (const level of [Number.NaN, -1, Number.POSITIVE_INFINITY])
    assert.throws(() => degradation.update(level, 'x'), isOption);
  const twice = (made: Rig): DegradationLevel[] => {
    const action = made.action('a');
    return [
      { name: 'x', actions: [action] },
      { name: 'y', actions: [action] },
    ];
  };
  assert.throws(() => setup({}, twice), /in two places/);
  assert.throws(() => setup({}, () => [{ name: '', actions: [] }]), isOption);
  assert.throws(
    () => setup({}, ({ action }) => [{ name: 'x', actions: [action('a'), action('a')] }]),
    isOption,
  );
});

test('[R-E7] closed by one of its own actions: everything is undone all the same', async () => {
  const log: string[] = [];
  const action = { name: 'ends', apply: () => degradation.close(), undo: () => void log.push('undone') };
  const degradation = new GracefulDegradation({
    levels: [{ name: 'one', actions: [action] }],
    errors: { emit: ({ code }) => void log.push(code) },
  });
  degradation.update(1, 'memory');
  await turns();
  assert.equal(log, ['DEGRADED_MODE_ACTIVATED', 'undone', 'DEGRADED_MODE_CLEARED']);
  assert.is(degradation.level, 0);
});

test('[R-E7] an action that is asynchronous after all: its failure is told, and ends no process', async () => {
  const { degradation, reports } = setup({}, () => [
    {
      name: 'one',
      actions: [{ name: 'late', apply: () => Promise.reject(new Error('no')), undo: () => undefined }],
    },
  ]);
  degradation.update(1, 'memory');
  await turns();
  const [, failed] = reports;
  assert.equal([failed?.code, failed?.context?.step], ['DEGRADATION_ACTION_FAILED', 'apply']);
});

test.run();
