import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { loadNative } from '../../src/native/load.ts';

// A thread that watches memory must not hold its process, nor crash its end.

const test = suite('memory monitor, at the end of its process');
const run = promisify(execFile);
const fixture = fileURLToPath(new URL('../fixtures/memory/leaving.ts', import.meta.url));
const name = `memory-exit.${process.pid}.${randomBytes(4).toString('hex')}`;
/** A watchdog: a process that is held would stay for good. */
const STUCK_MS = 30_000;

test.after(() => void loadNative().module.unlink(name));

for (const way of ['end', 'stop', 'exit', 'thread-over', 'thread-ended']) {
  test(`[R-E3] ${way}: the process ends by itself, well`, async () => {
    const { stderr } = await run(process.execPath, ['--import', 'tsx', fixture, way, name], {
      timeout: STUCK_MS,
    });
    assert.is(stderr, '');
  });
}

test('[R-E3] an uncaught error ends it as any other process', async () => {
  const ended = await run(process.execPath, ['--import', 'tsx', fixture, 'throw', name], {
    timeout: STUCK_MS,
  }).catch((error: { code: number; signal: string | null; stderr: string }) => error);
  const { code, signal, stderr } = ended as { code?: number; signal?: string | null; stderr: string };
  assert.equal([code, signal], [1, null]);
  assert.match(stderr, 'on purpose');
});

test.run();
