/**
 * Arrival times of one block, in a buffer made once: recording must not allocate more than the clock does,
 * or the collector's pauses would be measured with the wake.
 */
export class Arrivals {
  readonly #atNs: BigInt64Array;
  #first = 0;
  #count = 0;
  #arrived = 0;
  #originNs = 0n;
  #onComplete: (() => void) | undefined;

  constructor(capacity: number) {
    this.#atNs = new BigInt64Array(capacity);
  }

  begin(first: number, count: number, originNs: bigint): void {
    if (count > this.#atNs.length) throw new RangeError(`a block has at most ${this.#atNs.length} triggers`);
    this.#atNs.fill(0n, 0, count);
    this.#first = first;
    this.#count = count;
    this.#arrived = 0;
    this.#originNs = originNs;
  }

  /** The first arrival counts; numbers outside the block are left-overs of an earlier one. */
  readonly note = (seq: number, atNs: bigint): void => {
    const index = seq - this.#first;
    if (index < 0 || index >= this.#count || this.#atNs[index] !== 0n) return;
    this.#atNs[index] = atNs;
    this.#arrived += 1;
    if (this.#arrived === this.#count) this.#onComplete?.();
  };

  /** Resolves when the block is complete, at the latest after `graceMs`. */
  async complete(graceMs: number): Promise<void> {
    if (this.#arrived === this.#count) return;
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#onComplete = resolve;
      timer = setTimeout(resolve, graceMs);
    });
    clearTimeout(timer);
    this.#onComplete = undefined;
  }

  report(): (number | null)[] {
    return Array.from(this.#atNs.subarray(0, this.#count), (atNs) =>
      atNs === 0n ? null : Number(atNs - this.#originNs),
    );
  }
}
