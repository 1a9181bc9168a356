/**
 * Event ids that were handled, each with the entry that carried it. Bounded: the oldest goes first, because refusing
 * an emergency for want of room would be worse than handling one twice.
 */
export class SeenSet {
  readonly #capacity: number;
  readonly #entries = new Map<string, string>();

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Entry id under which this event was handled, or undefined. */
  find(eventId: string): string | undefined {
    return this.#entries.get(eventId);
  }

  add(eventId: string, entryId: string): void {
    this.#entries.set(eventId, entryId);
    if (this.#entries.size <= this.#capacity) return;
    const oldest = this.#entries.keys().next();
    if (!oldest.done) this.#entries.delete(oldest.value);
  }
}
