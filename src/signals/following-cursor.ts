import type { NativeBatch, NativeCursor } from '../native/contract.ts';

/** True when there is nothing to tell. */
export function isEmpty(batch: NativeBatch): boolean {
  return batch.records.length === 0 && batch.overruns === 0 && batch.holes === 0;
}

/**
 * A consumer's place in the records of a name, over every segment the name leads to: what the consumer has not read
 * of a segment that was removed comes before the records of the next one.
 */
export class FollowingCursor implements NativeCursor {
  #current: NativeCursor;
  readonly #later: NativeCursor[] = [];

  constructor(current: NativeCursor) {
    this.#current = current;
  }

  /** Goes on with `cursor` once everything before it is read. */
  follow(cursor: NativeCursor): void {
    this.#later.push(cursor);
  }

  poll(max: number): NativeBatch {
    let batch = this.#current.poll(max);
    while (isEmpty(batch) && this.#advance()) batch = this.#current.poll(max);
    return batch;
  }

  ready(): boolean {
    do {
      if (this.#current.ready()) return true;
    } while (this.#advance());
    return false;
  }

  #advance(): boolean {
    const next = this.#later.shift();
    if (next === undefined) return false;
    this.#current = next;
    return true;
  }
}
