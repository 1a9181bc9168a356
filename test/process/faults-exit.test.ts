import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

const test = suite('an app with an error bus');
const app = fileURLToPath(new URL('../fixtures/faults-app.ts', import.meta.url));

/** A watchdog: resolves only when the app ended by itself, with status 0. */
const run = (...args: string[]) =>
  promisify(execFile)(process.execPath, ['--import', 'tsx', app, ...args], { timeout: 30_000 });

const TOLD = [
  'DEGRADED_MODE_ACTIVATED x 1',
  'DEGRADATION_ACTION_FAILED x 1',
  'DEGRADED_MODE_CLEARED x 1',
  'ADAPTER_FAILED x 3',
];

test('[R-E5][R-E7] ends by itself, with everything told, though a handler hangs and an undo is stuck', async () => {
  const { stdout, stderr } = await run('leave');
  assert.equal(stdout.trim().split('\n'), [...TOLD, 'exit, 4 records']);
  const lines = stderr
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.equal(
    lines.map(({ level, code, count }) => `${level} ${code} ${count}`),
    [
      'error DEGRADED_MODE_ACTIVATED 1',
      'error DEGRADATION_ACTION_FAILED 1',
      'info DEGRADED_MODE_CLEARED 1',
      'error ADAPTER_FAILED 3',
    ],
  );
});

test('[R-E5] close comes to its end at the deadline, though a handler hangs, and so does the process', async () => {
  const { stdout } = await run('close');
  assert.equal(stdout.trim().split('\n'), [...TOLD, 'gave up', 'exit, 4 records']);
});

test.run();
