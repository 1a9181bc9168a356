import type { Random } from '../../core/random.ts';
import { createKeyHash, type KeyHash, markOf } from './key-hash.ts';
import { GENERATION_NUMBERS, KeyTable } from './key-table.ts';

export interface ReplayGuardOptions {
  /** Keys at most. A full guard refuses new ones: evicting would let through what it is there to stop. */
  readonly capacity: number;
  /** How long a handled key is remembered, milliseconds: as long as its message could still be accepted. */
  readonly windowMs: number;
  /** Seeds the hash of the keys. */
  readonly random: Random;
}

/**
 * new: nobody has the key; `hold`, `commit` or leave it before anything else is begun · redelivery: handled under this
 * entry id, only its acknowledgement was lost · replay: handled under another · busy: another entry with this key is not
 * decided yet · full: no room.
 */
export type GuardVerdict = 'new' | 'redelivery' | 'replay' | 'busy' | 'full';

/** Keys of one part of the window expire together: an expiry time for each would cost half as much memory again. */
const GENERATIONS = 64;
/** A ring with room for the generations that count and the one that expires. */
const RING = 128;
/** Ten million keys are 40,000 in each: a rebuild of one takes about a millisecond. */
const TABLES = 256;

/**
 * Which events were handled, and under which entry id. A key counts as handled after its handler succeeded, never
 * before: else every retry would be a replay. Times are monotonic milliseconds.
 *
 * 21 to 28 bytes a key, taken as keys come and given back when they have expired. A key is kept as 94 bits of a seeded
 * hash. With 4.65 million keys a new event is taken for a replay with a probability of 4.65e6 / 2^94 = 2.3e-22: at 5,000
 * messages a second once in 27 billion years. Of an entry id 32 bits are kept: the same id is always known again, and
 * one replay in four billion is acknowledged as a redelivery instead of dead-lettered; it is handled in neither case.
 */
export class ReplayGuard {
  readonly #capacity: number;
  readonly #generationMs: number;
  readonly #hash: (text: string, into: KeyHash) => void;
  /** Of the key that was looked at last; made once. */
  readonly #key: KeyHash = { high: 0, low: 0, rest: 0 };
  #hashed: string | undefined;
  /** Entry id by key, of those that are held. */
  readonly #open = new Map<string, string>();
  #tables: (KeyTable | undefined)[] = new Array(TABLES).fill(undefined);
  /** How many keys each of the last generations has. */
  readonly #counts = new Float64Array(RING);
  #handled = 0;
  /** Counted from 0 on the clock; -1 before the first look at it. */
  #generation = -1;
  /** Its number in the tables. */
  #number = 0;

  constructor({ capacity, windowMs, random }: ReplayGuardOptions) {
    this.#capacity = capacity;
    this.#generationMs = windowMs / GENERATIONS;
    this.#hash = createKeyHash(random);
  }

  /** Keys held, handled and undecided. */
  get size(): number {
    return this.#handled + this.#open.size;
  }

  /** Of the tables. */
  get bytes(): number {
    return this.#tables.reduce((sum, table) => sum + (table?.bytes ?? 0), 0);
  }

  begin(key: string, entryId: string, nowMs: number): GuardVerdict {
    this.#advance(nowMs);
    this.#look(key);
    const table = this.#tables[this.#key.rest >>> 22];
    const at = table === undefined ? -1 : table.find(this.#key, this.#number, GENERATIONS);
    if (at >= 0) return table?.isMarked(at, markOf(entryId)) ? 'redelivery' : 'replay';
    if (this.#open.size > 0) {
      const holder = this.#open.get(key);
      if (holder !== undefined) return holder === entryId ? 'new' : 'busy';
    }
    return this.size >= this.#capacity ? 'full' : 'new';
  }

  /** It is not decided yet: whoever else comes with this key waits. */
  hold(key: string, entryId: string): void {
    this.#open.set(key, entryId);
  }

  /** After the handler succeeded, with a key that was new to this entry. */
  commit(key: string, entryId: string, nowMs: number): void {
    if (this.#open.size > 0) {
      const holder = this.#open.get(key);
      if (holder !== undefined && holder !== entryId) return;
      this.#open.delete(key);
    }
    this.#advance(nowMs);
    this.#look(key);
    const index = this.#key.rest >>> 22;
    this.#tables[index] ??= new KeyTable();
    this.#tables[index]?.add(this.#key, markOf(entryId), this.#number, GENERATIONS);
    this.#counts[this.#generation % RING] = (this.#counts[this.#generation % RING] ?? 0) + 1;
    this.#handled += 1;
  }

  /** The entry goes elsewhere, not handled here. A key that was committed stays. */
  release(key: string, entryId: string): void {
    if (this.#open.size > 0 && this.#open.get(key) === entryId) this.#open.delete(key);
  }

  isFull(nowMs: number): boolean {
    this.#advance(nowMs);
    return this.size >= this.#capacity;
  }

  #look(key: string): void {
    if (key === this.#hashed) return;
    this.#hash(key, this.#key);
    this.#hashed = key;
  }

  /** Never forgets early: a generation counts until a whole window after its end. */
  #advance(nowMs: number): void {
    const generation = Math.floor(nowMs / this.#generationMs);
    if (generation <= this.#generation) return;
    if (this.#generation < 0 || generation - this.#generation > GENERATIONS) this.#forgetAll();
    else while (this.#generation < generation) this.#next();
    this.#generation = generation;
    this.#number = numberOf(generation);
  }

  /** One table is rebuilt each time: none keeps expired keys so long that their generation's number comes again. */
  #next(): void {
    this.#generation += 1;
    this.#number = numberOf(this.#generation);
    const expired = (this.#generation + RING - GENERATIONS - 1) % RING;
    this.#handled -= this.#counts[expired] ?? 0;
    this.#counts[expired] = 0;
    this.#tables[this.#generation % TABLES]?.rebuild(this.#number, GENERATIONS);
  }

  #forgetAll(): void {
    this.#tables = new Array(TABLES).fill(undefined);
    this.#counts.fill(0);
    this.#handled = 0;
  }
}

function numberOf(generation: number): number {
  return 1 + (generation % GENERATION_NUMBERS);
}
