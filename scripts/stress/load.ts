import { fileURLToPath } from 'node:url';
import { within } from '../drills/wait.ts';
import { Child } from './child.ts';
import type { LoadOrder, LoadReport } from './load-process.ts';

const SCRIPT = fileURLToPath(new URL('./load-process.ts', import.meta.url));
const STOP_MS = 60_000;

/** The load generator, in a process of its own. */
export class Load {
  readonly #child: Child;
  readonly #report: Promise<LoadReport>;

  constructor(order: LoadOrder) {
    let tell: (report: LoadReport) => void = () => undefined;
    const told = new Promise<LoadReport>((resolve) => {
      tell = resolve;
    });
    this.#child = new Child({
      script: SCRIPT,
      args: [],
      onMessage: (message) => tell(message as LoadReport),
    });
    const gone = this.#child.ended.then(() => {
      throw new Error(`the load generator ended without a report: ${this.#child.stderr}`);
    });
    this.#report = Promise.race([told, gone]);
    // stop() tells of a failure; until then nobody waits for it.
    this.#report.catch(() => undefined);
    this.#child.send({ begin: order });
  }

  /** Begins nothing more; resolves when what is under way has ended. */
  async stop(): Promise<LoadReport> {
    this.#child.send({ stop: true });
    return within('the load generator to end', STOP_MS, this.#report);
  }

  async kill(): Promise<void> {
    await this.#child.kill();
  }
}
