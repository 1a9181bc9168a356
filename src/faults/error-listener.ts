/** One listener of the error bus: its queue, its turns and its accounts. */
import { setImmediate } from 'node:timers';
import type { Clock } from '../core/clock.ts';
import { ErrorSeverity } from '../leyline/messages.ts';
import { cutText } from './context-text.ts';
import type { ResolvedErrorBusOptions } from './error-bus-options.ts';
import type { ErrorEvent } from './error-event.ts';
import type { ErrorHandler } from './error-handler.ts';
import type { ErrorRecord } from './error-records.ts';
import { FaultsClosedError, HandlerTimeoutError } from './errors.ts';
import type { LastResort } from './last-resort.ts';
import type { PendingEvent } from './pending-event.ts';
import { textOf } from './text-of.ts';
import { type WaitingError, WaitingErrors, waitingIndex } from './waiting-error.ts';

/** Events in one turn of the event loop: others get theirs in between. */
const BATCH = 64;

/** Calls for equal errors, of a handler that takes its time, in one of these times. */
const CALLS_IN_A_ROW = 4;
const REST_MS = 100;

/** offered = suppressed + dropped + queued + delivered. */
export interface ListenerSnapshot {
  readonly name: string;
  /** Errors at least as severe as it asked for, since it listens. */
  readonly offered: number;
  /** Counted on an equal one that was waiting or being handled. */
  readonly suppressed: number;
  /** No room, or given up at the end. */
  readonly dropped: number;
  readonly queued: number;
  /** Handed to the handler, however that ended. */
  readonly delivered: number;
  /** Of those delivered: threw or rejected. */
  readonly failed: number;
  /** Of those delivered: took longer than `handlerTimeoutMs`. */
  readonly timedOut: number;
  /** Of those timed out: still not ended. */
  readonly hung: number;
}

export interface ListenerParts {
  readonly handler: ErrorHandler;
  readonly slot: number;
  readonly options: ResolvedErrorBusOptions;
  readonly clock: Pick<Clock, 'sleep'>;
  readonly lastResort: LastResort;
  readonly eventOf: (pending: PendingEvent) => ErrorEvent;
  /** Runs a handler's call so that the bus knows what is reported meanwhile as an error about errors. */
  readonly within: (call: () => unknown) => unknown;
}

export class ErrorListener {
  readonly handler: ErrorHandler;
  readonly slot: number;
  readonly minSeverity: ErrorSeverity;
  readonly #parts: ListenerParts;
  readonly #queue: WaitingErrors;
  readonly #whenIdle: (() => void)[] = [];
  #offered = 0;
  #suppressed = 0;
  #dropped = 0;
  #delivered = 0;
  #failed = 0;
  #timedOut = 0;
  #hung = 0;
  #isServing = false;
  #isOver = false;
  #current: AbortController | undefined;
  #unread: AbortController | undefined;

  constructor(parts: ListenerParts) {
    const { handler, slot, options } = parts;
    this.handler = handler;
    this.slot = slot;
    this.minSeverity = handler.minSeverity ?? ErrorSeverity.ERROR_SEVERITY_DEBUG;
    this.#parts = parts;
    this.#queue = new WaitingErrors(options.queueLimit, options.reservedForCritical);
  }

