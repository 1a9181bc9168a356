import { rmSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Metrics } from '../../../src/core/metrics.ts';
import type { ErrorReport } from '../../../src/faults/error-event.ts';
import { createMemoryMonitor } from '../../../src/faults/memory/monitor.ts';
import type { MemoryMonitorOptions } from '../../../src/faults/memory/options.ts';
import type { MemoryMonitor, MemoryMonitorParts } from '../../../src/faults/memory/types.ts';
import { ErrorSeverity } from '../../../src/leyline/messages.ts';
import type { NativeModule } from '../../../src/native/contract.ts';
import { loadNative } from '../../../src/native/load.ts';
import { createTwin } from '../../../src/native/twin.ts';
import { type EmergencySignal, openEmergencySignal } from '../../../src/signals/index.ts';
import { type KernelTree, makeKernelTree, v2Files } from '../../helpers/kernel-tree.ts';
import { createManualClock } from '../../helpers/manual-clock.ts';
import { until } from '../../helpers/until.ts';

const test = suite('memory monitor');
const MIB = 2 ** 20;
const LIMIT_BYTES = 1000 * MIB;
const WORKER = '/sys/fs/cgroup/app/worker';

const trees: KernelTree[] = [];
const monitors: MemoryMonitor[] = [];
const signals: EmergencySignal[] = [];

test.after.each(() => {
  for (const monitor of monitors.splice(0)) monitor.stop();
  for (const signal of signals.splice(0)) signal.close();
  for (const tree of trees.splice(0)) tree.cleanUp();
});

function rig(
  options: MemoryMonitorOptions = {},
  parts: Partial<MemoryMonitorParts> = {},
  currentBytes = 100 * MIB,
) {
  const tree = makeKernelTree(v2Files({ '/app/worker': `${LIMIT_BYTES}\n` }, currentBytes));
  trees.push(tree);
  const reports: ErrorReport[] = [];
  const metrics = new Metrics();
  const clock = createManualClock();
  const monitor = createMemoryMonitor(
    { root: tree.root, intervalMs: 1, nearIntervalMs: 1, dwellMs: 100, repeatMs: 1000, ...options },
    { errors: { emit: (report) => void reports.push(report) }, clock, metrics, env: {}, ...parts },
  );
  monitors.push(monitor);
  monitor.start();
  /** The sampler runs in real time: waits until it has seen it. */
  const use = async (share: number) => {
    tree.write(`${WORKER}/memory.current`, `${Math.round(share * LIMIT_BYTES)}\n`);
    const want = Math.round(share * LIMIT_BYTES);
    await until('the sample', () => monitor.check().use.usageBytes === want);
  };
  const levels = () => reports.map(({ context }) => context?.level);
  return { tree, reports, metrics, clock, monitor, use, levels };
}

test('[R-E3] one event a change, with the severity of its level and what the issue asks for', async () => {
  const { reports, use, levels, monitor, metrics } = rig();
  for (const share of [0.5, 0.84, 0.86, 0.87, 0.91, 0.96, 0.985, 0.99]) await use(share);
  assert.equal(levels(), ['warning', 'error', 'critical', 'shutdown']);
  const { ERROR_SEVERITY_WARNING, ERROR_SEVERITY_ERROR, ERROR_SEVERITY_CRITICAL } = ErrorSeverity;
  assert.equal(
    reports.map(({ severity }) => severity),
    [ERROR_SEVERITY_WARNING, ERROR_SEVERITY_ERROR, ERROR_SEVERITY_CRITICAL, ERROR_SEVERITY_CRITICAL],
  );
  assert.equal(
    reports.map(({ recoverable }) => recoverable),
    [true, true, false, false],
  );
  const [first] = reports;
  assert.equal([first?.code, first?.component], ['MEMORY_PRESSURE', 'monitor:memory']);
  const { context = {} } = first ?? {};
  for (const name of ['alloc_bytes', 'sys_bytes', 'gc_count', 'event_loop_delay_ms'])
    assert.type(context[name], 'number', name);
  assert.equal(
    [context.max_bytes, context.usage_percent, context.source, context.which, context.previous_level],
    [LIMIT_BYTES, 86, 'cgroup-v2', 'memory', 'normal'],
  );
  assert.is(monitor.level, 'shutdown');
  assert.is(metrics.value('memory.level'), 4);
  assert.is(metrics.value('memory.usage_percent'), 99);
  assert.is(metrics.value('memory.level_changes_total'), 4);
});

