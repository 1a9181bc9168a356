// What it costs to report an error, to pass an event on, to guard a call and to look at the memory. See `--help`.
import type { Cleanup } from './lib/cleanup.ts';
import { type FaultsPlan, measureFaults } from './lib/faults-bench.ts';
import type { Report, Target } from './lib/report.ts';
import { runBench } from './lib/run-bench.ts';

const ABOUT = `usage: npx tsx bench/faults.ts [--quick] [--json]

Measures, in one run, in rounds in which every case has its turn in random order:
  - ErrorBus.emit with 0, 1, 2 and 10 listeners, and with one of two that never ends, beside EventEmitter.emit of the
    same reports to as many: 16 errors that repeat, as in a flood, which the bus counts and tells once a turn of the
    event loop; and errors that are all distinct (…_distinct), each of which it tells. A ratio is of what emit takes
    from whoever reports; …_delivered_… also of the delivery, until the last listener was told. EventEmitter has its
    listeners run within emit, so its figure is the same for both
  - the in-process bus, each policy, one subscriber, beside Node streams in object mode with buffers of the same size
    and a queue of async: throughput, and the latency until the handler's call. The target is against the push channel
    PassThrough → Writable with an async handler; a Readable that is pulled, a Writable without a source, and handlers
    that return at once have ratios of their own (pipeline_async_…, pipeline_sync_…)
  - one call through a closed CircuitBreaker with every rule on, beside opossum and cockatiel. The target is against
    opossum without a time-out for each call, which ours leaves to others; against its defaults it is …_defaults
  - one look at the memory: the native sampler's latest, and the cgroup read in JavaScript
A ratio is the median of the rounds' ratios; _p99_ compares the slowest batches of each round. What was handed over is
compared with what was counted, delivered, dropped and queued: where that is wrong it is listed, and the benchmark exits
with 1.
Peers are installed into bench/peers/node_modules on first use (npm ci); a row says so when one cannot be had.
Times depend on the machine and drift; the ratios are what to compare.

  --quick   fewer samples, under a minute
  --json    end with one line {"bench":"faults","results":{…},"ratios":{…}}
  --help    this text`;

const TARGETS: readonly Target[] = [
  { key: 'emit_no_listener_vs_event_emitter', bound: 2, inclusive: true },
  { key: 'emit_1_listener_vs_event_emitter', bound: 4, inclusive: true },
  { key: 'emit_stuck_listener_p99_vs_clean', bound: 1.5, inclusive: true },
  { key: 'pipeline_throughput_vs_object_streams', bound: 1.5, inclusive: true, atLeast: true },
  { key: 'breaker_vs_opossum', bound: 0.5, inclusive: true },
  { key: 'counts_wrong_count', bound: 0, inclusive: true },
];

const QUICK: FaultsPlan = {
  emit: { rounds: 15, batches: 200, size: 1024 },
  pipeline: { rounds: 15, batches: 15, size: 2048, stamped: 1024 },
  breaker: { rounds: 15, batches: 15, size: 1000 },
  memory: { rounds: 9, batches: 5, size: 50, samples: 200 },
};

const FULL: FaultsPlan = {
  emit: { rounds: 41, batches: 400, size: 1024 },
  pipeline: { rounds: 31, batches: 40, size: 2048, stamped: 4096 },
  breaker: { rounds: 41, batches: 40, size: 1000 },
  memory: { rounds: 31, batches: 20, size: 50, samples: 2000 },
};

async function measure(report: Report, quick: boolean, cleanup: Cleanup): Promise<void> {
  if (!(await measureFaults(report, quick ? QUICK : FULL, cleanup))) process.exitCode = 1;
}

await runBench({ name: 'faults', about: ABOUT, targets: TARGETS, measure });
