import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

export interface ChildEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

const running = new Set<ChildProcess>();
process.on('exit', killRunning);

/** SIGKILL to all that run; whoever waits for one of them goes on, and clears up. */
export function killRunning(): void {
  for (const child of running) child.kill('SIGKILL');
}

export interface ChildOptions {
  readonly script: string;
  readonly args: readonly string[];
  /** A command that runs node: in a cgroup. */
  readonly under?: readonly string[];
  /** Flags of node. */
  readonly nodeArgs?: readonly string[];
  readonly onLine?: (line: string) => void;
  readonly onMessage?: (message: unknown) => void;
}

/** Nothing of the caller's: a MEMORY_LIMIT or a secret there must decide nothing here. */
function environment(): NodeJS.ProcessEnv {
  const { PATH, HOME, TMPDIR } = process.env;
  return { PATH, HOME, TMPDIR };
}

const STDERR_KEPT = 2000;

/** A process of a TypeScript file, with lines on stdout and messages. It never outlives this one. */
export class Child {
  readonly ended: Promise<ChildEnd>;
  readonly #child: ChildProcess;
  #stderr = '';
  #end: ChildEnd | undefined;

  constructor({ script, args, under = [], nodeArgs = [], onLine, onMessage }: ChildOptions) {
    const [command = '', ...rest] = [...under, process.execPath, ...nodeArgs];
    const loader = ['--import', import.meta.resolve('tsx')];
    this.#child = spawn(command, [...rest, ...loader, script, ...args], {
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      serialization: 'advanced',
      env: environment(),
    });
    const child = this.#child;
    running.add(child);
    if (child.stdout !== null) createInterface({ input: child.stdout }).on('line', (line) => onLine?.(line));
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-STDERR_KEPT);
    });
    if (onMessage !== undefined) child.on('message', onMessage);
    this.ended = this.#whenEnded();
  }

  get pid(): number {
    return this.#child.pid ?? -1;
  }

  get end(): ChildEnd | undefined {
    return this.#end;
  }

  /** The last that it wrote there. */
  get stderr(): string {
    return this.#stderr.trim();
  }

  /** A process that has died cannot be told anything; its end is known by itself. */
  send(message: object): void {
    if (this.#child.connected) this.#child.send(message, () => undefined);
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  async kill(): Promise<ChildEnd> {
    this.#child.kill('SIGKILL');
    return this.ended;
  }

  async #whenEnded(): Promise<ChildEnd> {
    const [code, signal] = (await once(this.#child, 'close')) as [number | null, NodeJS.Signals | null];
    running.delete(this.#child);
    this.#end = { code, signal };
    return this.#end;
  }
}