test('[R-E3] a level that lasts is told again slowly, and left with an event after the dwell time', async () => {
  const { reports, use, levels, clock, monitor } = rig();
  await use(0.86);
  clock.advance(999);
  monitor.check();
  assert.is(reports.length, 1);
  clock.advance(1);
  monitor.check();
  assert.is(reports[1]?.context?.repeat, true);
  await use(0.5);
  assert.equal(levels(), ['warning', 'warning']);
  clock.advance(100);
  monitor.check();
  assert.equal(levels(), ['warning', 'warning', 'normal']);
  assert.equal([reports[2]?.recoverable, reports[2]?.severity], [true, ErrorSeverity.ERROR_SEVERITY_INFO]);
  clock.advance(10_000);
  monitor.check();
  assert.is(reports.length, 3, 'nothing is told of no pressure');
});

test('[R-E3] listeners hear every change after its event; one that throws reaches nobody else', async () => {
  const { use, monitor, reports, metrics } = rig();
  const heard: string[] = [];
  monitor.onLevel(() => {
    throw new Error('mine');
  });
  const off = monitor.onLevel(({ level, previous, use: seen }) => {
    heard.push(`${previous} ${level} ${reports.length} ${Math.round(seen.share * 100)}`);
  });
  await use(0.86);
  await use(0.96);
  off();
  await use(0.99);
  assert.equal(heard, ['normal warning 1 86', 'warning critical 2 96']);
  assert.is(metrics.value('memory.listener_errors_total'), 3);
});

test('[R-E3] the working set decides, not the page cache', async () => {
  const { tree, use, levels } = rig();
  tree.write(`${WORKER}/memory.stat`, `anon 1\ninactive_file ${500 * MIB}\n`);
  tree.write(`${WORKER}/memory.current`, `${990 * MIB}\n`);
  await until('the sample', () => monitors[0]?.check().use.usageBytes === 490 * MIB);
  assert.equal(levels(), []);
  tree.write(`${WORKER}/memory.stat`, 'inactive_file 0\n');
  await use(0.99);
  assert.equal(levels(), ['shutdown']);
});