  /** Accounts for one occurrence; true when it wants an event of it, by queue(). */
  wants(record: ErrorRecord, severity: ErrorSeverity, recoverable: boolean): boolean {
    this.#offered += 1;
    const waiting = record.waiting[waitingIndex(this.slot, severity)];
    if (waiting?.isBusy && waiting.pending.recoverable === recoverable) {
      waiting.untold += 1;
      this.#suppressed += 1;
      return false;
    }
    if (this.#queue.hasRoom(severity)) return true;
    if (waiting !== undefined) waiting.untold += 1;
    this.#dropped += 1;
    return false;
  }

  /** Told after schedule(). */
  queue(pending: PendingEvent): void {
    const evicted = this.#queue.push(this.#place(pending));
    if (evicted === undefined) return;
    evicted.isBusy = false;
    this.#dropped += 1;
  }

  schedule(): void {
    if (this.#isServing || !this.#canServe()) return;
    this.#isServing = true;
    setImmediate(() => void this.#serve());
  }

  /** Nothing is taken and nothing is told any more; what waits is dropped, the call under way aborted. */
  end(): void {
    this.#isOver = true;
    this.#dropped += this.#queue.size;
    while (this.#queue.shift() !== undefined);
    this.#current?.abort(new FaultsClosedError('the error bus'));
    this.#tellIdle();
  }

  /** When nothing waits and no call is under way but those that hang. */
  idle(): Promise<void> {
    return new Promise((resolve) => {
      this.#whenIdle.push(resolve);
      this.schedule();
      this.#tellIdle();
    });
  }

  snapshot(): ListenerSnapshot {
    return Object.freeze({
      name: this.handler.name,
      offered: this.#offered,
      suppressed: this.#suppressed,
      dropped: this.#dropped,
      queued: this.#queue.size,
      delivered: this.#delivered,
      failed: this.#failed,
      timedOut: this.#timedOut,
      hung: this.#hung,
    });
  }

  #place(pending: PendingEvent): WaitingError {
    const { record } = pending;
    const at = waitingIndex(this.slot, pending.severity);
    const known = record.isOther ? undefined : record.waiting[at];
    if (known !== undefined && !known.isBusy) {
      known.pending = pending;
      known.isBusy = true;
      known.untold += 1;
      return known;
    }
    const waiting: WaitingError = {
      pending,
      isBusy: true,
      untold: 1,
      order: 0,
      calls: 0,
      isResting: false,
    };
    // Errors of the shared record are not equal to each other: none of them is counted on another.
    if (!record.isOther) record.waiting[at] = waiting;
    return waiting;
  }

  #canServe(): boolean {
    return !this.#isOver && this.#queue.size > 0 && this.#hung < this.#parts.options.maxHungCalls;
  }

  async #serve(): Promise<void> {
    for (let served = 0; served < BATCH && this.#canServe(); served++) {
      const waiting = this.#queue.shift() as WaitingError;
      const { untold } = waiting;
      waiting.untold = 0;
      this.#delivered += 1;
      const event = this.#parts.eventOf(waiting.pending);
      const under = this.#call(untold === 1 ? event : withCount(event, untold));
      if (under === undefined) {
        waiting.isBusy = false;
      } else {
        await under;
        this.#restSometimes(waiting);
      }
    }
    this.#isServing = false;
    this.schedule();
    this.#tellIdle();
  }

  /**
   * What a handler reports after waiting for something cannot be told from any other error: two handlers, or one with
   * two codes, would keep each other at work without end and a processor busy. So equal errors that come on and on are
   * counted only, now and then.
   */
  #restSometimes(waiting: WaitingError): void {
    waiting.calls += 1;
    waiting.isResting = waiting.calls >= CALLS_IN_A_ROW;
    waiting.isBusy = waiting.isResting;
    if (waiting.calls > 1) return;
    const rested = (): void => {
      waiting.calls = 0;
      if (waiting.isResting) waiting.isBusy = false;
      waiting.isResting = false;
    };
    this.#parts.clock.sleep(REST_MS).then(rested, rested);
  }

  /** A promise only when the handler returned one: it resolves when the call ended or took too long. */
  #call(event: ErrorEvent): Promise<void> | undefined {
    const controller = this.#controller();
    try {
      const result = this.#parts.within(() => this.handler.handle(event, controller.signal));
      if (!isThenable(result)) return undefined;
      // It may be aborted: whatever is called after it is not to be.
      this.#unread = undefined;
      return this.#settle(Promise.resolve(result), controller);
    } catch (error) {
      this.#fail(error);
      return undefined;
    }
  }

  /**
   * Its own for each call of a handler that takes the signal. One that does not take it, and returns at once, would pay
   * for it more than for all the rest of a delivery.
   */
  #controller(): AbortController {
    if (this.handler.handle.length > 1) return new AbortController();
    this.#unread ??= new AbortController();
    return this.#unread;
  }

  async #settle(result: Promise<unknown>, controller: AbortController): Promise<void> {
    const { clock, options } = this.#parts;
    const over = new AbortController();
    let isHung = false;
    this.#current = controller;
    const ended = result.then(
      () => undefined,
      (error: unknown) => this.#fail(error),
    );
    // Released whenever it ends, late or not: a handler that hangs for a while comes back by itself.
    const released = ended.then(() => {
      if (isHung) this.#release();
      return false;
    });
    const late = clock.sleep(options.handlerTimeoutMs, over.signal).then(
      () => true,
      () => false,
    );
    const isLate = await Promise.race([released, late]);
    over.abort();
    this.#current = undefined;
    if (!isLate) return;
    isHung = true;
    this.#timedOut += 1;
    this.#hung += 1;
    const error = new HandlerTimeoutError(this.handler.name, options.handlerTimeoutMs);
    this.#parts.lastResort.say(error.message, { handler: this.handler.name, code: error.code });
    controller.abort(error);
  }

  #release(): void {
    this.#hung -= 1;
    this.schedule();
  }

  #fail(error: unknown): void {
    this.#failed += 1;
    const message = `handler ${this.handler.name} failed: ${cutText(textOf(error), 500)}`;
    this.#parts.lastResort.say(message, { handler: this.handler.name });
  }

  #tellIdle(): void {
    if (this.#isServing && !this.#isOver) return;
    if (this.#queue.size > 0) return;
    for (const resolve of this.#whenIdle.splice(0)) resolve();
  }
}

function withCount(event: ErrorEvent, count: number): ErrorEvent {
  return Object.freeze({ ...event, count });
}

function isThenable(result: unknown): result is PromiseLike<unknown> {
  return (
    typeof result === 'object' && result !== null && typeof (result as { then?: unknown }).then === 'function'
  );
}
