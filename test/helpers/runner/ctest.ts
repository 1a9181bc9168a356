import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { isWanted } from './discover.ts';
import { failure, type Result } from './result.ts';

const testLine = /^\s*\d+\/\d+ Test +#\d+: (\S+) \.*\s*(\*{0,3}\w[\w ]*?)(?::.*?)?\s+(\d+\.\d+) sec/gm;

/** Limit of one C++ test, seconds; CMake may set a longer one for a test. */
const timeoutSeconds = 300;

/** `Not Run` is what ctest says of a test whose program is not there, as after a build of the addon alone. */
function problemOf(state: string): string {
  return state === 'Not Run' ? 'not built: run "npm run build:native"' : state;
}

/** One result per line that ctest prints about a test. */
export function readCtest(output: string): Result[] {
  return [...output.matchAll(testLine)].map(([, name = '', state = '', seconds]) => {
    const passed = state === 'Passed';
    const skipped = state.endsWith('Skipped') || state.endsWith('Disabled');
    return {
      name: `native/${name}`,
      passed: passed ? 1 : 0,
      failed: passed || skipped ? 0 : 1,
      skipped: skipped ? 1 : 0,
      durationMs: Number(seconds) * 1000,
      problem: passed || skipped ? undefined : problemOf(state.replaceAll('*', '')),
      output: '',
    };
  });
}

/** Names of the tests of a build folder, or undefined when ctest cannot tell. */
function listTests(buildDir: string): string[] | undefined {
  const listed = spawnSync('ctest', ['--test-dir', buildDir, '--show-only=json-v1'], { encoding: 'utf8' });
  if (listed.status !== 0) return undefined;
  const { tests } = JSON.parse(listed.stdout) as { tests: { name: string }[] };
  return tests.map((test) => test.name);
}

/** Runs the C++ tests whose `native/<name>` is wanted. Never empty-handed when they are: no build is a failure. */
export function runCtest(projectDir: string, filters: readonly string[]): Result[] {
  const buildDir = join(projectDir, 'build');
  if (filters.length > 0 && !filters.some((filter) => filter.includes('native'))) return [];
  const tests = existsSync(join(buildDir, 'CTestTestfile.cmake')) ? listTests(buildDir) : undefined;
  if (!tests || tests.length === 0) {
    return [failure('native', 'no C++ tests in build/: run "npm run build:native"')];
  }
  const wanted = tests.filter((name) => isWanted(`native/${name}`, filters));
  if (wanted.length === 0) return [];
  const only = filters.length === 0 ? [] : ['-R', `^(${wanted.join('|')})$`];
  const args = ['--test-dir', buildDir, '--output-on-failure', '--timeout', String(timeoutSeconds), ...only];
  const ran = spawnSync('ctest', args, { encoding: 'utf8', maxBuffer: 1 << 28 });
  const output = `${ran.stdout ?? ''}${ran.stderr ?? ''}`;
  const results = readCtest(output);
  const bad = results.some((result) => result.failed > 0);
  if (results.length !== wanted.length || (ran.status !== 0 && !bad)) {
    const seen = `ctest ended with ${ran.status ?? ran.signal} and told of ${results.length} of ${wanted.length} tests`;
    results.push(failure('native', ran.error ? `ctest: ${ran.error.message}` : seen, output));
  } else if (bad) {
    const at = results.findIndex((result) => result.failed > 0);
    const first = results[at];
    if (first) results[at] = { ...first, output };
  }
  return results;
}

/** A line when a C++ source is newer than the addon: the tests would then run on what it was before. */
export function staleBuildNote(projectDir: string): string | undefined {
  const addon = statSync(join(projectDir, 'build', 'Release', 'esper_fastpath.node'), {
    throwIfNoEntry: false,
  });
  if (!addon) return undefined;
  const nativeDir = join(projectDir, 'native');
  const newer = readdirSync(nativeDir, { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.(?:cc|h)$/.test(name))
    .find((name) => statSync(join(nativeDir, name)).mtimeMs > addon.mtimeMs);
  return (
    newer && `note: native/${newer} is newer than the addon that is tested; "npm run build:native" builds it`
  );
}
