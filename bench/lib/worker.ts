import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

interface Tagged {
  readonly type: string;
}

interface Waiter {
  readonly type: string;
  readonly resolve: (message: Tagged) => void;
  readonly reject: (error: Error) => void;
}

/** Far beyond any block: a reply that takes this long will not come. */
const REPLY_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 3_000;

/** A process of the benchmark, told what to do over its IPC channel. It ends itself when the channel closes. */
export class Worker<In extends Tagged, Out extends Tagged> {
  readonly #name: string;
  readonly #child: ChildProcess;
  readonly #exited: Promise<void>;
  #waiter: Waiter | undefined;
  #failure: Error | undefined;

  /** Forks bench/workers/<file>. Its standard error is ours; its standard output is dropped. */
  constructor(file: string, args: readonly string[]) {
    this.#name = `${file} ${args[0] ?? ''}`.trim();
    const path = fileURLToPath(new URL(`../workers/${file}`, import.meta.url));
    this.#child = fork(path, [...args], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    this.#child.on('message', (message) => this.#onMessage(message as Tagged));
    this.#exited = new Promise((resolve) => this.#child.once('exit', () => resolve()));
    this.#child.on('exit', (code, signal) =>
      this.#fail(new Error(`${this.#name} ended (${code ?? signal})`)),
    );
    this.#child.on('error', (error) => this.#fail(error));
  }

  get pid(): number {
    return this.#child.pid ?? -1;
  }

  send(message: In): void {
    this.#child.send(message);
  }

  /** Sends `message`, resolves with the next message of type `reply`. Rejects when the process ends first. */
  async request<T extends Out['type']>(message: In, reply: T): Promise<Extract<Out, { type: T }>> {
    const answer = this.expect(reply);
    this.send(message);
    return answer;
  }

  /** The next message of that type; one expectation at a time. */
  async expect<T extends Out['type']>(type: T): Promise<Extract<Out, { type: T }>> {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#waiter !== undefined)
      throw new Error(`${this.#name}: already waiting for ${this.#waiter.type}`);
    let timer: NodeJS.Timeout | undefined;
    const message = await new Promise<Tagged>((resolve, reject) => {
      this.#waiter = { type, resolve, reject };
      timer = setTimeout(() => reject(new Error(`${this.#name}: no ${type} in time`)), REPLY_TIMEOUT_MS);
    }).finally(() => {
      clearTimeout(timer);
      this.#waiter = undefined;
    });
    return message as Extract<Out, { type: T }>;
  }

  async stop(): Promise<void> {
    this.#failure ??= new Error(`${this.#name} was stopped`);
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    if (this.#child.connected) this.#child.disconnect();
    const killer = setTimeout(() => this.#child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    await this.#exited;
    clearTimeout(killer);
  }

  #onMessage(message: Tagged): void {
    if (message.type === this.#waiter?.type) this.#waiter.resolve(message);
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#waiter?.reject(this.#failure);
  }
}
