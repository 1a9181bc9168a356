import { ErrorSeverity } from '../../leyline/messages.ts';
import type { ErrorEvent } from '../error-event.ts';
import type { ErrorHandler } from '../error-handler.ts';

/**
 * Asks for a graceful shutdown, once, at the first CRITICAL error that its component cannot recover from. The reason is
 * one line: 'MEMORY_PRESSURE in monitor:memory: …'. `shutdown` may take as long as it likes, and the handler's time is
 * not spent on it: a shutdown that closes the bus would wait for itself.
 */
export function shutdownHandler({
  shutdown,
  onFailure,
}: {
  readonly shutdown: (reason: string, event: ErrorEvent) => void | Promise<void>;
  /** The shutdown threw or rejected: the last that can be done about it is told here. */
  readonly onFailure: (error: unknown) => void;
}): ErrorHandler {
  let isAsked = false;
  return Object.freeze({
    name: 'shutdown',
    minSeverity: ErrorSeverity.ERROR_SEVERITY_CRITICAL,
    handle: (event) => {
      if (isAsked || event.recoverable) return;
      isAsked = true;
      const reason = `${event.code} in ${event.component}: ${event.message}`;
      // After this call: errors that the shutdown reports are errors like any other, not those of an error handler.
      Promise.resolve()
        .then(() => shutdown(reason, event))
        .catch(onFailure);
    },
  } satisfies ErrorHandler);
}
