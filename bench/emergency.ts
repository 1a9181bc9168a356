// How fast an emergency travels, beside its peers, in one run. See `--help`.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startRedis } from '../test/helpers/redis-server.ts';
import { measureBusyLoop } from './lib/busy.ts';
import type { Cleanup } from './lib/cleanup.ts';
import { measureEscalate, openHost } from './lib/escalate.ts';
import { guardCases } from './lib/guard-cases.ts';
import { measureMicro } from './lib/micro.ts';
import { flagCases, histogramCases } from './lib/micro-cases.ts';
import { pingUs } from './lib/redis.ts';
import { measureRemoteFlag } from './lib/remote.ts';
import type { Report, Target } from './lib/report.ts';
import { runBench } from './lib/run-bench.ts';
import { measureWake, type WakePlan, warmUp } from './lib/wake.ts';
import { startWakeVariants } from './lib/wake-variants.ts';

const ABOUT = `usage: npx tsx bench/emergency.ts [--quick] [--json]

Measures, in one run and interleaved:
  - trigger() in one process to callback in another, every 10 ms and every 1 ms, beside node:net, Node IPC,
    Redis pub/sub, a Redis stream, polling every 100 ms, and a raw futex between native threads (the floor)
  - escalate() to the entry acknowledged by Redis, beside a bare XADD of the same bytes, in a process that trains on
    digits meanwhile and in one that sleeps (idle_…)
  - escalate() on host A to the flag of host B
  - publishing while the trainer's event loop is blocked
  - isSet(), TrainingGuard.step() and histogram records, nanoseconds each
It starts a redis-server of its own (Debian package redis-server) and needs the addon (npm run build:native).
Times depend on the machine and drift; the ratios are what to compare.

  --quick   fewer samples, under a minute
  --json    end with one line {"bench":"emergency","results":{…},"ratios":{…}}
  --help    this text`;

const TARGETS: readonly Target[] = [
  { key: 'wake_p50_vs_unix_socket', bound: 0.7, inclusive: true },
  { key: 'wake_p99_vs_unix_socket', bound: 1, inclusive: true },
  { key: 'wake_p50_vs_redis_stream', bound: 0.3, inclusive: true },
  { key: 'is_set_vs_napi_call', bound: 0.6, inclusive: true },
  { key: 'escalate_p50_vs_bare_xadd', bound: 1.5, inclusive: true },
  { key: 'escalate_to_published_p99_ms', bound: 100, inclusive: false },
  { key: 'busy_loop_to_published_p99_ms', bound: 100, inclusive: false },
];

interface Plan {
  readonly wake: readonly WakePlan[];
  readonly escalations: number;
  readonly remoteFlags: number;
  readonly busyLoops: number;
  readonly microRounds: number;
  readonly microTimeS: number;
}

const QUICK: Plan = {
  wake: [
    { intervalMs: 10, rounds: 50, block: 10 },
    { intervalMs: 1, rounds: 20, block: 50 },
  ],
  escalations: 300,
  remoteFlags: 200,
  busyLoops: 6,
  microRounds: 3,
  microTimeS: 0.1,
};

const FULL: Plan = {
  wake: [
    { intervalMs: 10, rounds: 200, block: 10 },
    { intervalMs: 1, rounds: 200, block: 50 },
  ],
  escalations: 2000,
  remoteFlags: 1000,
  busyLoops: 40,
  microRounds: 9,
  microTimeS: 0.5,
};

interface Setup {
  readonly redisUrl: string;
  /** Holds the Unix socket of the peer. */
  readonly directory: string;
  /** Segment names begin with it. */
  readonly prefix: string;
  readonly cleanup: Cleanup;
}

async function measureWakes(setup: Setup, plan: Plan, report: Report): Promise<void> {
  const variants = await startWakeVariants(setup);
  await warmUp(variants);
  for (const each of plan.wake) {
    const summaries = await measureWake(variants, each, report);
    const ours = summaries.get('ours');
    const suffix = each.intervalMs === 10 ? '' : `_${each.intervalMs}ms`;
    for (const [peer, summary] of summaries) {
      if (ours === undefined || peer === 'ours') continue;
      report.ratios[`wake_p50_vs_${peer}${suffix}`] = ours.p50 / summary.p50;
      report.ratios[`wake_p99_vs_${peer}${suffix}`] = ours.p99 / summary.p99;
    }
  }
  await Promise.all(variants.map((variant) => variant.close()));
}

async function measureBus(setup: Setup, plan: Plan, report: Report): Promise<void> {
  const host = await openHost(setup.redisUrl, `${setup.prefix}-host-a`, setup.cleanup);
  await measureEscalate(host, setup, { count: plan.escalations, intervalMs: 10 }, report);
  await measureRemoteFlag(host, setup, { count: plan.remoteFlags, intervalMs: 10 }, report);
  await measureBusyLoop(setup, plan.busyLoops, report);
}

function measureMicros(setup: Setup, plan: Plan, report: Report): void {
  const cases = [
    ...flagCases(`${setup.prefix}-micro`, setup.cleanup),
    ...guardCases(`${setup.prefix}-guard`, setup.cleanup),
    ...histogramCases(`${setup.prefix}-histogram`, setup.cleanup),
  ];
  const ns = measureMicro(cases, plan.microRounds, plan.microTimeS, report);
  report.ratios.is_set_vs_napi_call = ns('is_set') / ns('napi_call');
  report.ratios.is_set_vs_atomics_load = ns('is_set') / ns('atomics_load');
  report.ratios.histogram_record_vs_perf_hooks = ns('histogram_record') / ns('perf_hooks_record');
}

async function measure(report: Report, quick: boolean, cleanup: Cleanup): Promise<void> {
  const plan = quick ? QUICK : FULL;
  const directory = mkdtempSync(join(tmpdir(), 'esper-bench-'));
  cleanup.add(() => rmSync(directory, { recursive: true, force: true }));
  const redis = await startRedis();
  cleanup.add(() => redis.stop());
  const setup: Setup = { redisUrl: redis.url, directory, prefix: `bench-${process.pid}`, cleanup };

  const ping = await pingUs(redis.url);
  report.record('redis_ping', 'us', ping);
  report.printTable('Noise canary (µs)', [{ name: 'Redis PING', summary: ping }]);

  measureMicros(setup, plan, report);
  await measureWakes(setup, plan, report);
  await measureBus(setup, plan, report);
}

await runBench({ name: 'emergency', about: ABOUT, targets: TARGETS, measure });
