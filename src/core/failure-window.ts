const BUCKETS = 10;

/** Calls and failures of the last `windowMs`, to a tenth of it. No allocation after construction. */
export class FailureWindow {
  readonly #bucketMs: number;
  readonly #calls = new Float64Array(BUCKETS);
  readonly #failures = new Float64Array(BUCKETS);
  /** Number of the newest bucket since the clock's zero. */
  #newest = 0;

  constructor(windowMs: number) {
    this.#bucketMs = windowMs / BUCKETS;
  }

  record(failed: boolean, nowMs: number): void {
    this.#advance(nowMs);
    const at = this.#newest % BUCKETS;
    this.#calls[at] = (this.#calls[at] ?? 0) + 1;
    if (failed) this.#failures[at] = (this.#failures[at] ?? 0) + 1;
  }

  counts(nowMs: number): { readonly calls: number; readonly failures: number } {
    this.#advance(nowMs);
    return { calls: sum(this.#calls), failures: sum(this.#failures) };
  }

  clear(): void {
    this.#calls.fill(0);
    this.#failures.fill(0);
  }

  #advance(nowMs: number): void {
    const bucket = Math.floor(nowMs / this.#bucketMs);
    if (bucket <= this.#newest) return;
    if (bucket - this.#newest >= BUCKETS) this.clear();
    else {
      for (let stale = this.#newest + 1; stale <= bucket; stale++) {
        this.#calls[stale % BUCKETS] = 0;
        this.#failures[stale % BUCKETS] = 0;
      }
    }
    this.#newest = bucket;
  }
}

function sum(values: Float64Array): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}
