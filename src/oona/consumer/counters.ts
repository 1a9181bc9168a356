import type { Metrics } from '../../core/metrics.ts';

/** How an entry leaves; exactly one of them. */
export type Ending = 'acknowledged' | 'deadLettered' | 'takenOver' | 'lost';

/** Why an entry is acknowledged; 'lost' ones are nowhere but in the pending list. */
export type AckReason = Extract<ConsumerCounter, 'handled' | 'skipped' | 'redelivered' | 'lost'>;

export type ConsumerCounter =
  | Ending
  | 'read'
  | 'handled'
  | 'skipped'
  | 'redelivered'
  | 'handlerFailures'
  | 'readErrors';

const WORDS: Readonly<Record<ConsumerCounter, string>> = Object.freeze({
  read: 'read_total',
  acknowledged: 'acknowledged_total',
  deadLettered: 'dead_lettered_total',
  takenOver: 'taken_over_total',
  lost: 'lost_total',
  handled: 'handled_total',
  skipped: 'skipped_total',
  redelivered: 'redelivered_total',
  handlerFailures: 'handler_failures_total',
  readErrors: 'read_errors_total',
});

/** Codes come from handlers too: a counter for each of any number of them would be a leak. */
const MAX_CODES = 64;
const OTHER_CODES = 'other';

/** The counters of one consumer, mirrored into the bus's metrics as `oona.consume.<stream role>.…`. */
export class ConsumerCounters {
  readonly #metrics: Metrics;
  readonly #prefix: string;
  readonly #names: Readonly<Record<ConsumerCounter, string>>;
  readonly #counts: Record<ConsumerCounter, number>;
  readonly #deadLetteredByCode = new Map<string, number>();
  readonly #reports = new Map<string, number>();
  #lastErrorCode: string | undefined;

  constructor(metrics: Metrics, role: string) {
    this.#metrics = metrics;
    this.#prefix = `oona.consume.${role}`;
    const counters = Object.keys(WORDS) as ConsumerCounter[];
    const named = counters.map((counter) => [counter, `${this.#prefix}.${WORDS[counter]}`]);
    this.#names = Object.freeze(Object.fromEntries(named));
    this.#counts = Object.fromEntries(counters.map((counter) => [counter, 0])) as Record<
      ConsumerCounter,
      number
    >;
  }

  count(counter: ConsumerCounter, times = 1): void {
    if (times === 0) return;
    this.#metrics.increment(this.#names[counter], times);
    this.#counts[counter] += times;
  }

  value(counter: ConsumerCounter): number {
    return this.#counts[counter];
  }

  deadLetter(code: string): void {
    const known = this.#deadLetteredByCode.has(code) || this.#deadLetteredByCode.size < MAX_CODES;
    const label = known ? code : OTHER_CODES;
    this.#deadLetteredByCode.set(label, (this.#deadLetteredByCode.get(label) ?? 0) + 1);
    this.#metrics.increment(`${this.#names.deadLettered}.${label}`);
  }

  /** Something went wrong that is no fault of an entry. */
  error(code: string): void {
    this.#lastErrorCode = code;
  }

  gauge(word: string, value: number): void {
    this.#metrics.setGauge(`${this.#prefix}.${word}`, value);
  }

  /** How often this was reported before, so that a flood of it does not fill the log. */
  times(report: string): number {
    const label = this.#reports.size < 4 * MAX_CODES || this.#reports.has(report) ? report : OTHER_CODES;
    const times = (this.#reports.get(label) ?? 0) + 1;
    this.#reports.set(label, times);
    return times;
  }

  snapshot(): Readonly<Record<ConsumerCounter, number>> & {
    readonly deadLetteredByCode: Readonly<Record<string, number>>;
    readonly lastErrorCode: string | undefined;
  } {
    const deadLetteredByCode = Object.freeze(Object.fromEntries(this.#deadLetteredByCode));
    return { ...this.#counts, deadLetteredByCode, lastErrorCode: this.#lastErrorCode };
  }
}
