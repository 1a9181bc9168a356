import { setTimeout as delay } from 'node:timers/promises';

/** Monotonic milliseconds that all processes of this boot share: ledgers of different processes compare. */
export const nowMs = (): number => Number(process.hrtime.bigint()) / 1e6;

export class StuckError extends Error {}

/** Settles as `promise` does, or rejects after `ms`: no wait of a drill is without end. */
export async function within<T>(what: string, ms: number, promise: Promise<T>): Promise<T> {
  const over = new AbortController();
  const stuck = delay(ms, undefined, { signal: over.signal }).then(() => {
    throw new StuckError(`stuck: waited ${ms} ms for ${what}`);
  });
  stuck.catch(() => undefined);
  try {
    return await Promise.race([promise, stuck]);
  } finally {
    over.abort();
  }
}

export interface PollOptions {
  readonly timeoutMs: number;
  readonly everyMs?: number;
}

/** First result of `probe` that is neither false nor undefined; rejects with StuckError after `timeoutMs`. */
export async function poll<T>(
  what: string,
  { timeoutMs, everyMs = 2 }: PollOptions,
  probe: () => T | Promise<T>,
): Promise<Exclude<T, false | undefined>> {
  const endMs = nowMs() + timeoutMs;
  for (;;) {
    const result = await probe();
    if (result !== false && result !== undefined) return result as Exclude<T, false | undefined>;
    if (nowMs() > endMs) throw new StuckError(`stuck: waited ${timeoutMs} ms for ${what}`);
    await delay(everyMs);
  }
}

export { delay };
