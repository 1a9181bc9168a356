// What it costs to record a latency, beside its peers, in one run. See `--help`.
import type { Cleanup } from './lib/cleanup.ts';
import { loadHdr } from './lib/hdr-peer.ts';
import { ownCases, peerCases } from './lib/histogram-cases.ts';
import { checkKills, measureErrorBound } from './lib/histogram-checks.ts';
import { latenciesNs } from './lib/histogram-values.ts';
import { measureWriters, type WritersPlan } from './lib/histogram-writers.ts';
import { measureMicro } from './lib/micro.ts';
import type { Report, Target } from './lib/report.ts';
import { runBench } from './lib/run-bench.ts';

const ABOUT = `usage: npx tsx bench/histogram.ts [--quick] [--json]

Measures, in one run and interleaved, over values log-uniform from 1 µs to 1 s that were made beforehand:
  - one record, nanoseconds, beside hdr-histogram-js (JavaScript and WebAssembly), perf_hooks, native-hdr-histogram and
    prom-client, each with our range and buckets as wide as ours where it has such a choice
  - CPU time of one record while one, two and four processes write the same histogram
and checks that
  - what is told for a value is within 1/256 of it, at every edge of every bucket
  - nothing but a value in flight is lost by writers that are killed, and intervals sum to the total; else it exits 1
Peers are installed into bench/peers/node_modules on first use (npm ci); a row says so when one cannot be had.
It needs the addon (npm run build:native). Times depend on the machine and drift; the ratios are what to compare.

  --quick   fewer samples, under a minute
  --json    end with one line {"bench":"histogram","results":{…},"ratios":{…}}
  --help    this text`;

const TARGETS: readonly Target[] = [
  { key: 'record_vs_hdr_wasm', bound: 0.5, inclusive: true },
  { key: 'record_vs_perf_hooks', bound: 0.5, inclusive: true },
  { key: 'record_2_writers_cpu_vs_1', bound: 1.2, inclusive: true },
  { key: 'max_relative_error_percent', bound: 0.4, inclusive: true },
  { key: 'sigkill_unexplained_count', bound: 0, inclusive: true },
  { key: 'sigkill_interval_mismatch_count', bound: 0, inclusive: true },
];

interface Plan {
  readonly microRounds: number;
  readonly microTimeS: number;
  readonly writers: WritersPlan;
  readonly kills: number;
}

const QUICK: Plan = { microRounds: 5, microTimeS: 0.1, writers: { rounds: 7, count: 3e6 }, kills: 9 };
const FULL: Plan = { microRounds: 15, microTimeS: 0.4, writers: { rounds: 25, count: 2e7 }, kills: 60 };

async function measureRecords(name: string, plan: Plan, report: Report, cleanup: Cleanup): Promise<void> {
  try {
    const hdr = await loadHdr();
    await hdr.initWebAssembly();
  } catch (error) {
    console.log(`\n  ${error instanceof Error ? error.message : String(error)}`);
  }
  const values = latenciesNs();
  const peers = peerCases(values);
  const measurable = peers.flatMap((peer) => ('body' in peer ? [peer] : []));
  const ns = measureMicro(
    [...ownCases(name, values, cleanup), ...measurable],
    plan.microRounds,
    plan.microTimeS,
    report,
  );
  for (const peer of peers) {
    if ('body' in peer) report.ratios[`record_vs_${peer.id}`] = ns('record') / ns(peer.id);
    else console.log(`  ${peer.title}: not measured, ${peer.missing}`);
  }
  report.ratios.record_vs_call = ns('record') / ns('record_by_call');
}

async function measure(report: Report, quick: boolean, cleanup: Cleanup): Promise<void> {
  const plan = quick ? QUICK : FULL;
  const prefix = `bench-${process.pid}`;
  await measureRecords(`${prefix}-record`, plan, report, cleanup);
  await measureWriters({ name: `${prefix}-writers`, cleanup }, plan.writers, report);
  measureErrorBound(report);
  if (!(await checkKills(`${prefix}-killed`, plan.kills, report))) process.exitCode = 1;
}

await runBench({ name: 'histogram', about: ABOUT, targets: TARGETS, measure });
