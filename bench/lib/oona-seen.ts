/** Which of the numbers 0 … count-1 arrived, and how often altogether. */
export class Seen {
  readonly #seen: Uint8Array;
  readonly #onComplete: () => void;
  #distinct = 0;
  #arrived = 0;

  constructor(count: number, onComplete: () => void) {
    this.#seen = new Uint8Array(count);
    this.#onComplete = onComplete;
  }

  /** Arrivals, those that came again too; equals the count only when each came once. */
  get arrived(): number {
    return this.#arrived;
  }

  note(index: number): void {
    this.#arrived += 1;
    if (this.#seen[index] !== 0) return;
    this.#seen[index] = 1;
    this.#distinct += 1;
    if (this.#distinct === this.#seen.length) this.#onComplete();
  }
}
