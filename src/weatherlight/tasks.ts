import { RestartPolicy, type RestartRules } from '../core/restart-policy.ts';
import type { Context } from './context.ts';

/** Never given up: without its loops a supervisor is blind. */
const RESTART: RestartRules = Object.freeze({
  ...{ baseMs: 100, capMs: 30_000, healthyAfterMs: 60_000 },
  ...{ maxRestarts: 0, windowMs: 1 },
});

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
    const { clock } = context;
    const policy = new RestartPolicy(RESTART, context.random);
    while (!stop.aborted) {
      const startedAtMs = clock.monotonicMs();
      try {
        return await run(stop);
      } catch (error) {
        context.reportError(name, error);
        const nowMs = clock.monotonicMs();
        await clock.sleep(policy.failed(nowMs, nowMs - startedAtMs) ?? 0, stop).catch(() => undefined);
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
