import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { readCtest } from '../helpers/runner/ctest.ts';
import { readUvuSummary } from '../helpers/runner/uvu-summary.ts';

const projectDir = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const fixtures = join('test', 'fixtures', 'runner');

function runRunner(...args: string[]) {
  const ran = spawnSync(process.execPath, ['--import', 'tsx', 'test/run.ts', ...args], {
    cwd: projectDir,
    encoding: 'utf8',
  });
  const lines = ran.stdout.trimEnd().split('\n');
  return {
    status: ran.status,
    stdout: ran.stdout,
    stderr: ran.stderr,
    last: lines.at(-1),
    /** The line about one file. */
    of: (name: string) => lines.find((line) => line.includes(`${name}.test.ts: `)) ?? '',
  };
}

/** The process does not run any more: gone, or a zombie that nobody reaps. */
function hasEnded(pid: string): boolean {
  if (!existsSync(`/proc/${pid}/stat`)) return true;
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return stat.slice(stat.lastIndexOf(')') + 2).startsWith('Z');
}

const test = suite('test runner');

let all: ReturnType<typeof runRunner>;
test.before(() => {
  all = runRunner('--root', fixtures);
});

test('counts the tests that ran and ends with the counts', () => {
  assert.match(all.of('passing'), /^ok .*: 2 passed, 0 failed, 1 skipped, \d+ ms$/);
  assert.is(all.last, '5 passed, 6 failed, 1 skipped');
  assert.is(all.status, 1);
});

test('a run without failure exits 0, and skipped tests are told', () => {
  const ran = runRunner('--root', fixtures, 'passing');
  assert.is(ran.status, 0);
  assert.is(ran.last, '2 passed, 0 failed, 1 skipped');
});

test('a failing test is a failure and its file is printed whole', () => {
  assert.match(all.of('failing'), /^FAIL .*: 1 passed, 1 failed/);
  assert.match(all.stdout, 'sums that are wrong');
});

test('a file that ran no test is a failure', () => {
  assert.match(all.of('empty'), /: 0 passed, 1 failed, \d+ ms \(ran no test\)$/);
});

test('a file that hangs is killed by its watchdog, with all that it started', () => {
  assert.match(all.of('hanging'), /: 0 passed, 1 failed, \d+ ms \(killed by the watchdog after 4 s\)$/);
  const pid = /hanging {2}grandchild (\d+)/.exec(all.stdout)?.[1];
  assert.ok(pid);
  assert.ok(hasEnded(pid));
});

test('a file that dies of a signal is a failure', () => {
  assert.match(all.of('crashing'), /: 0 passed, 1 failed, \d+ ms \(died of SIGSEGV\)$/);
});

test('a test that an error in a hook kept from running is a failure, which uvu alone does not see', () => {
  assert.match(
    all.of('hook-throws'),
    /: 0 passed, 1 failed, \d+ ms \(tests did not run: an error in a hook\)$/,
  );
});

test('a non-zero exit after passing tests is a failure', () => {
  assert.match(all.of('late-exit'), /: 1 passed, 1 failed, \d+ ms \(exit code 7 after its tests passed\)$/);
});

test('a process left behind is killed and told', () => {
  const pid = /\(left behind, killed: sleep (\d+)\)$/.exec(all.of('leaving'))?.[1];
  assert.ok(pid, all.of('leaving'));
  assert.ok(hasEnded(pid));
});

test('a filter that matches nothing is a failure', () => {
  const ran = runRunner('--root', fixtures, 'no-such-file');
  assert.is(ran.status, 1);
  assert.is(ran.last, '0 passed, 1 failed');
});

test('a watchdog that is no number is refused', () => {
  const ran = runRunner('--root', fixtures, '--watchdog', 'soon');
  assert.is(ran.status, 1);
  assert.match(ran.stderr, '--watchdog soon: must be a number of seconds above 0');
});

test('a file may be anywhere, and fixtures and helpers are no tests', () => {
  const root = mkdtempSync(join(tmpdir(), 'esper-runner-'));
  try {
    writeFileSync(join(root, 'plain.test.ts'), 'console.log("uvu is not used here");\n');
    const ran = runRunner('--root', root);
    assert.match(ran.of('plain'), /\(ran no test\)$/);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
  assert.is(runRunner('--no-native', 'fixtures/runner').last, '0 passed, 1 failed');
});

test('uvu’s summary is read from the end, through colours', () => {
  const first = '  Total:     9\n  Passed:    9\n  Skipped:   0\n  Duration:  1ms\n';
  const second =
    '  Total:     4\u001b[31m\n  Passed:    3\u001b[39m\n  Skipped:   \u001b[33m2\u001b[39m\n  Duration:  1ms\n';
  assert.equal(readUvuSummary(first + second), { total: 4, passed: 3, skipped: 2 });
  assert.is(readUvuSummary('Total: 3, Passed: 3'), undefined);
});

test('ctest’s lines are counted one by one', () => {
  const results = readCtest(
    [
      '    Start 1: layout',
      '1/4 Test #1: layout ...........................   Passed    0.01 sec',
      '2/4 Test #2: emergency_flag ...................***Failed    1.20 sec',
      '3/4 Test #3: region ...........................***Exception: SegFault  0.30 sec',
      '4/4 Test #4: other ............................***Skipped   0.00 sec',
    ].join('\n'),
  );
  assert.equal(
    results.map((result) => [result.name, result.passed, result.failed, result.skipped]),
    [
      ['native/layout', 1, 0, 0],
      ['native/emergency_flag', 0, 1, 0],
      ['native/region', 0, 1, 0],
      ['native/other', 0, 0, 1],
    ],
  );
});

test.run();
