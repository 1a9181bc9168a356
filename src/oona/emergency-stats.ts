import type { Metrics } from '../core/metrics.ts';

export interface EmergencyReaderStats {
  readonly state: 'idle' | 'connecting' | 'reading' | 'backing-off' | 'stopped';
  /** Handled: each event once. */
  readonly delivered: number;
  /** Entries of an event that another entry had carried before. */
  readonly duplicates: number;
  /** Entries handed out again after they had been handled: only the acknowledgement was lost. */
  readonly redelivered: number;
  readonly rejected: number;
  readonly rejectedByCode: Readonly<Record<string, number>>;
  /** Entries trimmed from the stream before this host handled them. */
  readonly lost: number;
  /** Entries that carry no emergency. */
  readonly skipped: number;
  readonly handlerFailures: number;
  /** Entries that wait for another try of the handler. */
  readonly retrying: number;
  /** Failed reads and group creations. */
  readonly errors: number;
  readonly lastErrorCode: string | undefined;
}

type Counter =
  | 'delivered'
  | 'duplicates'
  | 'redelivered'
  | 'rejected'
  | 'lost'
  | 'skipped'
  | 'handlerFailures'
  | 'errors';

/** Names under which telemetry carries the counters. */
const METRIC_NAMES: Readonly<Record<Counter, string>> = Object.freeze({
  delivered: 'oona.emergency.delivered_total',
  duplicates: 'oona.emergency.duplicates_total',
  redelivered: 'oona.emergency.redelivered_total',
  rejected: 'oona.emergency.rejected_total',
  lost: 'oona.emergency.lost_total',
  skipped: 'oona.emergency.skipped_total',
  handlerFailures: 'oona.emergency.handler_failures_total',
  errors: 'oona.emergency.read_errors_total',
});

/** The counters of one reader, mirrored into the bus's metrics. */
export class EmergencyCounters {
  readonly #metrics: Metrics;
  readonly #counts: Record<Counter, number> = {
    delivered: 0,
    duplicates: 0,
    redelivered: 0,
    rejected: 0,
    lost: 0,
    skipped: 0,
    handlerFailures: 0,
    errors: 0,
  };
  readonly #rejectedByCode = new Map<string, number>();
  #lastErrorCode: string | undefined;

  constructor(metrics: Metrics) {
    this.#metrics = metrics;
  }

  count(counter: Counter): number {
    this.#metrics.increment(METRIC_NAMES[counter]);
    this.#counts[counter] += 1;
    return this.#counts[counter];
  }

  /** How many were rejected for this reason so far. */
  reject(code: string): number {
    this.count('rejected');
    this.#metrics.increment(`${METRIC_NAMES.rejected}.${code}`);
    const times = (this.#rejectedByCode.get(code) ?? 0) + 1;
    this.#rejectedByCode.set(code, times);
    return times;
  }

  error(code: string): number {
    this.#lastErrorCode = code;
    return this.count('errors');
  }

  snapshot(state: EmergencyReaderStats['state'], retrying: number): EmergencyReaderStats {
    const rejectedByCode = Object.freeze(Object.fromEntries(this.#rejectedByCode));
    return Object.freeze({
      state,
      ...this.#counts,
      rejectedByCode,
      retrying,
      lastErrorCode: this.#lastErrorCode,
    });
  }
}

/** The 1st, 2nd, 4th, 8th …: a flood of the same trouble must not fill the log. */
export function isPowerOfTwo(count: number): boolean {
  return (count & (count - 1)) === 0;
}
