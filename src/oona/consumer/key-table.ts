import type { Random } from '../../core/random.ts';

/** A key as 64 bits: two texts that share one are not to be met among millions, nor to be found without the seed. */
export interface KeyHash {
  high: number;
  low: number;
}

/** Makes the hash of a process: MurmurHash3's step in one half, another multiplication and shift in the other. */
export function createKeyHash(random: Random): (text: string, into: KeyHash) => void {
  const seedHigh = Math.floor(random() * 2 ** 32);
  const seedLow = Math.floor(random() * 2 ** 32);
  return (text, into) => {
    let high = seedHigh;
    let low = seedLow;
    for (let i = 0; i < text.length; i++) {
      const unit = text.charCodeAt(i) + 1;
      let mixed = Math.imul(unit, 0xcc9e2d51);
      mixed = (mixed << 15) | (mixed >>> 17);
      high ^= Math.imul(mixed, 0x1b873593);
      high = (high << 13) | (high >>> 19);
      high = (Math.imul(high, 5) + 0xe6546b64) | 0;
      low = Math.imul(low ^ unit, 0x85ebca6b);
      low ^= low >>> 15;
    }
    into.high = finish(high ^ text.length);
    // A slot with two zeros is free.
    into.low = finish(low + high) || 1;
  };
}

function finish(half: number): number {
  let mixed = Math.imul(half ^ (half >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

const FIRST_SLOTS = 1024;
const MAX_LOAD = 0.6;

/**
 * From a key's hash to an entry id, in typed arrays: a Map with its strings takes three times the memory, and millions
 * of strings that live for minutes are what a garbage collector is worst at.
 */
export class KeyTable {
  #mask = FIRST_SLOTS - 1;
  #high = new Uint32Array(FIRST_SLOTS);
  #low = new Uint32Array(FIRST_SLOTS);
  #entryMs = new Float64Array(FIRST_SLOTS);
  #entrySeq = new Float64Array(FIRST_SLOTS);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Slot of the key, or -1. */
  find({ high, low }: KeyHash): number {
    for (let slot = low & this.#mask; this.#low[slot] !== 0; slot = (slot + 1) & this.#mask) {
      if (this.#low[slot] === low && this.#high[slot] === high) return slot;
    }
    return -1;
  }

  isEntry(slot: number, entryMs: number, entrySeq: number): boolean {
    return this.#entryMs[slot] === entryMs && this.#entrySeq[slot] === entrySeq;
  }

  /** A key that is not in the table. */
  add({ high, low }: KeyHash, entryMs: number, entrySeq: number): void {
    if (this.#size >= (this.#mask + 1) * MAX_LOAD) this.#grow();
    this.#put(high, low, entryMs, entrySeq);
    this.#size += 1;
  }

  /** What follows in the same run moves up, so that no search ends too early at the hole. */
  remove(key: KeyHash): void {
    let hole = this.find(key);
    if (hole < 0) return;
    this.#size -= 1;
    for (let slot = (hole + 1) & this.#mask; this.#low[slot] !== 0; slot = (slot + 1) & this.#mask) {
      const home = (this.#low[slot] ?? 0) & this.#mask;
      if (((slot - home) & this.#mask) < ((slot - hole) & this.#mask)) continue;
      this.#high[hole] = this.#high[slot] ?? 0;
      this.#low[hole] = this.#low[slot] ?? 0;
      this.#entryMs[hole] = this.#entryMs[slot] ?? 0;
      this.#entrySeq[hole] = this.#entrySeq[slot] ?? 0;
      hole = slot;
    }
    this.#low[hole] = 0;
    this.#high[hole] = 0;
  }

  #put(high: number, low: number, entryMs: number, entrySeq: number): void {
    let slot = low & this.#mask;
    while (this.#low[slot] !== 0) slot = (slot + 1) & this.#mask;
    this.#high[slot] = high;
    this.#low[slot] = low;
    this.#entryMs[slot] = entryMs;
    this.#entrySeq[slot] = entrySeq;
  }

  #grow(): void {
    const [high, low, entryMs, entrySeq] = [this.#high, this.#low, this.#entryMs, this.#entrySeq];
    const slots = low.length * 2;
    this.#mask = slots - 1;
    this.#high = new Uint32Array(slots);
    this.#low = new Uint32Array(slots);
    this.#entryMs = new Float64Array(slots);
    this.#entrySeq = new Float64Array(slots);
    for (let i = 0; i < low.length; i++) {
      if (low[i] !== 0) this.#put(high[i] ?? 0, low[i] ?? 0, entryMs[i] ?? 0, entrySeq[i] ?? 0);
    }
  }
}
