/** `npm test`: every test file in its own process under a watchdog, then the C++ tests. `--help` tells the options. */
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { runCtest, staleBuildNote } from './helpers/runner/ctest.ts';
import { findTestFiles, isWanted, type TestFile } from './helpers/runner/discover.ts';
import { failure, formatCounts, formatResult, type Result, sum } from './helpers/runner/result.ts';
import { killRunning, runFile } from './helpers/runner/run-file.ts';

const usage = `Usage: npm test -- [options] [filter…]

Runs the test files (test/**/*.test.ts) and C++ tests (native/<name>) whose path contains a filter; all without one.

  --root DIR       look for test files below DIR (default: test); leaves the C++ tests out
  --no-native      leave the C++ tests out
  --watchdog S     seconds after which a file is killed (default: 120); a file sets its own by a line
                   "// watchdog: 300 s" at its beginning
  --jobs N         files at once (default: 2); those below process/ and integration/ always run alone
  --help           this text

Exit code 1 when anything failed: a test, a crash, a time-out, a file that ran no test. The last line is
"N passed, N failed", with ", N skipped" when there are any.`;

const projectDir = dirname(dirname(fileURLToPath(import.meta.url)));

function readArguments() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      root: { type: 'string' },
      'no-native': { type: 'boolean', default: false },
      watchdog: { type: 'string', default: '120' },
      jobs: { type: 'string', default: '2' },
      help: { type: 'boolean', default: false },
    },
  });
  const watchdogMs = Number(values.watchdog) * 1000;
  const jobs = Number(values.jobs);
  if (!(watchdogMs > 0))
    throw new Error(`--watchdog ${values.watchdog}: must be a number of seconds above 0`);
  if (!Number.isInteger(jobs) || jobs < 1)
    throw new Error(`--jobs ${values.jobs}: must be a whole number above 0`);
  return {
    help: values.help,
    root: resolve(projectDir, values.root ?? 'test'),
    native: !values['no-native'] && values.root === undefined,
    watchdogMs,
    jobs,
    filters: positionals,
  };
}

function tell(result: Result): void {
  if (result.failed > 0 && result.output !== '') console.log(result.output.trimEnd());
  console.log(formatResult(result));
}

async function runAll(files: readonly TestFile[], jobs: number): Promise<Result[]> {
  const results: Result[] = [];
  const waiting = [...files];
  const work = async (): Promise<void> => {
    for (let file = waiting.shift(); file; file = waiting.shift()) {
      const result = await runFile(file.path, file.name, projectDir, file.watchdogMs);
      tell(result);
      results.push(result);
    }
  };
  await Promise.all(Array.from({ length: jobs }, work));
  return results;
}

async function main(): Promise<void> {
  const given = readArguments();
  if (given.help) {
    console.log(usage);
    return;
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      killRunning();
      process.exit(128 + constants.signals[signal]);
    });
  }

  // `npm test` generates it first; every file would fail with a module that nobody has heard of.
  if (!existsSync(join(projectDir, 'src/leyline/generated/leyline.js')))
    throw new Error('src/leyline/generated is missing: run "npm run generate" once');
  const files = findTestFiles(given.root, projectDir, given.watchdogMs).filter((file) =>
    isWanted(file.name, given.filters),
  );
  const stale = given.native ? staleBuildNote(projectDir) : undefined;
  if (stale) console.log(stale);
  const together = await runAll(
    files.filter((file) => !file.alone),
    given.jobs,
  );
  const alone = await runAll(
    files.filter((file) => file.alone),
    1,
  );
  const native = given.native ? runCtest(projectDir, given.filters) : [];
  native.forEach(tell);
  const results = [...together, ...alone, ...native];
  if (results.length === 0) {
    results.push(failure('npm test', `no test file matches ${given.filters.join(', ') || given.root}`));
    results.forEach(tell);
  }

  const failed = results.filter((result) => result.failed > 0);
  if (failed.length > 0)
    console.log(`\nFailed:\n${failed.map((result) => `  ${formatResult(result)}`).join('\n')}\n`);
  console.log(formatCounts(sum(results)));
  process.exitCode = failed.length > 0 ? 1 : 0;
}

await main();
