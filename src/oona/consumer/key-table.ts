import type { KeyHash } from './key-hash.ts';

/** Generations have the numbers 1 to this, then 1 again; a free slot has 0. */
export const GENERATION_NUMBERS = 1023;
const GENERATION_BITS = 10;
const GENERATION_MASK = (1 << GENERATION_BITS) - 1;

/** Generation and 22 bits of the key · 32 bits of the key · 32 bits of the key · mark of the entry id. */
const WORDS = 4;
const FIRST_SLOTS = 16;
/** Searches go slot by slot: above this they get long. */
const MAX_LOAD = 0.75;
/** Slots for each key after a rebuild: 27.5 bytes a key, down to 21.3 before the next one. */
const SPACE = 1.72;

/**
 * From a key's hash to the mark of an entry id, in one typed array: a Map with its strings takes six times the memory,
 * and millions of strings that live for minutes are what a garbage collector is worst at. Keys expire by generation:
 * nobody removes them, their slots are used again. A rebuild, which drops them, takes as long as the table has slots:
 * hence many small tables instead of a large one.
 */
export class KeyTable {
  #words = new Int32Array(FIRST_SLOTS * WORDS);
  #slots = FIRST_SLOTS;
  /** Not free: keys, expired or not. */
  #used = 0;

  get bytes(): number {
    return this.#words.byteLength;
  }

  /** Where the key is, or -1. Generations up to `span` before `generation` count. */
  find(hash: KeyHash, generation: number, span: number): number {
    const words = this.#words;
    const end = this.#slots * WORDS;
    const tail = hash.rest & 0x3fffff;
    for (let at = this.#home(hash.high); words[at] !== 0; at = at + WORDS === end ? 0 : at + WORDS) {
      if (words[at + 2] !== hash.low || words[at + 1] !== hash.high) continue;
      const first = words[at] as number;
      if (first >>> GENERATION_BITS === tail && isLive(first, generation, span)) return at;
    }
    return -1;
  }

  isMarked(at: number, mark: number): boolean {
    return this.#words[at + 3] === mark;
  }

  /** A key that `find` does not find. */
  add(hash: KeyHash, mark: number, generation: number, span: number): void {
    if (this.#used >= this.#slots * MAX_LOAD) this.rebuild(generation, span);
    const words = this.#words;
    const end = this.#slots * WORDS;
    let at = this.#home(hash.high);
    while (words[at] !== 0 && isLive(words[at] as number, generation, span))
      at = at + WORDS === end ? 0 : at + WORDS;
    if (words[at] === 0) this.#used += 1;
    words[at] = ((hash.rest & 0x3fffff) << GENERATION_BITS) | generation;
    words[at + 1] = hash.high;
    words[at + 2] = hash.low;
    words[at + 3] = mark;
  }

  /** Drops what has expired; larger or smaller than before, as what is left needs. */
  rebuild(generation: number, span: number): void {
    const old = this.#words;
    let live = 0;
    for (let at = 0; at < old.length; at += WORDS) {
      if (old[at] !== 0 && isLive(old[at] as number, generation, span)) live += 1;
    }
    this.#slots = Math.max(FIRST_SLOTS, Math.ceil(live * SPACE));
    this.#used = live;
    this.#words = new Int32Array(this.#slots * WORDS);
    const words = this.#words;
    const end = words.length;
    for (let from = 0; from < old.length; from += WORDS) {
      if (old[from] === 0 || !isLive(old[from] as number, generation, span)) continue;
      let at = this.#home(old[from + 1] as number);
      while (words[at] !== 0) at = at + WORDS === end ? 0 : at + WORDS;
      words[at] = old[from] as number;
      words[at + 1] = old[from + 1] as number;
      words[at + 2] = old[from + 2] as number;
      words[at + 3] = old[from + 3] as number;
    }
  }

  #home(high: number): number {
    return Math.floor(((high >>> 0) / 2 ** 32) * this.#slots) * WORDS;
  }
}

function isLive(first: number, generation: number, span: number): boolean {
  const age = generation - (first & GENERATION_MASK);
  return (age < 0 ? age + GENERATION_NUMBERS : age) <= span;
}
