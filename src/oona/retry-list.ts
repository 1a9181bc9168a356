import { type BackoffOptions, backoffDelayMs } from '../core/backoff.ts';
import type { Random } from '../core/random.ts';
import type { StreamEntry } from './transport/transport.ts';

interface Retry {
  readonly entry: StreamEntry;
  attempts: number;
  dueAtMs: number;
}

export interface RetryListOptions extends BackoffOptions {
  /** Entries beyond this are not kept; they stay in the pending list and are read again from there. */
  readonly capacity: number;
  readonly random: Random;
}

/**
 * Entries whose handler failed, until they are due again. Kept here rather than read again from the engine, whose
 * delivery count would grow with every look at it.
 */
export class RetryList {
  readonly #options: RetryListOptions;
  readonly #retries = new Map<string, Retry>();
  #overflowed = false;

  constructor(options: RetryListOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#retries.size;
  }

  has(entryId: string): boolean {
    return this.#retries.has(entryId);
  }

  /** After a failure. `nowMs` is monotonic. */
  postpone(entry: StreamEntry, nowMs: number): void {
    const known = this.#retries.get(entry.entryId);
    if (known === undefined && this.#retries.size >= this.#options.capacity) {
      this.#overflowed = true;
      return;
    }
    const attempts = (known?.attempts ?? 0) + 1;
    const dueAtMs = nowMs + backoffDelayMs(attempts, this.#options, this.#options.random);
    this.#retries.set(entry.entryId, { entry: known?.entry ?? entry, attempts, dueAtMs });
  }

  /** After success, rejection or loss. */
  settle(entryId: string): void {
    this.#retries.delete(entryId);
  }

  /** Entries that are due, each with its delivery count raised by the attempts made here. */
  due(nowMs: number): StreamEntry[] {
    return [...this.#retries.values()]
      .filter(({ dueAtMs }) => dueAtMs <= nowMs)
      .map(({ entry, attempts }) => ({ ...entry, deliveryCount: entry.deliveryCount + attempts }));
  }

  /** Milliseconds until the next one is due; infinite when there is none. */
  nextDueInMs(nowMs: number): number {
    let next = Number.POSITIVE_INFINITY;
    for (const { dueAtMs } of this.#retries.values()) next = Math.min(next, dueAtMs - nowMs);
    return Math.max(0, next);
  }

  /** True once after entries were turned away and room is there again: then the pending list must be read. */
  takeOverflow(): boolean {
    if (!this.#overflowed || this.#retries.size > 0) return false;
    this.#overflowed = false;
    return true;
  }

  clear(): void {
    this.#retries.clear();
    this.#overflowed = false;
  }
}
