import type { Clock } from '../../core/clock.ts';
import type { Metrics } from '../../core/metrics.ts';

export type MemoryTroubleCode =
  /** A file of the kernel is missing or refuses to be read. */
  | 'ESPER_MEMORY_UNREADABLE'
  /** A file holds something else than it should, or less of it. */
  | 'ESPER_MEMORY_FORMAT'
  /** The native sampler could not be had: the one on a timer stands in. */
  | 'ESPER_MEMORY_SAMPLER';

/** Something that the monitor could not read or do, and went on without. */
export interface MemoryTrouble {
  readonly code: MemoryTroubleCode;
  /** Path of the file, or what was to be done. */
  readonly subject: string;
  /** The latest: 'ENOENT', '"max" is no number'. */
  readonly detail: string;
  readonly count: number;
  /** Unix milliseconds of the latest. */
  readonly lastMs: number;
}

const MAX_KEPT = 32;

/** One record for each code and subject, counted. */
export class Troubles {
  readonly #clock: Clock;
  readonly #metrics: Metrics;
  readonly #onNew: (trouble: MemoryTrouble) => void;
  readonly #kept = new Map<string, MemoryTrouble>();
  #total = 0;

  /** `onNew` is called with the first of each. */
  constructor(clock: Clock, metrics: Metrics, onNew: (trouble: MemoryTrouble) => void) {
    this.#clock = clock;
    this.#metrics = metrics;
    this.#onNew = onNew;
  }

  get total(): number {
    return this.#total;
  }

  list(): readonly MemoryTrouble[] {
    return [...this.#kept.values()];
  }

  note(code: MemoryTroubleCode, subject: string, detail: string, times = 1): void {
    this.#total += times;
    this.#metrics.increment('memory.troubles_total', times);
    const key = `${code} ${subject}`;
    const before = this.#kept.get(key);
    const count = (before?.count ?? 0) + times;
    const trouble = Object.freeze({ code, subject, detail, count, lastMs: this.#clock.wallMs() });
    // Bounded: a process that is moved between cgroups for months must not grow by it. Further ones are counted.
    if (before !== undefined || this.#kept.size < MAX_KEPT) this.#kept.set(key, trouble);
    if (before === undefined) this.#onNew(trouble);
  }
}
