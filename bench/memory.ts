// What watching memory costs, and how fast memory may fill for the flag to be set in time. See `--help`.
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Metrics, systemClock } from '../src/core/index.ts';
import { KernelFiles } from '../src/faults/memory/files.ts';
import { MemoryLimitFinder } from '../src/faults/memory/limit.ts';
import { Troubles } from '../src/faults/memory/troubles.ts';
import type { NativeMemorySource } from '../src/native/contract.ts';
import { loadNative } from '../src/native/load.ts';
import { openEmergencySignal } from '../src/signals/index.ts';
import { type MemoryCgroup, makeMemoryCgroup } from '../test/helpers/memory-cgroup.ts';
import type { Cleanup } from './lib/cleanup.ts';
import { figure, type Report, type Row, type Target } from './lib/report.ts';
import { runBench } from './lib/run-bench.ts';
import { summarize } from './lib/samples.ts';

const ABOUT = `usage: npx tsx bench/memory.ts [--quick] [--json]

1. What one sample of the native sampler costs, for each kind of limit, microseconds.
2. A process in a real memory cgroup of 512 MiB fills it in synchronous loops until the kernel kills it. Was its flag
   set before, and how long before its end was seen here? At several rates, and with less and less space between the
   flag and the limit: what is filled in the space at that rate is the time that it takes to be in time.
Needs the addon (npm run build:native) and root, to make memory cgroups.

  --quick   fewer runs, about a minute
  --json    end with one line {"bench":"memory","results":{…},"ratios":{…}}
  --help    this text`;

const MIB = 2 ** 20;
const LIMIT_BYTES = 512 * MIB;
const NS_PER_MS = 1e6;
const FILLER = fileURLToPath(new URL('./workers/memory-filler.ts', import.meta.url));

const TARGETS: readonly Target[] = [{ key: 'missed_200_mb_s', bound: 0, inclusive: true }];

interface Case {
  readonly id: string;
  readonly title: string;
  /** Bytes a second of each thread; 0: as fast as it can. */
  readonly rate: number;
  readonly threads: number;
  /** Share of the limit at which the flag is set. */
  readonly critical: number;
}

const fast = (id: string, critical: number): Case => {
  const space = ((LIMIT_BYTES * (1 - critical)) / MIB).toFixed(1);
  return { id, title: `as fast as one thread can, ${space} MiB left`, rate: 0, threads: 1, critical };
};

const CASES: readonly Case[] = [
  { id: '200_mb_s', title: '200 MB/s', rate: 200e6, threads: 1, critical: 0.95 },
  { id: '800_mb_s', title: '800 MB/s', rate: 800e6, threads: 1, critical: 0.95 },
  { id: '2_threads', title: 'as fast as two threads can', rate: 0, threads: 2, critical: 0.95 },
  // No thread here fills memory fast enough to be too late: less space between the flag and the limit is the same.
  fast('25_mib', 0.95),
  fast('10_mib', 0.98),
  fast('5_mib', 0.99),
  fast('2_mib', 0.995),
  fast('1_mib', 0.998),
];

/** Mean cost of a sample in microseconds, several times. */
async function sampleCosts(sources: readonly NativeMemorySource[], rounds: number): Promise<number[]> {
  const costs: number[] = [];
  const pace = { intervalMs: 1, nearIntervalMs: 1, criticalThreshold: 0.95, margin: 0.03, dwellMs: 0 };
  for (let round = 0; round < rounds; round++) {
    const sampler = loadNative().module.openMemorySampler({ sources, ...pace });
    await systemClock.sleep(200, undefined, { keepAlive: true });
    const sample = sampler.read();
    sampler.close();
    if (sample !== undefined) costs.push(sample.costNs / sample.samples / 1000);
  }
  return costs;
}

async function measureCosts(report: Report, rounds: number, cgroup: MemoryCgroup): Promise<void> {
  const troubles = new Troubles(systemClock, new Metrics(), () => undefined);
  const files = new KernelFiles('/');
  const { version, folder } = cgroup;
  const isV1 = version === 1;
  const ofCgroup: NativeMemorySource = {
    label: folder,
    ...{
      usagePath: `${folder}/${isV1 ? 'memory.usage_in_bytes' : 'memory.current'}`,
      usageKey: '',
      usageField: 0,
    },
    ...{ deductPath: `${folder}/memory.stat`, deductKey: isV1 ? 'total_inactive_file' : 'inactive_file' },
    ...{ unitBytes: 1, limitBytes: LIMIT_BYTES },
  };
  const { watched: ofProcess } = new MemoryLimitFinder(files, troubles, 2 ** 40, undefined).find();
  const kinds: [string, string, readonly NativeMemorySource[]][] = [
    ['cgroup', `cgroup v${version}: usage and memory.stat`, [ofCgroup]],
    ['process', 'memoryLimitBytes: /proc/self/status', ofProcess],
  ];
  const rows: Row[] = [];
  for (const [id, name, sources] of kinds) {
    const summary = summarize(await sampleCosts(sources, rounds));
    report.record(`sample_${id}`, 'us', summary);
    rows.push({ name, summary });
  }
  report.printTable('Cost of one sample in the native thread (us, means of 0.2 s each)', rows);
}

