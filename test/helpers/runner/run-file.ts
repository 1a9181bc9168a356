import { type ChildProcess, spawn } from 'node:child_process';
import { performance } from 'node:perf_hooks';
import { killGroup, liveMembers } from './process-group.ts';
import { failure, type Result } from './result.ts';
import { readUvuSummary } from './uvu-summary.ts';

/** Last part of the output that is kept, characters: a file that loops and prints must not fill our memory. */
const maxOutput = 1 << 20;

/** How long the processes of a file may outlive it, ms. Its TypeScript compiler ends a moment after it, for one. */
const graceMs = 500;

interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly timedOut: boolean;
  /** Processes that outlived the file and were killed, as `name pid`. */
  readonly leftovers: readonly string[];
  readonly stdout: string;
  readonly output: string;
}

const running = new Set<ChildProcess>();

/** Kills every file still running, for the runner's own end: they are in groups of their own and get no Ctrl-C. */
export function killRunning(): void {
  for (const child of running) killGroup(child);
}

/** Waits until a file's group is empty; after the grace kills what is left and tells what that was. */
async function settle(child: ChildProcess): Promise<readonly string[]> {
  const until = performance.now() + graceMs;
  let alive = liveMembers(child);
  while (alive.length > 0 && performance.now() < until) {
    await new Promise((done) => setTimeout(done, 10));
    alive = liveMembers(child);
  }
  killGroup(child);
  return alive;
}

function runProcess(args: readonly string[], cwd: string, watchdogMs: number): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { cwd, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
    running.add(child);
    let stdout = '';
    let output = '';
    let timedOut = false;
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout = (stdout + text).slice(-maxOutput);
      output = (output + text).slice(-maxOutput);
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      output = (output + text).slice(-maxOutput);
    });
    const watchdog = setTimeout(() => {
      timedOut = true;
      killGroup(child);
    }, watchdogMs);
    child.on('error', reject);
    child.on('exit', (code, signal) => {
      clearTimeout(watchdog);
      const closed = new Promise<void>((done) => child.on('close', () => done()));
      void settle(child).then(async (leftovers) => {
        // Whoever held the pipes is dead now, unless it left the group: then they are cut.
        await Promise.race([closed, new Promise((done) => setTimeout(done, graceMs))]);
        child.stdout.destroy();
        child.stderr.destroy();
        running.delete(child);
        resolve({ code, signal, timedOut, leftovers, stdout, output });
      });
    });
  });
}

function problemOf(ended: Ended, watchdogMs: number): string | undefined {
  if (ended.timedOut) return `killed by the watchdog after ${watchdogMs / 1000} s`;
  if (ended.signal !== null) return `died of ${ended.signal}`;
  const summary = readUvuSummary(ended.stdout);
  if (!summary)
    return ended.code === 0 ? 'ran no test' : `exit code ${ended.code} before its tests were done`;
  if (summary.total === 0) return 'ran no test';
  if (ended.code !== 0 && summary.passed === summary.total)
    return `exit code ${ended.code} after its tests passed`;
  // uvu swallows an error in a before or after hook and goes on to exit 0 with tests that never ran.
  if (ended.code === 0 && summary.passed < summary.total) return 'tests did not run: an error in a hook';
  return undefined;
}

function noteOf(leftovers: readonly string[]): string | undefined {
  return leftovers.length === 0 ? undefined : `left behind, killed: ${leftovers.join(', ')}`;
}

/** Runs one test file in a process group of its own. `file` is absolute; `name` is what to call it. */
export async function runFile(file: string, name: string, cwd: string, watchdogMs: number): Promise<Result> {
  const startedAt = performance.now();
  const args = ['--import', import.meta.resolve('tsx'), file];
  let ended: Ended;
  try {
    ended = await runProcess(args, cwd, watchdogMs);
  } catch (error) {
    return failure(name, `could not be started: ${String(error)}`);
  }
  const durationMs = performance.now() - startedAt;
  const problem = problemOf(ended, watchdogMs);
  const summary = readUvuSummary(ended.stdout) ?? { total: 0, passed: 0, skipped: 0 };
  const failedTests = summary.total - summary.passed;
  return {
    name,
    passed: summary.passed,
    failed: problem === undefined ? failedTests : Math.max(1, failedTests),
    skipped: summary.skipped,
    durationMs,
    problem: problem ?? noteOf(ended.leftovers),
    output: ended.output,
  };
}
