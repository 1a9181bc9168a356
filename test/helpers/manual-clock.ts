import type { Clock } from '../../src/core/clock.ts';

interface Sleeper {
  readonly atMs: number;
  readonly wake: () => void;
}

/** A clock that stands still until it is told to move. */
export interface ManualClock extends Clock {
  /** Moves both clocks on and wakes whoever slept until then, in order. */
  advance(ms: number): void;
  /** Moves the wall clock alone, as an operator or NTP does. */
  stepWall(ms: number): void;
  readonly sleepers: number;
}

export function createManualClock(startMs = 1_000): ManualClock {
  let nowMs = startMs;
  let wallOffsetMs = 1_700_000_000_000;
  const sleeping = new Set<Sleeper>();
  return {
    monotonicNs: () => BigInt(Math.round(nowMs * 1e6)),
    monotonicMs: () => nowMs,
    wallMs: () => wallOffsetMs + nowMs,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        if (signal?.aborted === true) {
          reject(signal.reason);
          return;
        }
        const abort = (): void => {
          sleeping.delete(sleeper);
          reject(signal?.reason);
        };
        const wake = (): void => {
          signal?.removeEventListener('abort', abort);
          resolve();
        };
        const sleeper: Sleeper = { atMs: nowMs + ms, wake };
        sleeping.add(sleeper);
        signal?.addEventListener('abort', abort, { once: true });
      }),
    advance: (ms) => {
      nowMs += ms;
      const due = [...sleeping].filter(({ atMs }) => atMs <= nowMs).sort((a, b) => a.atMs - b.atMs);
      for (const sleeper of due) {
        sleeping.delete(sleeper);
        sleeper.wake();
      }
    },
    stepWall: (ms) => {
      wallOffsetMs += ms;
    },
    get sleepers() {
      return sleeping.size;
    },
  };
}
