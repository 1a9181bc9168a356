import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export interface FixtureOptions {
  /** Flags of node, before the loader of TypeScript. */
  readonly nodeArgs?: readonly string[];
  /** A command that runs node, e.g. ['unshare', '-n']. */
  readonly under?: readonly string[];
}

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stderr: string;
}

/** A real process that runs a file of test/fixtures and talks by messages (bigints and all). */
export interface FixtureProcess<Received> {
  readonly child: ChildProcess;
  readonly pid: number;
  /** Every message so far. */
  readonly messages: readonly Received[];
  send(message: unknown): void;
  /** Next message that was not handed out yet; rejects when the process ends without one. */
  next(): Promise<Received>;
  readonly ended: Promise<Ended>;
  /** SIGKILL, then waits for the end. Idempotent. */
  kill(): Promise<Ended>;
}

const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** Starts `test/fixtures/<file>`. It ends with this process: its channel breaks, and at the latest it is killed. */
export function startFixture<Received>(
  file: string,
  args: readonly string[] = [],
  options: FixtureOptions = {},
): FixtureProcess<Received> {
  const path = fileURLToPath(new URL(`../fixtures/${file}`, import.meta.url));
  const nodeArgs = [...(options.nodeArgs ?? []), '--import', 'tsx'];
  const [command, ...before] = [...(options.under ?? []), process.execPath];
  const child = fork(path, args, {
    execPath: command ?? process.execPath,
    execArgv: [...before, ...nodeArgs],
    serialization: 'advanced',
    stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
  });
  return track<Received>(child, file);
}

function track<Received>(child: ChildProcess, file: string): FixtureProcess<Received> {
  running.add(child);
  const messages: Received[] = [];
  const waiting: { resolve: (message: Received) => void; reject: (error: Error) => void }[] = [];
  let handedOut = 0;
  let stderr = '';
  let over = false;
  const serve = (): void => {
    while (waiting.length > 0 && handedOut < messages.length) {
      waiting.shift()?.resolve(messages[handedOut++] as Received);
    }
    if (!over) return;
    for (const { reject } of waiting.splice(0)) reject(new Error(`${file} ended early: ${stderr}`));
  };
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  child.on('message', (message) => {
    messages.push(message as Received);
    serve();
  });
  const ended = new Promise<Ended>((resolve) => {
    child.on('close', (code, signal) => {
      running.delete(child);
      over = true;
      serve();
      resolve({ code, signal, stderr });
    });
  });
  return {
    child,
    pid: child.pid ?? -1,
    messages,
    send: (message) => void child.send(message as object),
    next: () =>
      new Promise((resolve, reject) => {
        waiting.push({ resolve, reject });
        serve();
      }),
    ended,
    kill: () => {
      child.kill('SIGKILL');
      return ended;
    },
  };
}
