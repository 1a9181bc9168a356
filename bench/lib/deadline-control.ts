import { type ChildProcessWithoutNullStreams, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Cleanup } from './cleanup.ts';

const SOURCE = fileURLToPath(new URL('../../native/bench/deadline_control.cc', import.meta.url));
const BUILT = ['../../build/Release/deadline_control', '../../build/deadline_control'];

/** The built program, or one compiled for this run: a control of another day controls nothing, but a missing one less. */
function program(directory: string): string {
  const built = BUILT.map((path) => fileURLToPath(new URL(path, import.meta.url))).find(existsSync);
  if (built !== undefined) return built;
  const compiled = join(directory, 'deadline_control');
  execFileSync(process.env.CXX ?? 'c++', ['-std=c++20', '-O2', '-o', compiled, SOURCE], { stdio: 'inherit' });
  return compiled;
}

/** native/bench/deadline_control.cc: a C++ process that sleeps until a time and sees how late it was woken. */
export class DeadlineControl {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #lines: Interface;

  constructor(directory: string, cleanup: Cleanup) {
    this.#child = spawn(program(directory), { stdio: 'pipe' });
    this.#child.stderr.pipe(process.stderr);
    this.#lines = createInterface({ input: this.#child.stdout });
    cleanup.add(() => this.#close());
  }

  /** Begins a block; the returned function waits for its overruns, nanoseconds. */
  async begin(count: number, intervalMs: number): Promise<() => Promise<number[]>> {
    // Attached before the loop is blocked, and the line really written: afterwards nothing gets out.
    const reply = once(this.#lines, 'line') as Promise<[string]>;
    const line = `${count} ${Math.round(intervalMs * 1000)}\n`;
    await new Promise<void>((resolve, reject) => {
      this.#child.stdin.write(line, (error) => (error ? reject(error) : resolve()));
    });
    return async () => (JSON.parse((await reply)[0]) as { overrunsNs: number[] }).overrunsNs;
  }

  async #close(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.stdin.end();
    await exited;
  }
}
