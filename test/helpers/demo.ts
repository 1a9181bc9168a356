import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const DEMO = fileURLToPath(new URL('../../examples/mnist/demo.ts', import.meta.url));

export interface DemoEnd {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunningDemo {
  readonly child: ChildProcess;
  /** What it has printed so far. */
  stdout(): string;
  readonly ended: Promise<DemoEnd>;
}

/** The part of the demo's JSON line that tests look at. */
export interface DemoResult {
  readonly demo: string;
  readonly ok: boolean;
  readonly runId: string;
  readonly kind: string;
  readonly bus: string;
  readonly trainer: {
    readonly testAccuracy: number;
    readonly rollbacks: number;
    readonly restoredHashMatches: boolean;
    readonly lossBeforeFault: number;
    readonly lossAtRollback: number | null;
  };
  readonly emergency: {
    readonly signalId: string;
    readonly level: number;
    readonly detectLatencyMs: number;
    readonly cleared: boolean;
    readonly haltSignalId: string;
    readonly haltAcknowledged: boolean;
  };
  readonly otherHosts: readonly {
    readonly haltAcknowledged: boolean;
    readonly remoteFlagLatencyMs: number;
    readonly haltRemoteFlagLatencyMs: number;
  }[];
  readonly failures: readonly string[];
}

/** The demo as a user starts it, without the build that comes before it. */
export function startDemo(args: readonly string[], env: Readonly<Record<string, string>> = {}): RunningDemo {
  const child = spawn(process.execPath, ['--import', 'tsx', DEMO, ...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  process.once('exit', () => child.kill('SIGKILL'));
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const ended = new Promise<DemoEnd>((resolve) => {
    child.once('close', (code) => resolve({ code, stdout, stderr }));
  });
  return { child, stdout: () => stdout, ended };
}

/** The JSON line, which must be the last one. */
export function resultOf(end: DemoEnd): DemoResult {
  const line = end.stdout.trimEnd().split('\n').at(-1) ?? '';
  return JSON.parse(line) as DemoResult;
}

/** Segments of a run that are still there. */
export function segmentsOf(runId: string): string[] {
  return readdirSync('/dev/shm').filter((name) => name.includes(runId));
}
