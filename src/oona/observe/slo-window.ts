/** Counts over the last minutes to weeks, from counters that only ever grow. */

export interface Counts {
  readonly good: number;
  readonly bad: number;
}

export interface WindowCounts extends Counts {
  /** What is really covered, milliseconds: less than was asked for while the process is younger. */
  readonly coversMs: number;
}

/** Samples of two counters, at most one a slot, in memory of fixed size; the oldest goes first. */
class SampleRing {
  readonly slotMs: number;
  readonly #atMs: Float64Array;
  readonly #good: Float64Array;
  readonly #bad: Float64Array;
  #next = 0;
  #size = 0;

  constructor(slotMs: number, capacity: number) {
    this.slotMs = slotMs;
    this.#atMs = new Float64Array(capacity);
    this.#good = new Float64Array(capacity);
    this.#bad = new Float64Array(capacity);
  }

  push(nowMs: number, { good, bad }: Counts): void {
    const capacity = this.#atMs.length;
    const newest = (this.#next + capacity - 1) % capacity;
    if (this.#size > 0 && nowMs - (this.#atMs[newest] ?? 0) < this.slotMs) return;
    this.#atMs[this.#next] = nowMs;
    this.#good[this.#next] = good;
    this.#bad[this.#next] = bad;
    this.#next = (this.#next + 1) % capacity;
    this.#size = Math.min(this.#size + 1, capacity);
  }

  /** What was counted since the newest sample that is `windowMs` old, or the oldest there is. */
  since(nowMs: number, windowMs: number, current: Counts): WindowCounts {
    const at = this.#startOf(nowMs - windowMs);
    return {
      good: current.good - (this.#good[at] ?? 0),
      bad: current.bad - (this.#bad[at] ?? 0),
      coversMs: nowMs - (this.#atMs[at] ?? nowMs),
    };
  }

  #startOf(startMs: number): number {
    const capacity = this.#atMs.length;
    const position = (age: number): number => (this.#next + 2 * capacity - 1 - age) % capacity;
    // Ages grow from the newest (0); the first that is not after startMs is looked for.
    let low = 0;
    let high = this.#size - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#atMs[position(middle)] ?? 0) <= startMs) high = middle;
      else low = middle + 1;
    }
    return position(Math.max(0, low));
  }
}

/** Slots of the finer history in one period, and of the coarser one. */
const FINE_SLOTS = 86_400;
const COARSE_SLOTS = 720;
/** The finer history reaches back a 120th of the period, the coarser one all of it. */
const FINE_CAPACITY = FINE_SLOTS / 120 + 2;
const COARSE_CAPACITY = COARSE_SLOTS + 2;

/**
 * Of a period of 30 days: the last 6 hours to within 30 seconds, all of it to within one hour. 35 KB whatever was
 * counted.
 */
export class CountHistory {
  readonly #fine: SampleRing;
  readonly #coarse: SampleRing;
  readonly #fineReachMs: number;
  #current: Counts;

  constructor(periodMs: number, nowMs: number, start: Counts) {
    this.#fine = new SampleRing(periodMs / FINE_SLOTS, FINE_CAPACITY);
    this.#coarse = new SampleRing(periodMs / COARSE_SLOTS, COARSE_CAPACITY);
    this.#fineReachMs = periodMs / 120;
    this.#current = start;
    this.push(nowMs, start);
  }

  push(nowMs: number, counts: Counts): void {
    this.#current = counts;
    this.#fine.push(nowMs, counts);
    this.#coarse.push(nowMs, counts);
  }

  /** Up to the last push. */
  over(windowMs: number, nowMs: number): WindowCounts {
    const ring = windowMs <= this.#fineReachMs ? this.#fine : this.#coarse;
    return ring.since(nowMs, windowMs, this.#current);
  }
}
