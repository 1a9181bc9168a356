// watchdog: 200 s
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

const test = suite('bench/deadlines.ts');
const run = promisify(execFile);
const bench = fileURLToPath(new URL('../../bench/deadlines.ts', import.meta.url));

// How late is for the bench to say and for people to judge; here only that none is lost or early.
test('[R-B6] with the loop blocked for 3 s every deadline sets the flag, while it is blocked', async () => {
  const { stdout } = await run(process.execPath, ['--import', 'tsx', bench, '--quick', '--json'], {
    maxBuffer: 1 << 24,
  });
  const { bench: name, results, ratios } = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '');
  assert.is(name, 'deadlines');
  assert.ok(results.deadline_overrun_count >= 200 && results.control_overrun_count >= 200);
  assert.is(results.deadlines_lost, 0);
  assert.is(results.blocks_without_the_flag_seen, 0);
  assert.ok(results.deadline_overrun_p50_ms > 0 && results.deadline_overrun_p99_ms > 0);
  for (const key of ['arm_disarm_ns', 'heartbeat_ns']) assert.ok(results[key] > 0, key);
  for (const key of ['deadline_p99_vs_control', 'heartbeat_vs_native_call']) assert.ok(ratios[key] > 0, key);
});

test.run();
