import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const STDERR_LINES_KEPT = 15;

export interface ChildEnd {
  /** Exit code 0. */
  readonly clean: boolean;
  /** For people: 'with exit code 1', 'by SIGKILL'. */
  readonly how: string;
}

export interface Child {
  /** The last lines it wrote to stderr, oldest first. */
  lastWords(): readonly string[];
  /** Settles when the process has ended and everything it said was read; never rejects. */
  readonly ended: Promise<ChildEnd>;
  /** Closes its stdin, for which a halted trainer waits. */
  letGo(): void;
  /** At once and without waiting, for the last moment of this process. */
  kill(): void;
  /** Asks it to end, and kills it when it has not after `graceMs`. */
  stop(graceMs: number): Promise<ChildEnd>;
}

export interface ChildOptions {
  /** TypeScript file, relative to this directory. */
  readonly script: string;
  readonly args: readonly string[];
  /** All of its environment. */
  readonly env: Readonly<Record<string, string>>;
  /** Gets each line that it writes to stdout. */
  readonly onLine: (line: string) => void;
}

/** Starts a TypeScript file as a process of its own, through the same loader that runs the demo. */
export function startChild({ script, args, env, onLine }: ChildOptions): Child {
  const path = fileURLToPath(new URL(script, import.meta.url));
  const child = spawn(process.execPath, ['--import', import.meta.resolve('tsx'), path, ...args], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env,
  });
  // A process that has died cannot be told anything; its end is reported by itself.
  child.stdin.on('error', () => undefined);
  const words: string[] = [];
  createInterface({ input: child.stdout }).on('line', onLine);
  createInterface({ input: child.stderr }).on('line', (line) => {
    words.push(line);
    if (words.length > STDERR_LINES_KEPT) words.shift();
  });
  const ended = whenEnded(child, words);
  return {
    lastWords: () => words,
    ended,
    letGo: () => child.stdin.end(),
    kill: () => void child.kill('SIGKILL'),
    stop: (graceMs) => stopChild(child, ended, graceMs),
  };
}

async function whenEnded(child: ChildProcess, words: string[]): Promise<ChildEnd> {
  try {
    // 'close' and not 'exit': only then have both pipes been read to their end.
    const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
    return { clean: code === 0, how: signal === null ? `with exit code ${code}` : `by ${signal}` };
  } catch (error) {
    words.push(String(error));
    return { clean: false, how: 'before it began' };
  }
}

async function stopChild(child: ChildProcess, ended: Promise<ChildEnd>, graceMs: number): Promise<ChildEnd> {
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), graceMs);
  const end = await ended;
  clearTimeout(timer);
  return end;
}
