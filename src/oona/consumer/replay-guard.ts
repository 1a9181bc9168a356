import type { Random } from '../../core/random.ts';
import { createKeyHash, type KeyHash, KeyTable } from './key-table.ts';

export interface ReplayGuardOptions {
  /** Keys at most. A full guard refuses new ones: evicting would let through what it is there to stop. */
  readonly capacity: number;
  /** How long a handled key is remembered, milliseconds: as long as its message could still be accepted. */
  readonly windowMs: number;
  /** Seeds the hash of the keys. */
  readonly random: Random;
}

/**
 * new: the caller has the key now, and must `commit` or `release` it · redelivery: handled under this entry id, only its
 * acknowledgement was lost · replay: handled under another · busy: another entry with this key is not decided yet ·
 * full: no room.
 */
export type GuardVerdict = 'new' | 'redelivery' | 'replay' | 'busy' | 'full';

interface Generation {
  readonly fullUntilMs: number;
  readonly expiresAtMs: number;
  /** Both halves of each key's hash by turns. */
  hashes: Uint32Array;
  size: number;
}

const FIRST_KEYS = 64;

/** Keys of one part of the window expire together: an expiry time for each would cost a third more memory. */
const GENERATIONS = 64;

/**
 * Which events were handled, and under which entry id. A key counts as handled after its handler succeeded, never
 * before: else every retry would be a replay. Times are monotonic milliseconds. 50 to 90 bytes a key.
 */
export class ReplayGuard {
  readonly #options: ReplayGuardOptions;
  readonly #handled = new KeyTable();
  readonly #hash: (text: string, into: KeyHash) => void;
  /** Of the key that is looked at; made once. */
  readonly #key: KeyHash = { high: 0, low: 0 };
  /** Entry id by key. */
  readonly #open = new Map<string, string>();
  /** Oldest first. */
  readonly #generations: Generation[] = [];

  constructor(options: ReplayGuardOptions) {
    this.#options = options;
    this.#hash = createKeyHash(options.random);
  }

  /** Keys held, handled and undecided. */
  get size(): number {
    return this.#handled.size + this.#open.size;
  }

  begin(key: string, entryId: string, nowMs: number): GuardVerdict {
    this.#expire(nowMs);
    this.#hash(key, this.#key);
    const slot = this.#handled.find(this.#key);
    if (slot >= 0) {
      const [ms, seq] = numbersOf(entryId);
      return this.#handled.isEntry(slot, ms, seq) ? 'redelivery' : 'replay';
    }
    const holder = this.#open.get(key);
    if (holder !== undefined) return holder === entryId ? 'new' : 'busy';
    if (this.size >= this.#options.capacity) return 'full';
    this.#open.set(key, entryId);
    return 'new';
  }

  /** After the handler succeeded, with a key that `begin` gave. */
  commit(key: string, entryId: string, nowMs: number): void {
    if (this.#open.get(key) !== entryId) return;
    this.#open.delete(key);
    this.#hash(key, this.#key);
    const [ms, seq] = numbersOf(entryId);
    this.#handled.add(this.#key, ms, seq);
    remember(this.#generation(nowMs), this.#key);
  }

  /** The entry goes elsewhere, not handled here. A key that was committed stays. */
  release(key: string, entryId: string): void {
    if (this.#open.get(key) === entryId) this.#open.delete(key);
  }

  isFull(nowMs: number): boolean {
    this.#expire(nowMs);
    return this.size >= this.#options.capacity;
  }

  /** Never forgets early: a generation lives a whole window after its last key. */
  #generation(nowMs: number): Generation {
    const newest = this.#generations.at(-1);
    if (newest !== undefined && nowMs < newest.fullUntilMs) return newest;
    const { windowMs } = this.#options;
    const fullUntilMs = nowMs + windowMs / GENERATIONS;
    const generation: Generation = {
      fullUntilMs,
      expiresAtMs: fullUntilMs + windowMs,
      hashes: new Uint32Array(2 * FIRST_KEYS),
      size: 0,
    };
    this.#generations.push(generation);
    return generation;
  }

  #expire(nowMs: number): void {
    for (;;) {
      const oldest = this.#generations[0];
      if (oldest === undefined || oldest.expiresAtMs > nowMs) return;
      this.#generations.shift();
      for (let i = 0; i < oldest.size; i++) {
        this.#key.high = oldest.hashes[2 * i] ?? 0;
        this.#key.low = oldest.hashes[2 * i + 1] ?? 0;
        this.#handled.remove(this.#key);
      }
    }
  }
}

function remember(generation: Generation, { high, low }: KeyHash): void {
  const at = 2 * generation.size;
  if (at === generation.hashes.length) {
    const larger = new Uint32Array(2 * at);
    larger.set(generation.hashes);
    generation.hashes = larger;
  }
  generation.hashes[at] = high;
  generation.hashes[at + 1] = low;
  generation.size += 1;
}

/** Of an entry id `<ms>-<seq>`. */
function numbersOf(entryId: string): readonly [ms: number, seq: number] {
  const dash = entryId.indexOf('-');
  return [Number(entryId.slice(0, dash)), Number(entryId.slice(dash + 1))];
}
