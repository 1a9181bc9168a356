/** Sums up the ledgers of one drill. What "lost" means stands here and nowhere else. */
import { LedgerReader } from './ledger.ts';

/** Words of the publisher's ledger that mean: the bus said it is stored. */
const CONFIRMED: ReadonlySet<string> = new Set(['published', 'duplicate', 'rerouted']);

export interface Balance {
  /** Distinct event ids whose publisher was told that they are stored. */
  readonly sent: number;
  /** Distinct event ids of those that a handler was called with. */
  readonly handled: number;
  /** Calls of a handler beyond the first for an event id. */
  readonly duplicates: number;
  /** Sent, not handled, and not among the dead letters. */
  readonly lost: readonly string[];
  /** Handled without ever having been sent: must not be. */
  readonly strange: readonly string[];
}

export class Accounts {
  readonly #publisher: LedgerReader[] = [];
  readonly #consumers: LedgerReader[] = [];
  /** Event id → entry id. */
  readonly #confirmed = new Map<string, string>();
  readonly #handled = new Map<string, number>();
  readonly #confirmedAtMs: number[] = [];
  readonly #handledAtMs: number[] = [];
  /** When each entry was handled last: entries of a dead consumer are handled again. */
  readonly #entryAtMs = new Map<string, number>();

  followPublisher(path: string): void {
    this.#publisher.push(new LedgerReader(path));
  }

  followConsumer(path: string): void {
    this.#consumers.push(new LedgerReader(path));
  }

  /** Takes in what was written since the last call. */
  update(): this {
    for (const ledger of this.#publisher) {
      for (const { eventId, entryId, word, atMs } of ledger.read()) {
        if (!CONFIRMED.has(word)) continue;
        this.#confirmed.set(eventId, entryId);
        this.#confirmedAtMs.push(atMs);
      }
    }
    for (const ledger of this.#consumers) {
      for (const { eventId, entryId, atMs } of ledger.read()) {
        this.#handled.set(eventId, (this.#handled.get(eventId) ?? 0) + 1);
        this.#handledAtMs.push(atMs);
        this.#entryAtMs.set(entryId, Math.max(atMs, this.#entryAtMs.get(entryId) ?? 0));
      }
    }
    return this;
  }

  get confirmed(): number {
    return this.#confirmed.size;
  }

  get handled(): number {
    return this.#handled.size;
  }

  wasHandled(eventId: string): boolean {
    return this.#handled.has(eventId);
  }

  wasConfirmed(eventId: string): boolean {
    return this.#confirmed.has(eventId);
  }

  entryOf(eventId: string): string | undefined {
    return this.#confirmed.get(eventId);
  }

  /** Confirmed, not handled, and in none of these sets. */
  missing(...elsewhere: readonly ReadonlySet<string>[]): string[] {
    return [...this.#confirmed.keys()].filter(
      (eventId) => !this.#handled.has(eventId) && !elsewhere.some((set) => set.has(eventId)),
    );
  }

  /**
   * Milliseconds from `afterMs` until both sides moved again: first confirmed publish and first handled event after
   * it. Undefined when one of them never came.
   */
  recoveredInMs(afterMs: number): number | undefined {
    const first = (times: readonly number[]): number =>
      times.reduce(
        (least, atMs) => (atMs > afterMs && atMs < least ? atMs : least),
        Number.POSITIVE_INFINITY,
      );
    const bothMs = Math.max(first(this.#confirmedAtMs), first(this.#handledAtMs));
    return Number.isFinite(bothMs) ? bothMs - afterMs : undefined;
  }

  /** Longest time between two handled events, milliseconds: what a fault cost those who wait for messages. */
  longestSilenceMs(): number {
    const times = this.#handledAtMs.toSorted((a, b) => a - b);
    return times.reduce((longest, atMs, i) => Math.max(longest, atMs - (times[i - 1] ?? atMs)), 0);
  }

  /**
   * Milliseconds from `afterMs` until the last of these entries was handled; undefined when one never was. 0 when all
   * had been handled before, and only their acknowledgement was under way.
   */
  takenUpInMs(entryIds: readonly string[], afterMs: number): number | undefined {
    const handledMs = entryIds.map((entryId) => this.#entryAtMs.get(entryId) ?? Number.NaN);
    const lastMs = Math.max(...handledMs);
    return Number.isNaN(lastMs) ? undefined : Math.max(0, lastMs - afterMs);
  }

  balance(deadLettered: ReadonlySet<string>): Balance {
    const calls = [...this.#handled.values()].reduce((sum, count) => sum + count, 0);
    const handled = [...this.#handled.keys()].filter((eventId) => this.#confirmed.has(eventId)).length;
    return {
      sent: this.#confirmed.size,
      handled,
      duplicates: calls - this.#handled.size,
      lost: this.missing(deadLettered),
      strange: [...this.#handled.keys()].filter((eventId) => !this.#confirmed.has(eventId)),
    };
  }

  close(): void {
    for (const ledger of [...this.#publisher, ...this.#consumers]) ledger.close();
  }
}
