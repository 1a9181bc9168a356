import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { NativeMemoryPlan, NativeMemorySampler, NativeMemorySource } from '../../src/native/contract.ts';
import { openEmergencySignal } from '../../src/signals/index.ts';
import { until } from '../helpers/until.ts';
import { Bench, type Subject } from './subject.ts';

interface Context {
  bench: Bench;
  folder: string;
  samplers: NativeMemorySampler[];
}

/** What a memory sampler must do, whether a thread or a timer drives it. */
export function memoryConformance(subject: Subject): void {
  const test = suite<Context>(`${subject.title}: memory sampler`);
  test.before.each((context) => {
    context.bench = new Bench(subject);
    context.folder = mkdtempSync(join(tmpdir(), 'esper-memory-'));
    context.samplers = [];
  });
  test.after.each(({ bench, folder, samplers }) => {
    for (const sampler of samplers) sampler.close();
    bench.cleanUp();
    rmSync(folder, { recursive: true, force: true });
  });

  const source = (folder: string, limitBytes = 1000): NativeMemorySource => ({
    label: 'test',
    ...{ usagePath: join(folder, 'usage'), usageKey: '', usageField: 0 },
    ...{ deductPath: join(folder, 'stat'), deductKey: 'inactive_file', unitBytes: 1, limitBytes },
  });
  const plan = (sources: NativeMemorySource[], dwellMs = 0): NativeMemoryPlan => ({
    ...{ sources, intervalMs: 2, nearIntervalMs: 1, criticalThreshold: 0.95, margin: 0.05, dwellMs },
  });
  const set = (folder: string, usage: number | string, inactive: number | string = 0): void => {
    writeFileSync(join(folder, 'usage'), typeof usage === 'number' ? `${usage}\n` : usage);
    writeFileSync(
      join(folder, 'stat'),
      typeof inactive === 'number' ? `inactive_file ${inactive}\n` : inactive,
    );
  };
  const open = ({ bench, folder, samplers }: Context, sources = [source(folder)]): NativeMemorySampler => {
    const sampler = bench.module.openMemorySampler(plan(sources));
    samplers.push(sampler);
    return sampler;
  };
  const seen = (sampler: NativeMemorySampler, usageBytes: number) =>
    until(`${usageBytes} bytes`, () => {
      const sample = sampler.read();
      return sample?.usageBytes === usageBytes && sample;
    });

  test('[R-E3] samples as soon as it is open, and goes on by itself', async (context) => {
    set(context.folder, 500, 100);
    const sampler = open(context);
    const first = sampler.read();
    assert.equal([first?.usageBytes, first?.limitBytes, first?.deductedBytes], [400, 1000, 100]);
    assert.equal([first?.plan, first?.source, first?.fault], [1, 0, 'none']);
    set(context.folder, 800);
    const later = await seen(sampler, 800);
    assert.ok(later.samples > (first?.samples ?? 0) && later.atNs > (first?.atNs ?? 0));
    assert.ok(later.costNs > 0 && later.costMaxNs > 0 && later.nextNs > 0);
  });

  test('[R-E3] CRITICAL raises once, and again after it was left', async (context) => {
    set(context.folder, 100);
    const signal = context.bench.signal();
    const sampler = open(context);
    signal.armMemory(sampler, 3, { reason: 'memory', origin: 'test', runId: 'run' });
    for (const usage of [949, 951, 990, 920, 999]) {
      set(context.folder, usage);
      await seen(sampler, usage);
    }
    assert.equal([signal.level(), signal.history().length], [3, 1]);
    const [record] = signal.history();
    assert.is(record?.reason, 'memory: 95.1 % of 1000 bytes used (test)');
    assert.equal([record?.origin, record?.runId], ['test', 'run']);
    for (const usage of [10, 960]) {
      set(context.folder, usage);
      await seen(sampler, usage);
    }
    const { crossings, raises, raisedAtNs } = await seen(sampler, 960);
    assert.equal([crossings, raises, signal.history().length], [2, 2, 2]);
    assert.ok(raisedAtNs > 0);
    signal.disarmMemory();
    for (const usage of [10, 970]) {
      set(context.folder, usage);
      await seen(sampler, usage);
    }
    assert.is(signal.history().length, 2);
  });

  test('[R-E3] who arms while it lasts is told of it; a closed signal hears no more', async (context) => {
    set(context.folder, 990);
    const sampler = open(context);
    const signal = context.bench.signal();
    signal.armMemory(sampler, 4);
    await until('the raise', () => signal.level() === 4);
    signal.close();
    set(context.folder, 10);
    await seen(sampler, 10);
    set(context.folder, 991);
    const { crossings, raises } = await seen(sampler, 991);
    assert.equal([crossings, raises], [2, 1]);
  });

  test('[R-E3] garbage, truncated, gone: the last good value, and which file it was', async (context) => {
    const { folder } = context;
    set(folder, 500, 100);
    const sampler = open(context);
    const fault = (what: string, inDeduction: boolean, before: number) =>
      until(`${what} in ${inDeduction}`, () => {
        const sample = sampler.read();
        const isIt = sample?.fault === what && sample.faultInDeduction === inDeduction;
        return isIt && sample.faults > before && sample;
      });
    set(folder, 'garbage\n', 100);
    const first = await fault('format', false, 0);
    assert.equal([first.usageBytes, first.faultSource], [400, 0]);
    set(folder, 600, 'no such key 5\n');
    const second = await fault('format', true, first.faults);
    assert.is(second.usageBytes, 500, 'less what was deducted last');
    truncateSync(join(folder, 'usage'));
    assert.is((await fault('format', false, second.faults)).usageBytes, 500);
    set(folder, '99', 100);
    assert.is((await fault('format', false, second.faults)).usageBytes, 500, 'a number that may be cut');
    rmSync(folder, { recursive: true, force: true });
    sampler.configure(plan([source(folder)]));
    const gone = await fault('open', false, 0);
    assert.equal([gone.limitBytes, gone.plan], [0, 2]);
    assert.ok(gone.faultErrno > 0);
  });

  test('[R-E3] the fullest of several decides; a peak is told once', async (context) => {
    const { folder } = context;
    set(folder, 600);
    writeFileSync(join(folder, 'other'), 'MemTotal: 10 kB\nMemAvailable: 2 kB\n');
    const other: NativeMemorySource = {
      label: 'other',
      ...{ usagePath: join(folder, 'other'), usageKey: 'MemTotal:', usageField: 0, deductPath: '' },
      ...{ deductKey: 'MemAvailable:', unitBytes: 1024, limitBytes: 10 * 1024 },
    };
    const sampler = open(context, [source(folder), other]);
    assert.equal([sampler.read()?.source, sampler.read()?.usageBytes], [1, 8 * 1024]);
    set(folder, 900);
    await until('the other', () => sampler.read()?.source === 0);
    set(folder, 10);
    writeFileSync(join(folder, 'other'), 'MemTotal: 10 kB\nMemAvailable: 9 kB\n');
    await until('both low', () => sampler.read()?.peakUsageBytes === 1024);
    assert.is(sampler.read()?.usageBytes, 1024);
    set(folder, 950);
    await delay(200);
    set(folder, 10);
    await delay(200);
    const told = sampler.read();
    assert.equal([told?.usageBytes, told?.peakUsageBytes, told?.peakLimitBytes], [1024, 950, 1000]);
  });

  test('[R-E3] closed: every call says so, closing again does nothing', (context) => {
    set(context.folder, 1);
    const sampler = open(context);
    sampler.close();
    sampler.close();
    sampler.disarm();
    const isClosed = (error: { code?: string }) => error.code === 'ESPER_NATIVE_CLOSED';
    assert.throws(() => sampler.read(), isClosed);
    assert.throws(() => sampler.configure(plan([])), isClosed);
    const signal = openEmergencySignal(context.bench.name(), { kind: 'process-local', keepAlive: false });
    assert.throws(() => signal.armMemory(sampler, 1), isClosed);
    signal.close();
  });

  test.run();
}
