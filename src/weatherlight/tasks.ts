import { type BackoffOptions, backoffDelayMs } from '../core/backoff.ts';
import type { Context } from './context.ts';

const RESTART: BackoffOptions = Object.freeze({ baseMs: 100, capMs: 30_000 });

/** The supervisor's own loops. None runs unsupervised: one that throws is reported and started again. */
export interface Tasks {
  /** Starts a loop that returns when it is done or aborted. */
  start(name: string, run: (stop: AbortSignal) => Promise<void>): void;
  /** Those that run. */
  names(): string[];
  settled(): Promise<void>;
}

export function createTasks(context: Context, stop: AbortSignal): Tasks {
  const running = new Map<string, Promise<void>>();

  async function supervise(name: string, run: (stop: AbortSignal) => Promise<void>): Promise<void> {
    for (let attempt = 0; !stop.aborted; attempt++) {
      try {
        return await run(stop);
      } catch (error) {
        context.reportError(name, error);
        const delayMs = backoffDelayMs(attempt, RESTART, context.random);
        await context.clock.sleep(delayMs, stop).catch(() => undefined);
      }
    }
  }

  return {
    start(name, run) {
      running.set(
        name,
        supervise(name, run).finally(() => running.delete(name)),
      );
    },
    names: () => [...running.keys()],
    async settled() {
      await Promise.all(running.values());
    },
  };
}
