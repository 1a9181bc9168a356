import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { WeatherlightEvent } from '../../src/weatherlight/events.ts';
import { EventLog } from './weatherlight.ts';

const SERVICE = fileURLToPath(new URL('../../src/cli/esper-weatherlight-service.ts', import.meta.url));
const FASTPATH = fileURLToPath(new URL('../../src/cli/esper-fastpath.ts', import.meta.url));

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Service {
  readonly child: ChildProcess;
  /** What it printed under --json-events. */
  readonly events: EventLog;
  readonly ended: Promise<Ended>;
  /** SIGTERM, then waits for the exit. */
  stop(): Promise<Ended>;
}

const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

type Variables = Readonly<Record<string, string>>;

/** Nothing of the caller's environment but what Node needs: a REDIS_URL or secret there must not decide a test. */
function environment(more: Variables): NodeJS.ProcessEnv {
  const { PATH, HOME, TMPDIR } = process.env;
  return { PATH, HOME, TMPDIR, ...more };
}

function start(
  script: string,
  args: readonly string[],
  env: Variables,
  onLine: (line: string) => void,
): Service {
  const child = spawn(process.execPath, ['--import', 'tsx', script, ...args], {
    env: environment(env),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.add(child);
  let stdout = '';
  let stderr = '';
  let unfinished = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    const lines = (unfinished + text).split('\n');
    unfinished = lines.pop() ?? '';
    lines.forEach(onLine);
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const ended = new Promise<Ended>((resolve) => {
    child.once('close', (code, signal) => {
      running.delete(child);
      resolve({ code, signal, stdout, stderr });
    });
  });
  return {
    child,
    events: new EventLog(),
    ended,
    stop() {
      child.kill('SIGTERM');
      return ended;
    },
  };
}

/** The real service as its own process. */
export function startService(env: Variables, args: readonly string[] = ['--json-events']): Service {
  const service = start(SERVICE, args, env, (line) => {
    if (args.includes('--json-events')) service.events.all.push(JSON.parse(line) as WeatherlightEvent);
  });
  return service;
}

/** Runs esper-fastpath to its end. */
export function runFastpath(args: readonly string[], env: Variables = {}): Promise<Ended> {
  return start(FASTPATH, args, env, () => undefined).ended;
}
