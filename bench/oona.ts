// What the bus costs over its engine, and beside its peers, in one run. See `--help`.
import type { Cleanup } from './lib/cleanup.ts';
import { measureOona, type OonaPlan } from './lib/oona-bench.ts';
import type { Report, Target } from './lib/report.ts';
import { runBench } from './lib/run-bench.ts';

const ABOUT = `usage: npx tsx bench/oona.ts [--quick] [--json]

Measures, in one run, in rounds in which every variant has its turn in random order:
  - publish, one after the other and 100 in flight, at 256 B, 1 KiB and 16 KiB (of the message; what is stored has its
    envelope and signature too), beside a bare ioredis XADD of the same stored bytes and BullMQ's add; 256 B messages
    where a key says no size
  - consume and acknowledge messages that wait, beside a bare XREADGROUP and one XACK a batch
  - end to end, one at a time, to a handler in another process, beside a bare XADD to a blocked XREADGROUP
  - add and process, 100 in flight, beside BullMQ and @moleculer/channels
  - an emergency until its handler in another process is called: with nothing else, beside 5,000 normal messages a
    second, and beside as many as go; beside bare ioredis under the same load
  - an emergency to 1, 10, 100 and 1,000 hosts' readers, until the last has it, beside as many bare blocked readers
Bare clients have the options of the bus's own. A throughput ratio is the median of the rounds' ratios; one of latencies
divides p50 by p50 (or p99 by p99). CPU time a message, of this process and of Redis, stands beside each throughput:
other programs disturb it less. NATS JetStream's publish is a reference (Debian package nats-server; left out, and
said so, without it), PING the noise canary. Every message is counted where it ends: one that is missing or comes twice
is listed, and the benchmark exits 1.
It starts a redis-server of its own (Debian package redis-server), which stores nothing on disk. Peers are installed into
bench/peers/node_modules on first use (npm ci); a row says so when one cannot be had.
Times depend on the machine and drift; the ratios are what to compare.

  --quick   fewer samples, about a minute and a half
  --json    end with one line {"bench":"oona","results":{…},"ratios":{…}}
  --help    this text`;

const TARGETS: readonly Target[] = [
  { key: 'publish_serial_p50_vs_bare_xadd', bound: 1.3, inclusive: true },
  { key: 'publish_100_throughput_vs_bare_xadd', bound: 0.65, inclusive: true, atLeast: true },
  { key: 'publish_100_throughput_vs_bullmq', bound: 1.5, inclusive: true, atLeast: true },
  { key: 'consume_throughput_vs_bare', bound: 0.6, inclusive: true, atLeast: true },
  { key: 'end_to_end_p50_vs_bare', bound: 1.4, inclusive: true },
  { key: 'add_process_vs_bullmq', bound: 2, inclusive: true, atLeast: true },
  { key: 'add_process_vs_moleculer', bound: 2, inclusive: true, atLeast: true },
  { key: 'emergency_p99_loaded_vs_bare_loaded', bound: 1.5, inclusive: true },
  { key: 'fanout_1000_last_p50_vs_bare', bound: 1.4, inclusive: true },
  { key: 'messages_wrong_count', bound: 0, inclusive: true },
];

const FAN_OUT_HOSTS = [1, 10, 100, 1000];

const QUICK: OonaPlan = {
  publish: { rounds: 5, rehearsal: 30_000, serial: 200, inFlight: 2000 },
  consume: { rounds: 5, rehearsalRounds: 12, count: 6000 },
  endToEnd: { rounds: 5, rehearsal: 30_000, count: 200 },
  process: { rounds: 5, count: 2000 },
  emergency: { count: 1200, rounds: 4, loadPerSecond: 5000 },
  fanOut: { hosts: FAN_OUT_HOSTS, count: 20, processes: 2 },
};

const FULL: OonaPlan = {
  publish: { rounds: 15, rehearsal: 30_000, serial: 500, inFlight: 5000 },
  consume: { rounds: 15, rehearsalRounds: 8, count: 10_000 },
  endToEnd: { rounds: 15, rehearsal: 30_000, count: 500 },
  process: { rounds: 15, count: 5000 },
  emergency: { count: 3000, rounds: 6, loadPerSecond: 5000 },
  fanOut: { hosts: FAN_OUT_HOSTS, count: 200, processes: 2 },
};

async function measure(report: Report, quick: boolean, cleanup: Cleanup): Promise<void> {
  if (!(await measureOona(report, quick ? QUICK : FULL, cleanup))) process.exitCode = 1;
}

await runBench({ name: 'oona', about: ABOUT, targets: TARGETS, measure });
