import { setTimeout as sleep } from 'node:timers/promises';
import { getHeapStatistics } from 'node:v8';
import { systemClock } from '../../src/core/clock.ts';
import { Metrics } from '../../src/core/metrics.ts';
import { CGROUP_FILES } from '../../src/faults/memory/cgroup-limits.ts';
import { KernelFiles, numberAfter } from '../../src/faults/memory/files.ts';
import { MemoryLimitFinder } from '../../src/faults/memory/limit.ts';
import { createMemoryMonitor } from '../../src/faults/memory/monitor.ts';
import { Troubles } from '../../src/faults/memory/troubles.ts';
import type { NativeMemorySource } from '../../src/native/contract.ts';
import { loadNative } from '../../src/native/load.ts';
import type { Cleanup } from './cleanup.ts';
import { nsEach, sink, type Turn, TurnRounds } from './faults-rounds.ts';
import { figure, type Report } from './report.ts';

export interface MemoryPlan {
  readonly rounds: number;
  /** Of each case in a round; one figure each. */
  readonly batches: number;
  /** Readings in a batch. */
  readonly size: number;
  /** Samples of the native thread, one a millisecond. */
  readonly samples: number;
}

const FILES = new KernelFiles('/');

/** What this process counts against, limited or not: reading it costs the same. */
function cgroupSource(limitBytes: number, finder: MemoryLimitFinder): NativeMemorySource | undefined {
  const { cgroup } = finder.find();
  if (cgroup === undefined) return undefined;
  const { usage, inactive } = CGROUP_FILES[cgroup.version];
  return {
    label: `cgroup v${cgroup.version}`,
    ...{ usagePath: `${cgroup.folder}/${usage}`, usageKey: '', usageField: 0 },
    ...{ deductPath: `${cgroup.folder}/memory.stat`, deductKey: inactive },
    ...{ unitBytes: 1, limitBytes },
  };
}

/** The same two files, read and understood in JavaScript. */
function readInJs(source: NativeMemorySource): number {
  const usage = FILES.read(source.usagePath);
  const stat = FILES.read(source.deductPath);
  if (!('text' in usage && 'text' in stat)) return Number.NaN;
  return (
    (numberAfter(usage.text, '') ?? Number.NaN) - (numberAfter(stat.text, source.deductKey) ?? Number.NaN)
  );
}

function turnOf(id: string, title: string, { batches, size }: MemoryPlan, once: () => number): Turn {
  const run = async (): Promise<number[]> => {
    const ns: number[] = [];
    for (let batch = 0; batch < batches; batch++) {
      let read = 0;
      const startNs = process.hrtime.bigint();
      for (let i = 0; i < size; i++) read += once();
      ns.push(nsEach(startNs, size));
      if (!(read > 0)) throw new Error(`${title}: read nothing`);
      sink.value += read % 2;
    }
    return ns;
  };
  return { id: `memory_${id}`, title, run };
}

/** What the sampler itself says that a sample takes it, on its own thread. */
async function tellThread(report: Report, source: NativeMemorySource, samples: number): Promise<void> {
  const sampler = loadNative().module.openMemorySampler({
    sources: [source],
    ...{ intervalMs: 1, nearIntervalMs: 1, criticalThreshold: 1, margin: 0.1, dwellMs: 1000 },
  });
  try {
    let last = sampler.read();
    while ((last?.samples ?? 0) < samples) {
      await sleep(10);
      last = sampler.read() ?? last;
    }
    if (last === undefined || last.faults > 0) throw new Error(`${source.label}: ${last?.faults} faults`);
    report.results.memory_thread_sample_mean_ns = last.costNs / last.samples;
    report.results.memory_thread_sample_max_ns = last.costMaxNs;
    report.results.memory_thread_samples_count = last.samples;
    const us = (ns: number): string => `${figure(ns / 1e3)} µs`;
    const where = sampler.native ? 'native thread' : 'timer of the event loop: there is no addon';
    const cost = `${us(last.costNs / last.samples)} each, ${us(last.costMaxNs)} the longest`;
    console.log(`  ${last.samples} samples of ${source.label}, ${where}: ${cost}`);
  } finally {
    sampler.close();
  }
}

/** What a look at the memory costs: the native thread's sample, reading it, and reading the cgroup in JavaScript. */
export async function measureMemory(report: Report, plan: MemoryPlan, cleanup: Cleanup): Promise<void> {
  const troubles = new Troubles(systemClock, new Metrics(), () => undefined);
  const finder = new MemoryLimitFinder(FILES, troubles, undefined, undefined);
  const { limit, watched } = finder.find();
  const source = cgroupSource(limit.limitBytes, finder) ?? watched[0];
  if (source === undefined) throw new Error('nothing to read the memory from');
  const { module } = loadNative();
  const sampler = module.openMemorySampler({
    sources: [source],
    ...{ intervalMs: 1000, nearIntervalMs: 5, criticalThreshold: 1, margin: 0.1, dwellMs: 1000 },
  });
  cleanup.add(() => sampler.close());
  const monitor = createMemoryMonitor({}, { errors: { emit: () => undefined } });
  monitor.start();
  cleanup.add(() => monitor.stop());
  const turns = [
    turnOf('read', 'sampler.read()', plan, () => sampler.read()?.usageBytes ?? 0),
    turnOf('check', 'MemoryMonitor.check()', plan, () => monitor.check().use.usageBytes),
    turnOf('usage', 'process.memoryUsage()', plan, () => process.memoryUsage().rss),
    turnOf('heap', 'v8.getHeapStatistics()', plan, () => getHeapStatistics().used_heap_size),
  ];
  if (source.deductPath !== '')
    turns.push(turnOf('cgroup_js', `${source.label}, in JavaScript`, plan, () => readInJs(source)));
  const rounds = await TurnRounds.measure(turns, plan.rounds);
  rounds.tell(report, 'One look at the memory, of the event loop (ns)', {
    id: 'memory_usage',
    name: 'memoryUsage',
  });
  report.ratios.memory_read_vs_memory_usage = rounds.ratio('memory_read', 'memory_usage');
  if (source.deductPath !== '')
    report.ratios.memory_read_vs_cgroup_js = rounds.ratio('memory_read', 'memory_cgroup_js');
  await tellThread(report, source, plan.samples);
}