interface Fill {
  readonly inTime: boolean;
  /** From the flag being set to the end of the process being seen here. */
  readonly leftMs: number;
  /** MB a second over all threads, as far as they told. */
  readonly rate: number;
}

/** The last line that each thread wrote. */
function achieved(stderr: string): number {
  const rates = new Map<string, number>();
  for (const line of stderr.split('\n')) {
    const [thread, bytes, ns] = /^(\d+) (\d+) (\d+)$/.exec(line)?.slice(1) ?? [];
    if (thread !== undefined && Number(bytes) > 0) rates.set(thread, (Number(bytes) / Number(ns)) * 1e3);
  }
  return [...rates.values()].reduce((sum, rate) => sum + rate, 0);
}

async function fillOnce({ rate, threads, critical }: Case, at: number): Promise<Fill> {
  const cgroup = makeMemoryCgroup(LIMIT_BYTES);
  const name = `bench-memory-${process.pid}-${at}`;
  const signal = openEmergencySignal(name, { keepAlive: false });
  const [command = '', ...before] = cgroup.under;
  const child = fork(FILLER, [name, String(rate), String(threads), String(critical)], {
    execPath: command,
    execArgv: [...before, process.execPath, '--import', 'tsx'],
    stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
  });
  let stderr = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  try {
    const ended = new Promise<bigint>((resolve) => {
      child.once('exit', () => resolve(process.hrtime.bigint()));
    });
    const ready = await Promise.race([
      new Promise<unknown>((resolve) => child.once('message', resolve)),
      ended.then(() => undefined),
    ]);
    if (ready !== true) throw new Error(`the filling process has no native sampler: ${stderr}`);
    child.send('go');
    const endNs = await ended;
    const record = signal.history().find(({ pid }) => pid === child.pid);
    const leftMs = record === undefined ? Number.NaN : Number(endNs - record.monotonicNs) / NS_PER_MS;
    return { inTime: record !== undefined, leftMs, rate: achieved(stderr) };
  } finally {
    child.kill('SIGKILL');
    await cgroup.remove();
    signal.close();
    signal.unlink();
  }
}

async function measureFills(report: Report, runs: number): Promise<void> {
  const rows: Row[] = [];
  let at = 0;
  for (const one of CASES) {
    const fills: Fill[] = [];
    for (let run = 0; run < runs; run++) fills.push(await fillOnce(one, at++));
    const inTime = fills.filter((fill) => fill.inTime);
    const rate = summarize(fills.map((fill) => fill.rate)).p50;
    const summary = summarize(inTime.map(({ leftMs }) => leftMs));
    report.results[`missed_${one.id}`] = runs - inTime.length;
    report.results[`rate_${one.id}_mb_s`] = rate;
    report.record(`left_${one.id}`, 'ms', summary);
    const spaceMs = ((LIMIT_BYTES * (1 - one.critical)) / (rate * 1e6)) * 1000;
    report.results[`space_${one.id}_ms`] = spaceMs;
    const extra = `${inTime.length} of ${runs} in time, ${Math.round(rate)} MB/s, filled in ${figure(spaceMs)} ms`;
    rows.push({ name: one.title, summary, extra });
  }
  const title = 'From the flag to the end of the process that fills 512 MiB (ms)';
  report.printTable(title, rows, { extra: 'achieved' });
}

async function measure(report: Report, quick: boolean, cleanup: Cleanup): Promise<void> {
  if (loadNative().source === 'twin') throw new Error('the addon is needed: npm run build:native');
  const cgroup = makeMemoryCgroup(LIMIT_BYTES);
  cleanup.add(() => cgroup.remove());
  await measureCosts(report, quick ? 5 : 20, cgroup);
  await measureFills(report, quick ? 3 : 20);
}

await runBench({ name: 'memory', about: ABOUT, targets: TARGETS, measure });
