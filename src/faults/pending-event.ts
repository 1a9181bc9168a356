import type { ErrorSeverity } from '../leyline/messages.ts';
import type { ErrorEvent, ErrorReport } from './error-event.ts';
import { type ErrorRecord, recordName } from './error-records.ts';
import { makeEvent } from './make-event.ts';

/**
 * A report that somebody is to be told. Its event is made once for all listeners, after the reporter has gone on: no
 * getter of a context runs, and no megabyte is looked at, in the reporter's own time.
 */
export class PendingEvent {
  readonly record: ErrorRecord;
  readonly severity: ErrorSeverity;
  readonly recoverable: boolean;
  readonly #serial: number;
  readonly #atMs: number;
  readonly #code: string;
  readonly #component: string;
  #report: ErrorReport | undefined;
  #event: ErrorEvent | undefined;

  constructor(
    record: ErrorRecord,
    report: ErrorReport,
    severity: ErrorSeverity,
    recoverable: boolean,
    serial: number,
  ) {
    this.record = record;
    this.severity = severity;
    this.recoverable = recoverable;
    this.#serial = serial;
    this.#atMs = record.lastAtMs;
    this.#report = report;
    // Read once more: a getter may give something else now, which would throw where nobody catches it.
    this.#code = record.isOther ? String(report.code) : record.code;
    this.#component = record.isOther ? String(report.component) : record.component;
  }

  /** Lets go of the report: what its context holds may be large. */
  event(idPrefix: string): ErrorEvent {
    const report = this.#report;
    if (this.#event !== undefined || report === undefined) return this.#event as ErrorEvent;
    this.#report = undefined;
    this.#event = makeEvent(report, {
      id: idPrefix + this.#serial,
      code: recordName(this.#code),
      component: recordName(this.#component),
      severity: this.severity,
      recoverable: this.recoverable,
      occurredAtMs: this.#atMs,
    });
    return this.#event;
  }
}
