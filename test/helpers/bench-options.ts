import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import * as assert from 'uvu/assert';

const run = promisify(execFile);

/** What every benchmark does with options, by name: 'histogram' is bench/histogram.ts. */
export async function assertBenchOptions(name: string): Promise<void> {
  const bench = fileURLToPath(new URL(`../../bench/${name}.ts`, import.meta.url));
  const failed = await run(process.execPath, ['--import', 'tsx', bench, '--fast']).then(
    () => undefined,
    (error: { code: number; stderr: string }) => error,
  );
  assert.is(failed?.code, 2);
  assert.match(failed?.stderr ?? '', '--fast');
  const { stdout } = await run(process.execPath, ['--import', 'tsx', bench, '--help']);
  assert.match(stdout, `npx tsx bench/${name}.ts`);
}
