import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Cleanup } from '../../bench/lib/cleanup.ts';
import { measureOona, type OonaPlan } from '../../bench/lib/oona-bench.ts';
import { Ledger } from '../../bench/lib/oona-ledger.ts';
import { Report } from '../../bench/lib/report.ts';
import { assertBenchOptions } from '../helpers/bench-options.ts';

const test = suite('bench/oona.ts');

/** Every part of it, as small as it goes. */
const TINY: OonaPlan = {
  publish: { rounds: 1, rehearsal: 20, serial: 10, inFlight: 150 },
  consume: { rounds: 1, rehearsalRounds: 1, count: 200 },
  endToEnd: { rounds: 1, rehearsal: 20, count: 10 },
  process: { rounds: 1, count: 150 },
  emergency: { count: 20, rounds: 1, loadPerSecond: 500 },
  fanOut: { hosts: [1, 20], count: 3, processes: 2 },
};

const RATIOS = [
  'publish_serial_p50_vs_bare_xadd',
  'publish_serial_p50_vs_bare_xadd_1kib',
  'publish_serial_p50_vs_bare_xadd_16kib',
  'publish_serial_p50_vs_bullmq',
  'publish_100_throughput_vs_bare_xadd',
  'publish_100_throughput_vs_bare_xadd_16kib',
  'publish_100_throughput_vs_bullmq',
  'consume_throughput_vs_bare',
  'consume_throughput_vs_bare_16kib',
  'end_to_end_p50_vs_bare',
  'add_process_vs_bullmq',
  'add_process_vs_moleculer',
  'emergency_p99_idle_vs_bare_idle',
  'emergency_p99_loaded_vs_bare_loaded',
  'emergency_p99_saturated_vs_bare_saturated',
  'fanout_20_last_p50_vs_bare',
];
const RESULTS = [
  'fanout_20_last_p99_ms',
  'fanout_20_growth',
  'fanout_20_server_cpu_ms',
  'publish_100_oona_server_cpu_us',
  'redis_ping_end_p50_us',
];

// How fast is for the bench to say and for people to judge; here only that it measures and that its counts add up.
test('[R-O1] measures beside its peers, and every message is stored and delivered once', async () => {
  const cleanup = new Cleanup();
  const report = new Report('oona');
  try {
    assert.ok(await measureOona(report, TINY, cleanup), 'every count is right');
  } finally {
    await cleanup.run();
  }
  const { ratios, results } = report;
  for (const name of RATIOS) assert.ok((ratios[name] ?? 0) > 0, `${name}: ${ratios[name]}`);
  for (const name of RESULTS) assert.ok((results[name] ?? 0) > 0, `${name}: ${results[name]}`);
  assert.ok((results.messages_expected_count ?? 0) > 5000);
  assert.is(results.messages_counted_count, results.messages_expected_count);
  assert.is(results.messages_wrong_count, 0);
  const own = results.publish_100_oona_per_s ?? 0;
  assert.ok(
    Math.abs(
      (ratios.publish_100_throughput_vs_bullmq ?? 0) / (own / (results.publish_100_bullmq_per_s ?? 1)) - 1,
    ) < 1e-9,
  );
});

test('[R-O1] a message that is missing, or one too many, is told and makes it fail', () => {
  const report = new Report('oona');
  const ledger = new Ledger();
  ledger.check('lost', 3, 2);
  ledger.check('doubled', 3, 4);
  assert.not(ledger.tell(report));
  assert.is(report.results.messages_wrong_count, 2);
});

test('refuses an option it does not know, and tells those it knows', () => assertBenchOptions('oona'));

test.run();
