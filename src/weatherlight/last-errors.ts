import type { LastError } from './snapshot.ts';

const MAX_KEPT = 16;
/** An error of an hour ago says nothing about the health of now. */
const EXPIRE_MS = 600_000;

/** The newest errors, bounded and expiring. Ages are taken from the monotonic clock: wall time may step. */
export class LastErrors {
  readonly #kept: { readonly error: LastError; readonly monotonicMs: number }[] = [];

  add(error: LastError, monotonicMs: number): void {
    this.#kept.push({ error, monotonicMs });
    if (this.#kept.length > MAX_KEPT) this.#kept.shift();
  }

  list(monotonicMs: number): LastError[] {
    return this.#kept.filter((one) => monotonicMs - one.monotonicMs < EXPIRE_MS).map((one) => one.error);
  }
}
