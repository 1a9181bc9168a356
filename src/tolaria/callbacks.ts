import { TolariaError } from './errors.ts';

/**
 * Throws TolariaError ESPER_TOLARIA_ASYNC_CALLBACK when a callback returned a promise: TypeScript accepts an async
 * function where a void one is asked for, and its work would end after the guard has gone on.
 */
export function refusePromise(what: string, returned: unknown): void {
  if (typeof returned !== 'object' || returned === null || !('then' in returned)) return;
  const { then } = returned;
  if (typeof then !== 'function') return;
  // Nobody awaits it: a rejection would end the process before the message of this error is read.
  then.call(returned, undefined, () => undefined);
  throw new TolariaError(
    'ESPER_TOLARIA_ASYNC_CALLBACK',
    `${what} returned a promise; it must be synchronous`,
  );
}
