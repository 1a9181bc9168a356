/**
 * The one place where every part of a program reports what goes wrong. Reporting never blocks, never throws and never
 * recurses: it counts, and where somebody listens it puts an event into that listener's own bounded queue. Listeners are
 * served later, each in turns of its own, so that one that throws or hangs harms neither the others nor the reporter.
 */
import { randomUUID } from 'node:crypto';
import { setImmediate } from 'node:timers';
import { type Clock, systemClock } from '../core/clock.ts';
import { OptionError } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import { ErrorSeverity } from '../leyline/messages.ts';
import { closeHandlers, closeOne } from './close-handlers.ts';
import { CoarseClock } from './coarse-clock.ts';
import { cutText } from './context-text.ts';
import {
  ERROR_BUS_OPTIONS,
  type ErrorBusOptions,
  type ResolvedErrorBusOptions,
} from './error-bus-options.ts';
import type { ErrorEvent, ErrorReport, ErrorSink } from './error-event.ts';
import type { ErrorHandler } from './error-handler.ts';
import { ErrorListener, type ListenerSnapshot } from './error-listener.ts';
import { type ErrorRecord, ErrorRecords } from './error-records.ts';
import { FaultsClosedError } from './errors.ts';
import { LastResort, stderrLogger } from './last-resort.ts';
import { isRecoverable, severityOf } from './make-event.ts';
import { PendingEvent } from './pending-event.ts';
import { textOf } from './text-of.ts';
import { MAX_LISTENERS } from './waiting-error.ts';

export interface ErrorBusParts {
  readonly clock?: Clock;
  /** Last resort: failures of handlers and errors that handlers report. Default: JSON lines on stderr. */
  readonly logger?: Logger;
}

export interface RecordSnapshot {
  readonly code: string;
  readonly component: string;
  readonly count: number;
  /** Of those, counted without an event of their own. */
  readonly suppressed: number;
  /** Of the last one. */
  readonly severity: ErrorSeverity;
  /** Unix milliseconds, exact as `ErrorEvent.occurredAtMs` is. */
  readonly firstAtMs: number;
  readonly lastAtMs: number;
}

export interface ErrorBusSnapshot {
  /** By severity: `bySeverity[ErrorSeverity.ERROR_SEVERITY_CRITICAL]`. Index 0 is not used. */
  readonly bySeverity: readonly number[];
  /** Of all, those that handlers reported while they were called: counted, logged, told to nobody. */
  readonly fromHandlers: number;
  /** Reports that could not be read: code or component no text, a getter that threw. */
  readonly malformed: number;
  readonly records: readonly RecordSnapshot[];
  readonly listeners: readonly ListenerSnapshot[];
}

export interface ErrorBusClosed {
  /** True when every listener had been told everything in time. */
  readonly drained: boolean;
  /** As of the end: `listeners` are those that listened until then. */
  readonly snapshot: ErrorBusSnapshot;
}

/** A flood in one turn of the event loop, where no timer runs, reads the time once in so many errors. */
const REREAD = 1024;

export class ErrorBus implements ErrorSink {
  readonly #options: ResolvedErrorBusOptions;
  readonly #clock: Clock;
  readonly #coarse: CoarseClock;
  readonly #records: ErrorRecords;
  readonly #lastResort: LastResort;
  readonly #idPrefix = `${randomUUID()}-`;
  readonly #bySeverity = [0, 0, 0, 0, 0, 0];
  /** Replaced, never changed: emit may be walking it. */
  #listeners: readonly ErrorListener[] = [];
  /** Reported since the last turn, for listeners. */
  readonly #pending: PendingEvent[] = [];
  #isTelling = false;
  #events = 0;
  #fromHandlers = 0;
  #malformed = 0;
  #closed: Promise<ErrorBusClosed> | undefined;

  /** Throws OptionError. */
  constructor(parts: ErrorBusParts = {}, options: ErrorBusOptions = {}) {
    const { clock = systemClock, logger = stderrLogger } = parts;
    this.#options = ERROR_BUS_OPTIONS.resolve(options);
    if (this.#options.reservedForCritical >= this.#options.queueLimit) {
      throw new OptionError('ErrorBus: reservedForCritical must be less than queueLimit');
    }
    this.#clock = clock;
    this.#coarse = new CoarseClock(clock);
    this.#records = new ErrorRecords(this.#options.maxRecords, () => this.#coarse.wallMs);
    this.#lastResort = new LastResort(logger, clock);
  }