test('[R-E3] CRITICAL raises the signal natively once; the numbers are in the reason', async () => {
  const signal = openEmergencySignal(`memory-monitor.${process.pid}`, {
    kind: 'process-local',
    keepAlive: false,
  });
  signals.push(signal);
  const { use, monitor } = rig({ emergencyLevel: 4, dwellMs: 0 }, { signal, runId: 'run-7' });
  assert.is(monitor.status().native, true, 'needs the built addon: npm run build:native');
  await use(0.94);
  assert.is(signal.level(), 0);
  await use(0.955);
  await use(0.99);
  assert.is(signal.level(), 4);
  const [record, ...more] = signal.history();
  assert.equal([record?.origin, record?.runId, more.length], ['monitor:memory', 'run-7', 0]);
  assert.match(record?.reason ?? '', /^memory critical: 95\.5 % of 1048576000 bytes used \(cgroup v2 /);
  assert.is(monitor.check().raises, 1);
  monitor.stop();
  monitor.stop();
  assert.is(signal.level(), 4, 'an emergency outlives who raised it');
});

test('[R-E3] a signal that follows its name takes the alarm along: what lasts is raised there too', async () => {
  const name = `memory-moved.${process.pid}`;
  const signal = openEmergencySignal(name, { keepAlive: false });
  signals.push(signal);
  const { use } = rig({}, { signal });
  await use(0.96);
  assert.is(signal.level(), 3);
  const { segmentId } = signal;
  rmSync(signal.path);
  signal.trigger(1, { reason: 'notices that its name moved' });
  assert.is.not(signal.segmentId, segmentId);
  await until('the raise', () => signal.level() === 3);
  assert.ok(signal.history().some(({ reason }) => reason.startsWith('memory critical: 96.0 %')));
  signal.unlink();
});

test('[R-E3] files that vanish, shrink or hold garbage while it runs: the last value, typed and counted', async () => {
  const { tree, use, monitor, levels, clock, metrics } = rig({ rereadMs: 50 });
  await use(0.86);
  tree.write(`${WORKER}/memory.current`, 'garbage\n');
  await until('trouble', () => monitor.check().troubles.some(({ code }) => code === 'ESPER_MEMORY_FORMAT'));
  assert.is(monitor.status().use.share, 0.86);
  tree.remove(WORKER);
  clock.advance(50);
  await until('more', () => monitor.check().troubles.some(({ code }) => code === 'ESPER_MEMORY_UNREADABLE'));
  assert.equal(levels(), ['warning'], 'no pressure is made up, none is forgotten');
  assert.ok(metrics.value('memory.troubles_total') >= 2);
  assert.ok(monitor.status().troubles.every(({ subject }) => subject.startsWith('/')));
});

test('[R-E3] the limit changes in place and is read again', async () => {
  const { tree, use, monitor, levels, clock, metrics } = rig({ rereadMs: 50 });
  await use(0.5);
  tree.write(`${WORKER}/memory.max`, `${520 * MIB}\n`);
  monitor.check();
  assert.is(monitor.limit.limitBytes, LIMIT_BYTES);
  clock.advance(50);
  await until('the new limit', () => monitor.check().use.limitBytes === 520 * MIB);
  assert.equal(levels(), ['critical']);
  assert.is(metrics.value('memory.limit_changes_total'), 1);
});

test('[R-E3] the heap of V8 decides when it is the fuller, and raises from here', () => {
  const signal = openEmergencySignal(`memory-heap.${process.pid}`, {
    kind: 'process-local',
    keepAlive: false,
  });
  signals.push(signal);
  const thresholds = {
    warningThreshold: 0.0101,
    errorThreshold: 0.0102,
    criticalThreshold: 0.0103,
    margin: 0.001,
  };
  const keep: object[] = [];
  // Well over 1 % of the largest heap that node gives itself.
  for (let at = 0; at < 1_500_000; at++) keep.push({ at });
  const { monitor, reports } = rig(thresholds, { signal }, 0);
  monitor.check();
  assert.ok(keep.length > 0);
  const last = reports.at(-1);
  assert.equal([last?.context?.which, last?.recoverable], ['heap', false]);
  assert.match(signal.history().at(-1)?.reason ?? '', 'of the V8 heap used');
});

test('[R-E3] the system gives no thread: a timer samples, and says so', async () => {
  const refusing: NativeModule = {
    ...loadNative().module,
    openMemorySampler: () => {
      throw Object.assign(new Error('the system gives no thread'), { code: 'ESPER_NATIVE_THREAD' });
    },
  };
  const { monitor, use, levels } = rig({}, { native: refusing });
  const { native, troubles } = monitor.status();
  assert.is(native, false);
  assert.equal([troubles[0]?.code, troubles[0]?.subject], ['ESPER_MEMORY_SAMPLER', 'open']);
  assert.match(troubles[0]?.detail ?? '', 'ESPER_NATIVE_THREAD');
  await use(0.91);
  assert.equal(levels(), ['error']);
});

test('[R-E3] a signal in plain JavaScript is raised all the same', async () => {
  const name = `memory-twin.${process.pid}`;
  const signal = openEmergencySignal(name, { kind: 'process-local', keepAlive: false, native: createTwin() });
  signals.push(signal);
  const { monitor, use } = rig({}, { signal });
  assert.is(monitor.status().native, false, 'the addon cannot raise it');
  await use(0.97);
  assert.is(signal.level(), 3);
});

test('[R-E3] nothing to read: the resident set against the limit, and trouble told', () => {
  const tree = makeKernelTree();
  trees.push(tree);
  tree.remove('/proc');
  const reports: ErrorReport[] = [];
  const parts = { errors: { emit: (report: ErrorReport) => void reports.push(report) }, env: {} };
  const monitor = createMemoryMonitor({ root: tree.root, memoryLimitBytes: 2 ** 20 }, parts);
  monitors.push(monitor);
  monitor.start();
  const { use, limit, level } = monitor.check();
  assert.ok(use.share > 1 && use.limitBytes === 2 ** 20);
  assert.equal([limit.source, level, reports.length], ['option', 'shutdown', 1]);
});

test('[R-E3] MEMORY_LIMIT: taken where no cgroup has one, nonsense refused', () => {
  const tree = makeKernelTree(v2Files({}));
  trees.push(tree);
  const parts = (text: string) => ({ errors: { emit: () => undefined }, env: { MEMORY_LIMIT: text } });
  const monitor = createMemoryMonitor({ root: tree.root }, parts('1Gi'));
  assert.equal(monitor.limit, { limitBytes: 2 ** 30, source: 'MEMORY_LIMIT', path: '' });
  assert.is(createMemoryMonitor({ root: tree.root }, parts(' ')).limit.source, 'physical');
  assert.throws(
    () => createMemoryMonitor({ root: tree.root }, parts('lots')),
    (error: { code: string }) => error.code === 'ESPER_OPTION_INVALID',
  );
});

test.run();
