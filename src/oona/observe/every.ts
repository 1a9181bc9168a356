import type { Clock } from '../../core/clock.ts';

/**
 * Runs `body` again and again, `intervalMs` after it ended, until the signal is aborted. What it throws goes to
 * `onError` and ends nothing. Resolves when aborted.
 */
export async function every(
  {
    clock,
    intervalMs,
    signal,
  }: { readonly clock: Clock; readonly intervalMs: number; readonly signal: AbortSignal },
  body: () => Promise<void> | void,
  onError: (error: unknown) => void,
): Promise<void> {
  while (!signal.aborted) {
    try {
      await body();
    } catch (error) {
      if (!signal.aborted) onError(error);
    }
    try {
      await clock.sleep(intervalMs, signal);
    } catch {
      // Aborted: a clock rejects for nothing else.
      return;
    }
  }
}