  emit(report: ErrorReport): void {
    try {
      const coarse = this.#coarse;
      if (!coarse.isFresh) coarse.refresh();
      const record = this.#records.of(report);
      const severity = severityOf(report);
      record.count += 1;
      if ((record.count & (REREAD - 1)) === 0) coarse.refresh();
      record.lastAtMs = coarse.wallMs;
      record.severity = severity;
      (this.#bySeverity[severity] as number) += 1;
      if (this.#listeners.length > 0) this.#offer(record, report, severity);
    } catch (error) {
      this.#malformed += 1;
      this.#lastResort.say(`a report cannot be read: ${cutText(textOf(error), 500)}`, {});
    }
  }

  /** Hands it every error from now on. Returns what ends that. Throws OptionError; FaultsClosedError after close(). */
  listen(handler: ErrorHandler): () => void {
    if (this.#closed !== undefined) throw new FaultsClosedError('the error bus');
    checkHandler(handler);
    const slot = this.#freeSlot();
    const listener = new ErrorListener({
      handler,
      slot,
      options: this.#options,
      clock: this.#clock,
      lastResort: this.#lastResort,
      eventOf: this.#eventOf,
      within: (call) => this.#tell(call),
    });
    this.#listeners = [...this.#listeners, listener];
    return () => this.#remove(listener);
  }

  /**
   * Lets go of these handlers as close() would of all: told what was reported until now, then closed. Resolves after
   * that; one that hangs is waited for. Those that do not listen are left alone. Never rejects.
   */
  async release(handlers: readonly ErrorHandler[]): Promise<void> {
    const listeners = this.#listeners.filter(({ handler }) => handlers.includes(handler));
    await Promise.all(listeners.map((listener) => listener.idle()));
    for (const listener of listeners) this.#remove(listener);
    await Promise.all(listeners.map((listener) => closeOne(listener, this.#lastResort)));
  }

  snapshot(): ErrorBusSnapshot {
    return Object.freeze({
      bySeverity: Object.freeze([...this.#bySeverity]),
      fromHandlers: this.#fromHandlers,
      malformed: this.#malformed,
      records: Object.freeze([...this.#records].map(recordSnapshot)),
      listeners: Object.freeze(this.#listeners.map((listener) => listener.snapshot())),
    });
  }

  /**
   * Tells what is queued, then closes the handlers; errors from now on are counted only. Waits `drainTimeoutMs` at most.
   * Never rejects; each further call returns the same promise.
   */
  close(): Promise<ErrorBusClosed> {
    this.#closed ??= this.#drain();
    return this.#closed;
  }

  async #drain(): Promise<ErrorBusClosed> {
    const listeners = this.#listeners;
    this.#listeners = [];
    const drained = await closeHandlers(listeners, {
      timeoutMs: this.#options.drainTimeoutMs,
      clock: this.#clock,
      lastResort: this.#lastResort,
    });
    const snapshot = Object.freeze({
      ...this.snapshot(),
      listeners: Object.freeze(listeners.map((listener) => listener.snapshot())),
    });
    return Object.freeze({ drained, snapshot });
  }

  #offer(record: ErrorRecord, report: ErrorReport, severity: ErrorSeverity): void {
    if (this.#isTelling) {
      this.#fromHandlers += 1;
      this.#lastResort.say(`reported by an error handler: ${cutText(textOf(report.message), 500)}`, {
        code: record.code,
        component: record.component,
      });
      return;
    }
    const recoverable = isRecoverable(report, severity);
    let pending: PendingEvent | undefined;
    for (const listener of this.#listeners) {
      if (severity < listener.minSeverity || !listener.wants(record, severity, recoverable)) continue;
      pending ??= this.#pend(record, report, severity, recoverable);
      listener.queue(pending);
    }
  }

  #pend(
    record: ErrorRecord,
    report: ErrorReport,
    severity: ErrorSeverity,
    recoverable: boolean,
  ): PendingEvent {
    record.told += 1;
    this.#events += 1;
    const pending = new PendingEvent(record, report, severity, recoverable, this.#events);
    if (this.#pending.push(pending) === 1) setImmediate(this.#turn);
    return pending;
  }

  /** In the turn after the reports: also what a stuck listener will never ask for, or it would hold their contexts. */
  readonly #turn = (): void => {
    for (const pending of this.#pending.splice(0)) this.#eventOf(pending);
    for (const listener of this.#listeners) listener.schedule();
  };

  readonly #eventOf = (pending: PendingEvent): ErrorEvent =>
    // A getter of the context may report an error of its own, and that one's context again.
    this.#tell(() => pending.event(this.#idPrefix)) as ErrorEvent;

  /** Runs foreign code; what it reports meanwhile is counted and logged. */
  #tell(call: () => unknown): unknown {
    const before = this.#isTelling;
    this.#isTelling = true;
    try {
      return call();
    } finally {
      this.#isTelling = before;
    }
  }

  #freeSlot(): number {
    const taken = new Set(this.#listeners.map(({ slot }) => slot));
    for (let slot = 0; slot < MAX_LISTENERS; slot++) if (!taken.has(slot)) return slot;
    throw new OptionError(`ErrorBus: ${MAX_LISTENERS} listeners are the most`);
  }

  #remove(listener: ErrorListener): void {
    if (!this.#listeners.includes(listener)) return;
    this.#listeners = this.#listeners.filter((one) => one !== listener);
    listener.end();
    // The slot is given to the next one, which must not find what was counted for this one.
    for (const { waiting } of this.#records)
      waiting.fill(undefined, listener.slot << 3, (listener.slot + 1) << 3);
  }
}

function recordSnapshot(record: ErrorRecord): RecordSnapshot {
  const { code, component, count, told, severity, firstAtMs, lastAtMs } = record;
  return Object.freeze({ code, component, count, suppressed: count - told, severity, firstAtMs, lastAtMs });
}

function checkHandler(handler: ErrorHandler): void {
  const { name, handle, minSeverity = ErrorSeverity.ERROR_SEVERITY_DEBUG } = handler;
  if (typeof name !== 'string' || name.length < 1 || name.length > 64) {
    throw new OptionError('ErrorBus: name of a handler must be 1 to 64 characters');
  }
  if (typeof handle !== 'function')
    throw new OptionError(`ErrorBus: handler ${name}: handle must be a function`);
  if (ErrorSeverity[minSeverity] === undefined || minSeverity === ErrorSeverity.ERROR_SEVERITY_UNSPECIFIED) {
    throw new OptionError(
      `ErrorBus: handler ${name}: minSeverity must be an ErrorSeverity, got ${String(minSeverity)}`,
    );
  }
}
