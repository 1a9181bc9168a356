import type { ErrorSeverity } from '../leyline/messages.ts';
import type { ErrorEvent } from './error-event.ts';

/**
 * Whoever acts on errors. Called in turns of its own, one call at a time, in the order in which errors happened; what
 * it throws, rejects or never settles is counted and harms no one else. An error that it reports while it is called
 * goes to the last-resort log, not round again; one that it reports later, after waiting for something, is told, but
 * not to a listener that is at work on the same error.
 */
export interface ErrorHandler {
  /** As logs and snapshots name it; 1 to 64 characters. */
  readonly name: string;
  /** Less severe errors are not handed over, and cost nothing. Default: DEBUG, so all. */
  readonly minSeverity?: ErrorSeverity;
  /**
   * The signal is aborted when the call has taken too long, or the bus closes without waiting any longer. It is this
   * call's own where the function declares it as its second parameter.
   */
  handle(event: ErrorEvent, signal: AbortSignal): void | Promise<void>;
  /** Called once when the bus closes, after the last event. */
  close?(): void | Promise<void>;
}
