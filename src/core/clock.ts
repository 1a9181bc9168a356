import { setTimeout as delay } from 'node:timers/promises';

/** Time as the product code sees it. Durations come from `monotonic*`; `wallMs` is for stamps only. */
export interface Clock {
  /** CLOCK_MONOTONIC in nanoseconds: comparable between processes of one boot. */
  monotonicNs(): bigint;
  /** The same clock in milliseconds, fractional. */
  monotonicMs(): number;
  /** Unix time in milliseconds. May step; never use it to measure a duration. */
  wallMs(): number;
  /**
   * Resolves after `ms`; rejects with the signal's reason when aborted. Keeps the process alive only when asked to:
   * a deadline that somebody awaits must come although nothing else is left to run.
   */
  sleep(ms: number, signal?: AbortSignal, options?: { readonly keepAlive?: boolean }): Promise<void>;
}

export const systemClock: Clock = Object.freeze({
  monotonicNs: () => process.hrtime.bigint(),
  monotonicMs: () => Number(process.hrtime.bigint()) / 1e6,
  wallMs: () => Date.now(),
  sleep: async (ms: number, signal?: AbortSignal, options: { readonly keepAlive?: boolean } = {}) => {
    const ref = options.keepAlive ?? false;
    await delay(ms, undefined, signal === undefined ? { ref } : { ref, signal });
  },
});
