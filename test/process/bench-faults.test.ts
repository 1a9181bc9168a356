import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Cleanup } from '../../bench/lib/cleanup.ts';
import { type FaultsPlan, measureFaults } from '../../bench/lib/faults-bench.ts';
import type { Channel, ChannelKind } from '../../bench/lib/faults-channels.ts';
import { Line } from '../../bench/lib/faults-line.ts';
import { TurnRounds } from '../../bench/lib/faults-rounds.ts';
import { Ledger } from '../../bench/lib/oona-ledger.ts';
import { Report } from '../../bench/lib/report.ts';
import { assertBenchOptions } from '../helpers/bench-options.ts';

const test = suite('bench/faults.ts');

/** Every part of it, as small as it goes. */
const TINY: FaultsPlan = {
  emit: { rounds: 1, batches: 2, size: 64 },
  pipeline: { rounds: 1, batches: 2, size: 200, stamped: 128 },
  breaker: { rounds: 1, batches: 2, size: 50 },
  memory: { rounds: 1, batches: 2, size: 5, samples: 3 },
};

const RATIOS = [
  'emit_no_listener_vs_event_emitter',
  'emit_no_listener_distinct_vs_event_emitter',
  'emit_1_listener_vs_event_emitter',
  'emit_1_listener_delivered_vs_event_emitter',
  'emit_1_listener_delivered_distinct_vs_event_emitter',
  'emit_10_listeners_vs_event_emitter',
  'emit_stuck_listener_vs_event_emitter',
  'emit_stuck_listener_p99_vs_clean',
  'emit_stuck_listener_distinct_p99_vs_clean',
  'pipeline_throughput_vs_object_streams',
  'pipeline_async_throughput_vs_readable',
  'pipeline_async_throughput_vs_writable',
  'pipeline_async_throughput_vs_async_queue',
  'pipeline_sync_throughput_vs_passthrough',
  'pipeline_latency_alone_p99_vs_passthrough',
  'pipeline_latency_burst_p99_vs_passthrough',
  'overload_throughput_bus_dropOldest_vs_writable',
  'breaker_vs_opossum',
  'breaker_vs_opossum_defaults',
  'breaker_vs_cockatiel',
  'memory_read_vs_memory_usage',
];
const RESULTS = [
  'emit_10_listeners_bus_p99_ns',
  'emit_stuck_listener_event_emitter_ns',
  ...['block', 'dropNewest', 'dropOldest', 'dropSlow'].flatMap((policy) => [
    `pipeline_async_bus_${policy}_per_s`,
    `pipeline_sync_bus_${policy}_per_s`,
    `latency_burst_bus_${policy}_p99_ns`,
  ]),
  'overload_bus_dropSlow_per_s',
  'breaker_cockatiel_ns',
  'memory_check_ns',
  'memory_thread_sample_mean_ns',
];

// How fast is for the bench to say and for people to judge; here only that it measures and that its counts add up.
test('[R-E5] measures beside its peers, and every error, event and call is accounted for', async () => {
  const cleanup = new Cleanup();
  const report = new Report('faults');
  try {
    assert.ok(await measureFaults(report, TINY, cleanup), 'every count is right');
  } finally {
    await cleanup.run();
  }
  const { ratios, results } = report;
  for (const name of RATIOS) assert.ok((ratios[name] ?? 0) > 0, `${name}: ${ratios[name]}`);
  for (const name of RESULTS) assert.ok((results[name] ?? 0) > 0, `${name}: ${results[name]}`);
  assert.ok((results.counts_expected_count ?? 0) > 5000);
  assert.is(results.counts_counted_count, results.counts_expected_count);
  assert.is(results.counts_wrong_count, 0);
});

test('[R-E5] a ratio is the median of the rounds, of the figures that stand in one round together', async () => {
  const own = [[9], [9], [10], [40], [90]];
  const other = [[9], [9], [5], [10], [100]];
  const next = (figures: readonly number[][]) => {
    const left = [...figures];
    return async () => left.shift() ?? [];
  };
  const turns = [
    { id: 'own', title: 'own', run: next(own) },
    { id: 'other', title: 'other', run: next(other) },
  ];
  const rounds = await TurnRounds.measure(turns, 3);
  // Of 10/5, 40/10 and 90/100; the first two were rehearsals. Of the medians, it would be 40/10.
  assert.is(rounds.ratio('own', 'other'), 2);
});

/** Says of itself what it likes. */
function lying(counts: Channel['counts'], times: number): ChannelKind {
  return {
    id: 'lying',
    title: 'lying',
    open: (handler) => ({
      send: (event) => {
        for (let i = 0; i < times; i++) void handler(event);
        return undefined;
      },
      counts,
      close: () => Promise.resolve(),
    }),
  };
}

test('[R-E5] an event that comes twice, or an account that does not add up, is told and makes it fail', async () => {
  const wrongAfter = async (kind: ChannelKind): Promise<number | undefined> => {
    const report = new Report('faults');
    const ledger = new Ledger({ key: 'counts', text: 'counted' });
    const line = new Line('test', kind, 'sync');
    await line.pass(3);
    await line.close(ledger);
    assert.is(ledger.tell(report), report.results.counts_wrong_count === 0);
    return report.results.counts_wrong_count;
  };
  assert.is(await wrongAfter(lying(() => undefined, 1)), 0);
  assert.ok((await wrongAfter(lying(() => undefined, 2))) !== 0, 'handled twice');
  const short = () => ({ received: 3, delivered: 3, dropped: 0, queued: 1 });
  assert.is(await wrongAfter(lying(short, 1)), 1, 'received is not delivered + dropped + queued');
});

test('refuses an option it does not know, and tells those it knows', () => assertBenchOptions('faults'));

test.run();
