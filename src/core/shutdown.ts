import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock } from './clock.ts';

/** Runs the steps of a stop one after the other, all within one deadline, and remembers what did not end in time. */
export interface Shutdown {
  /** Aborted at the deadline. */
  readonly signal: AbortSignal;
  /**
   * Resolves when the work has ended, or at the deadline; never rejects. Work that the deadline ends is unfinished; what
   * begins after it and ends at once is not.
   */
  step(name: string, work: () => Promise<unknown>): Promise<void>;
  /** Lets go of the timer and names what did not end. */
  end(): readonly string[];
}

/** The deadline holds the process: whoever awaits a stop gets an answer although nothing else is left to run. */
export function createShutdown(
  clock: Clock,
  deadlineMs: number,
  onError: (name: string, error: unknown) => void,
): Shutdown {
  const over = new AbortController();
  const done = new AbortController();
  const unfinished: string[] = [];
  const deadline = clock.sleep(deadlineMs, done.signal, { keepAlive: true }).then(
    () => over.abort(),
    () => undefined,
  );

  return {
    signal: over.signal,
    async step(name, work) {
      const finished = work()
        .catch((error: unknown) => onError(name, error))
        .then(() => true);
      const late = over.signal.aborted ? nextTurn(false) : deadline.then(() => false);
      const inTime = await Promise.race([finished, late]);
      if (!inTime) unfinished.push(name);
    },
    end() {
      done.abort();
      return Object.freeze(unfinished);
    },
  };
}
