/** Child processes of the drills: real ones, started, called, signalled and ended one by one, by their id. */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { within } from './wait.ts';

export interface ChildEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

interface Reply {
  readonly id?: number;
  readonly event?: 'loaded' | 'farewell';
  readonly value?: unknown;
  readonly error?: string;
}

interface Waiting {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

const CALL_TIMEOUT_MS = 30_000;
const STDERR_KEPT = 4096;

const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** How many children live: what a drill must bring back to zero. */
export function livingChildren(): number {
  return running.size;
}

/** SIGKILL to all that are left, each by its id. */
export async function killRemaining(): Promise<void> {
  const left = [...running];
  for (const child of left) child.kill('SIGKILL');
  await Promise.all(
    left.map(
      (child) =>
        new Promise<void>((resolve) =>
          running.has(child) ? child.once('close', () => resolve()) : resolve(),
        ),
    ),
  );
}

/** A process that runs one file of this directory. */
export class DrillChild {
  readonly ended: Promise<ChildEnd>;
  readonly #child: ChildProcess;
  readonly #file: string;
  readonly #waiting = new Map<number, Waiting>();
  readonly #loaded: Promise<void>;
  #calls = 0;
  #stderr = '';
  #farewell: unknown;
  #end: ChildEnd | undefined;

  constructor(file: string) {
    this.#file = file;
    this.#child = fork(fileURLToPath(new URL(file, import.meta.url)), [], {
      execArgv: ['--import', 'tsx'],
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    running.add(this.#child);
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-STDERR_KEPT);
    });
    this.#loaded = new Promise((resolve, reject) => {
      this.#child.on('message', (message) => this.#onMessage(message as Reply, resolve));
      this.#child.on('exit', () => reject(this.#gone()));
    });
    this.#loaded.catch(() => undefined);
    this.ended = new Promise((resolve) => {
      this.#child.on('close', (code, signal) => {
        running.delete(this.#child);
        this.#end = { code, signal };
        for (const { reject } of this.#waiting.values()) reject(this.#gone());
        resolve(this.#end);
      });
    });
  }

  get pid(): number {
    return this.#child.pid ?? -1;
  }

  get alive(): boolean {
    return this.#end === undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** What it said before it ended of itself; undefined when it was killed. */
  get lastWords(): unknown {
    return this.#farewell;
  }

  get stderr(): string {
    return this.#stderr;
  }

  /** Its code is loaded; rejects when it ends before that. */
  loaded(): Promise<void> {
    return within(`${this.#file} to load`, CALL_TIMEOUT_MS, this.#loaded);
  }

  async call<T>(call: string, argument?: unknown): Promise<T> {
    await this.loaded();
    this.#calls += 1;
    const id = this.#calls;
    const answer = new Promise<unknown>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      if (this.#end !== undefined) return reject(this.#gone());
      this.#child.send({ id, call, argument }, (error) =>
        error === null ? undefined : reject(this.#gone()),
      );
    });
    try {
      return (await within(`${this.#file} to answer "${call}"`, CALL_TIMEOUT_MS, answer)) as T;
    } finally {
      this.#waiting.delete(id);
    }
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  async kill(): Promise<ChildEnd> {
    this.#child.kill('SIGKILL');
    return this.ended;
  }

  #onMessage({ id, event, value, error }: Reply, loaded: () => void): void {
    if (event === 'loaded') {
      loaded();
      return;
    }
    if (event === 'farewell') {
      this.#farewell = value;
      return;
    }
    const waiting = this.#waiting.get(id ?? -1);
    if (error === undefined) waiting?.resolve(value);
    else waiting?.reject(new Error(`${this.#file}: ${error}`));
  }

  #gone(): Error {
    const { code, signal } = this.#end ?? { code: this.#child.exitCode, signal: this.#child.signalCode };
    return new Error(`${this.#file} (${this.pid}) ended with ${signal ?? code}: ${this.#stderr.trim()}`);
  }
}
