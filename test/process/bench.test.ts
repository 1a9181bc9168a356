// watchdog: 300 s
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

const test = suite('bench/emergency.ts');
const run = promisify(execFile);
const bench = fileURLToPath(new URL('../../bench/emergency.ts', import.meta.url));
const RATIOS = [
  'wake_p50_vs_unix_socket',
  'wake_p99_vs_unix_socket',
  'wake_p50_vs_redis_stream',
  'is_set_vs_napi_call',
  'escalate_p50_vs_bare_xadd',
];
const RESULTS = ['escalate_to_published_p99_ms', 'busy_loop_to_published_p99_ms', 'remote_flag_p99_ms'];

// How fast is for the bench to say and for people to judge; here only that it measures and loses nothing.
test('[R-F12] [R-F6] reports the latency of an emergency, from the call to the stream, and loses none', async () => {
  const { stdout } = await run(process.execPath, ['--import', 'tsx', bench, '--quick', '--json'], {
    maxBuffer: 1 << 24,
  });
  const last = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '');
  assert.is(last.bench, 'emergency');
  for (const name of RATIOS) assert.ok(last.ratios[name] > 0, `${name}: ${last.ratios[name]}`);
  for (const name of RESULTS) assert.ok(last.results[name] > 0, `${name}: ${last.results[name]}`);
  const lost = Object.entries(last.results).filter(
    ([name, value]) => name.endsWith('_lost_count') && value !== 0,
  );
  assert.equal(lost, []);
});

test('refuses an option it does not know', async () => {
  const failed = await run(process.execPath, ['--import', 'tsx', bench, '--fast']).then(
    () => undefined,
    (error: { code: number; stderr: string }) => error,
  );
  assert.is(failed?.code, 2);
  assert.match(failed?.stderr ?? '', '--fast');
});

test.run();
