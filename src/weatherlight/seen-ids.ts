/**
 * The last `capacity` ids that were added; adding or asking refreshes an id. Bounded, because a supervisor runs for
 * months: the oldest id leaves, and an emergency that old would count as new again, which is louder, not quieter.
 */
export class SeenIds {
  readonly #capacity: number;
  readonly #ids = new Set<string>();

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#ids.size;
  }

  /** True when the id was not there. */
  add(id: string): boolean {
    if (this.has(id)) return false;
    if (this.#ids.size >= this.#capacity) {
      const oldest = this.#ids.values().next();
      if (oldest.done !== true) this.#ids.delete(oldest.value);
    }
    this.#ids.add(id);
    return true;
  }

  has(id: string): boolean {
    if (!this.#ids.delete(id)) return false;
    this.#ids.add(id);
    return true;
  }
}
