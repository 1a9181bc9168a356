import type { Clock } from '../core/clock.ts';
import { PipelineError } from './errors.ts';

/**
 * Settles as `work` does, but no later than `timeoutMs` and not after `parent` aborted; `work` sees its signal aborted
 * then, and what it does later is nobody's business. The timer holds the process: whoever awaits it gets an answer.
 */
export async function within<T>(
  clock: Clock,
  timeoutMs: number,
  what: string,
  work: (signal: AbortSignal) => T | Promise<T>,
  parent?: AbortSignal,
): Promise<T> {
  const controller = new AbortController();
  const done = new AbortController();
  const onAbort = (): void => controller.abort(parent?.reason);
  parent?.addEventListener('abort', onAbort, { once: true });
  if (parent?.aborted === true) onAbort();
  const aborted = new Promise<never>((_, reject) => {
    // A turn later: what heeds its signal, or ends at once, is heard first.
    const fail = (): void => {
      setImmediate(reject, controller.signal.reason);
    };
    if (controller.signal.aborted) fail();
    else controller.signal.addEventListener('abort', fail, { once: true });
  });
  clock.sleep(timeoutMs, done.signal, { keepAlive: true }).then(
    () => {
      const text = `${what} took longer than ${timeoutMs} ms`;
      controller.abort(new PipelineError('ESPER_PIPELINE_TIMEOUT', text, { retryAfterMs: timeoutMs }));
    },
    () => undefined,
  );
  try {
    return await Promise.race([Promise.resolve().then(() => work(controller.signal)), aborted]);
  } finally {
    done.abort();
    parent?.removeEventListener('abort', onAbort);
  }
}

/** Resolves with the reason when `signal` aborts; forget() takes its listener away again. */
export function abortOf(signal: AbortSignal): { readonly promise: Promise<unknown>; forget(): void } {
  let onAbort = (): void => undefined;
  const promise = new Promise<unknown>((resolve) => {
    onAbort = () => resolve(signal.reason);
  });
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort, { once: true });
  return { promise, forget: () => signal.removeEventListener('abort', onAbort) };
}
