/** What waits for a listener. */
import { ErrorSeverity } from '../leyline/messages.ts';
import type { PendingEvent } from './pending-event.ts';

const CRITICAL = ErrorSeverity.ERROR_SEVERITY_CRITICAL;

/** Listeners at once; each takes eight places in every record's list of what waits. */
export const MAX_LISTENERS = 64;

/** Where a listener finds what waits of a record with that severity. */
export function waitingIndex(slot: number, severity: ErrorSeverity): number {
  return (slot << 3) | severity;
}

/** An event on its way to one listener, or the place where the next one of its record and severity is counted. */
export interface WaitingError {
  pending: PendingEvent;
  /** Equal errors are counted on it from its queueing until its call has ended. */
  isBusy: boolean;
  /** How often it happened since the listener was told. */
  untold: number;
  order: number;
  /** Of a handler that takes its time, lately: see ErrorListener. */
  calls: number;
  isResting: boolean;
}

/** Bounded. What is least severe gives way to what is more severe, and a part is free for what is CRITICAL only. */
export class WaitingErrors {
  readonly #limit: number;
  readonly #commonLimit: number;
  readonly #bySeverity: WaitingError[][] = Array.from({ length: CRITICAL + 1 }, () => []);
  #size = 0;
  #order = 0;

  constructor(limit: number, reservedForCritical: number) {
    this.#limit = limit;
    this.#commonLimit = limit - reservedForCritical;
  }

  get size(): number {
    return this.#size;
  }

  hasRoom(severity: ErrorSeverity): boolean {
    const limit = severity === CRITICAL ? this.#limit : this.#commonLimit;
    return this.#size < limit || this.#lowest() < severity;
  }

  /** Only where there is room. Returns the one that gave way. */
  push(waiting: WaitingError): WaitingError | undefined {
    const { severity } = waiting.pending;
    const limit = severity === CRITICAL ? this.#limit : this.#commonLimit;
    // The newest of the least severe gives way: the first errors are those that tell the cause.
    const evicted = this.#size < limit ? undefined : this.#bySeverity[this.#lowest()]?.pop();
    this.#order += 1;
    waiting.order = this.#order;
    this.#bySeverity[severity]?.push(waiting);
    if (evicted === undefined) this.#size += 1;
    return evicted;
  }

  /** The oldest, whatever its severity: thresholds are told in the order in which they were crossed. */
  shift(): WaitingError | undefined {
    let oldest: WaitingError[] | undefined;
    for (const waiting of this.#bySeverity) {
      const first = waiting[0];
      if (first !== undefined && first.order < (oldest?.[0]?.order ?? Number.POSITIVE_INFINITY))
        oldest = waiting;
    }
    if (oldest !== undefined) this.#size -= 1;
    return oldest?.shift();
  }

  #lowest(): number {
    for (let severity = 0; severity <= CRITICAL; severity++) {
      if (this.#bySeverity[severity]?.length !== 0) return severity;
    }
    return Number.POSITIVE_INFINITY;
  }
}
