// watchdog: 420 s
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

// The short form of every method that proves the native core; the long one is `npm run verify:native`.

const test = suite('verify:native, short');
const run = promisify(execFile);
const SCRIPT = fileURLToPath(new URL('../../scripts/verify-native.mjs', import.meta.url));

interface Row {
  readonly method: string;
  readonly what: string;
  readonly count: string;
  readonly ok: boolean;
  readonly detail?: string;
}

async function verify(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  try {
    const { stdout, stderr } = await run(process.execPath, [SCRIPT, ...args], { maxBuffer: 1 << 24 });
    return { code: 0, stdout, stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { code, stdout, stderr };
  }
}

test('[R-B2] every method finds nothing wrong, and says how much it looked at', async () => {
  const { stdout, stderr } = await verify('--short', '--json');
  const last = stdout.trimEnd().split('\n').at(-1) ?? '';
  assert.match(last, /^\{"verify":"native"/, stderr);
  const { ok, rows } = JSON.parse(last) as { ok: boolean; rows: Row[] };
  assert.equal(
    rows.filter((row) => !row.ok),
    [],
  );
  assert.is(ok, true);
  const { stdout: list } = await verify('--list');
  const methods = list
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/)[0]);
  assert.equal([...new Set(rows.map(({ method }) => method))], methods);
});

test('[R-B2] an unknown method or a budget that is none is refused with what is known', async () => {
  const unknown = await verify('--only', 'prayer');
  assert.is(unknown.code, 2);
  assert.match(unknown.stderr, /no method prayer; known: .*torture/);
  const budget = await verify('--budget', 'soon');
  assert.is(budget.code, 2);
  assert.match(budget.stderr, /--budget takes seconds/);
});

test.run();
