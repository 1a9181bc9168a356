import type { Clock } from '../core/clock.ts';
import { cutText } from './context-text.ts';
import type { ErrorListener } from './error-listener.ts';
import type { LastResort } from './last-resort.ts';
import { textOf } from './text-of.ts';

export interface CloseParts {
  readonly timeoutMs: number;
  readonly clock: Pick<Clock, 'sleep'>;
  readonly lastResort: LastResort;
}

/** Ends listeners: first what waits for them, then each handler's own close. False when the time was not enough. */
export async function closeHandlers(
  listeners: readonly ErrorListener[],
  { timeoutMs, clock, lastResort }: CloseParts,
): Promise<boolean> {
  const over = new AbortController();
  const late = clock.sleep(timeoutMs, over.signal, { keepAlive: true }).then(
    () => false,
    () => false,
  );
  const drained = Promise.all(listeners.map((listener) => listener.idle())).then(() => true);
  const isDrained = await Promise.race([drained, late]);
  for (const listener of listeners) listener.end();
  const closed = Promise.all(listeners.map((listener) => closeOne(listener, lastResort))).then(() => true);
  const isClosed = await Promise.race([closed, late]);
  over.abort();
  return isDrained && isClosed;
}

/** Never rejects. */
export async function closeOne({ handler }: ErrorListener, lastResort: LastResort): Promise<void> {
  try {
    await handler.close?.();
  } catch (error) {
    lastResort.say(`handler ${handler.name} did not close: ${cutText(textOf(error), 500)}`, {
      handler: handler.name,
    });
  }
}
