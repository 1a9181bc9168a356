import type { Clock } from '../core/clock.ts';

/** Lets a loop sleep until somebody kicks it, a time has passed, or it is aborted; no polling. */
export interface Waker {
  /** Ends the current wait, or the next one when none is under way: a kick is never lost. */
  kick(): void;
  /** `ms` undefined: no time limit. Resolves in all three cases; the loop looks at its signal itself. */
  wait(ms: number | undefined, stop: AbortSignal): Promise<void>;
}

export function createWaker(clock: Clock): Waker {
  let kicked = false;
  let wake: (() => void) | undefined;

  return {
    kick() {
      kicked = true;
      wake?.();
    },
    async wait(ms, stop) {
      const timer = new AbortController();
      const abort = (): void => wake?.();
      try {
        await new Promise<void>((resolve) => {
          wake = resolve;
          stop.addEventListener('abort', abort, { once: true });
          if (kicked || stop.aborted) resolve();
          else if (ms !== undefined) clock.sleep(ms, timer.signal).then(resolve, resolve);
        });
      } finally {
        kicked = false;
        wake = undefined;
        stop.removeEventListener('abort', abort);
        timer.abort();
      }
    },
  };
}
