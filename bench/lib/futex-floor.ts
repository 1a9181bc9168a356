import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createInterface, type Interface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Cleanup } from './cleanup.ts';
import { LEAD_IN, type WakeBlock, type WakeVariant } from './wake-variant.ts';

const BUILT = ['../../build/Release/futex_floor', '../../build/futex_floor'];

function findProgram(): string | undefined {
  const built = BUILT.map((path) => fileURLToPath(new URL(path, import.meta.url)));
  return [process.env.ESPER_BENCH_FUTEX_FLOOR, ...built].find(
    (path) => path !== undefined && existsSync(path),
  );
}

/**
 * The floor: native/bench/futex_floor.cc, two native processes. JavaScript cannot wake a futex by itself, so here the
 * sender is not this process; the program is only told when to run a block.
 */
export class FutexFloor implements WakeVariant {
  readonly id = 'futex_floor';
  readonly title = 'floor: raw futex, native thread';
  readonly everyRounds = 2;
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #lines: Interface;

  private constructor(child: ChildProcessWithoutNullStreams) {
    this.#child = child;
    this.#lines = createInterface({ input: child.stdout });
    child.stderr.pipe(process.stderr);
  }

  /** undefined, with one line that says why, when the program was not built. */
  static start(cleanup: Cleanup): FutexFloor | undefined {
    const program = findProgram();
    if (program === undefined) {
      console.error('no futex_floor in build/: run `npm run build:native` to see the floor');
      return undefined;
    }
    const floor = new FutexFloor(spawn(program, { stdio: 'pipe' }));
    cleanup.add(() => floor.close());
    return floor;
  }

  async close(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    // End of input ends both of its processes.
    this.#child.stdin.end();
    await exited;
  }

  async run(count: number, intervalMs: number): Promise<WakeBlock> {
    const ended = new AbortController();
    const onExit = (): void => ended.abort(new Error('futex_floor ended'));
    this.#child.once('exit', onExit);
    const reply = once(this.#lines, 'line', { signal: ended.signal });
    this.#child.stdin.write(`${LEAD_IN + count} ${Math.round(intervalMs * 1000)}\n`);
    const [line] = (await reply) as [string];
    this.#child.off('exit', onExit);
    const { latenciesNs, callsNs } = JSON.parse(line) as { latenciesNs: number[]; callsNs: number[] };
    const toUs = (values: readonly number[]): number[] => values.slice(LEAD_IN).map((ns) => ns / 1e3);
    return { latenciesUs: toUs(latenciesNs), callsUs: toUs(callsNs), lost: 0 };
  }
}
