// watchdog: 300 s
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { assertBenchOptions } from '../helpers/bench-options.ts';

const test = suite('bench/histogram.ts');
const run = promisify(execFile);
const bench = fileURLToPath(new URL('../../bench/histogram.ts', import.meta.url));
const RATIOS = [
  'record_vs_hdr_wasm',
  'record_vs_hdr_js',
  'record_vs_perf_hooks',
  'record_2_writers_cpu_vs_1',
];
const RESULTS = [
  'record_ns',
  'record_1_writers_cpu_ns',
  'record_2_writers_cpu_ns',
  'record_4_writers_cpu_ns',
];

// How fast is for the bench to say and for people to judge; here only that it measures and that its counts add up.
test('[R-B3] measures beside its peers; no count is lost, nor by writers that are killed', async () => {
  const { stdout } = await run(process.execPath, ['--import', 'tsx', bench, '--quick', '--json'], {
    maxBuffer: 1 << 24,
  });
  const last = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '');
  assert.is(last.bench, 'histogram');
  for (const name of RATIOS) assert.ok(last.ratios[name] > 0, `${name}: ${last.ratios[name]}`);
  for (const name of RESULTS) assert.ok(last.results[name] > 0, `${name}: ${last.results[name]}`);
  const { results } = last;
  assert.ok(results.max_relative_error_percent <= 100 / 256 + 1e-4);
  assert.ok(results.max_relative_error_points_count > 17_000, 'over every edge');
  assert.ok(
    results.writers_recorded_count > 0 && results.sigkill_count > 0 && results.sigkill_recorded_count > 0,
  );
  assert.equal(
    [
      results.writers_uncounted_count,
      results.sigkill_unexplained_count,
      results.sigkill_interval_mismatch_count,
    ],
    [0, 0, 0],
  );
  for (const title of ['hdr-histogram-js', 'perf_hooks', 'native-hdr-histogram', 'prom-client', 'Targets']) {
    assert.match(stdout, title, 'measured, or told why not');
  }
});

test('refuses an option it does not know, and tells those it knows', () => assertBenchOptions('histogram'));

test.run();
