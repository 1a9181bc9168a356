import { setTimeout as delay } from 'node:timers/promises';

/** Longest wait before a test is called stuck, milliseconds. A watchdog, not a claim about speed. */
const STUCK_MS = 20_000;

/** Resolves with the first result of `probe` that is neither false nor undefined; rejects when it never comes. */
export async function until<T>(
  what: string,
  probe: () => T | Promise<T>,
): Promise<Exclude<T, false | undefined>> {
  const end = performance.now() + STUCK_MS;
  for (;;) {
    const result = await probe();
    if (result !== false && result !== undefined) return result as Exclude<T, false | undefined>;
    if (performance.now() > end) throw new Error(`stuck: waited ${STUCK_MS} ms for ${what}`);
    await delay(1);
  }
}

/** Keeps the event loop busy, so that neither timers nor callbacks run. */
export function blockFor(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end) {
    // Busy on purpose.
  }
}
