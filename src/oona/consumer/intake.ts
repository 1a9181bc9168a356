import type { StreamEntry } from '../transport/transport.ts';
import type { ConsumerContext } from './context.ts';
import type { Desk } from './desk.ts';
import type { Ledger } from './ledger.ts';
import type { Settler } from './settler.ts';
import type { Arrival } from './work.ts';

/** Entries that wait for a retry or for their settlement, beyond `maxInFlight`; at more nothing new is read. */
const MAX_UNDECIDED = 1024;

export interface IntakeOptions {
  readonly context: ConsumerContext;
  readonly ledger: Ledger;
  readonly desk: Desk;
  readonly settler: Settler;
  readonly isHeld: () => boolean;
}

/** The one way by which entries come in, be they new, claimed or this consumer's own pending ones. */
export class Intake {
  readonly #options: IntakeOptions;
  /** Of the entry recovered last. */
  #recoveredCount = 0;

  constructor(options: IntakeOptions) {
    this.#options = options;
  }

  /** How many entries may be read now. */
  get room(): number {
    const { context, ledger, desk, settler, isHeld } = this.#options;
    if (isHeld() || settler.crowded) return 0;
    const { maxInFlight, batchSize } = context.options;
    if (ledger.size >= maxInFlight + MAX_UNDECIDED) return 0;
    return Math.max(0, Math.min(batchSize, desk.room));
  }

  /**
   * How many may be recovered now. One at first, and one by one while they look as if they ended their consumers: each
   * look raises an entry's delivery count, and what merely lies beside a poisoned one must not be counted out with it.
   */
  get recoveryRoom(): number {
    return this.#recoveredCount === 0 || this.#isSuspect(this.#recoveredCount)
      ? Math.min(1, this.room)
      : this.room;
  }

  /** Whether this consumer has it already. */
  has(entryId: string): boolean {
    return this.#options.ledger.get(entryId) !== undefined;
  }

  /** A new look for entries to recover begins. */
  beginRecovery(): void {
    this.#recoveredCount = 0;
  }

  /** `askedAtMs` is when they were asked for, monotonic. */
  takeNew(entries: readonly StreamEntry[], askedAtMs: number): void {
    this.#take(entries, askedAtMs, false);
  }

  takeRecovered(entries: readonly StreamEntry[], askedAtMs: number): void {
    for (const { deliveryCount } of entries) this.#recoveredCount = deliveryCount;
    this.#take(entries, askedAtMs, true);
  }

  /** Ids that the engine has dropped from the pending list because their entries are gone. */
  takeLost(entryIds: readonly string[], askedAtMs: number): void {
    const { context, ledger } = this.#options;
    const { stream } = context.options;
    if (entryIds.length === 0) return;
    const came = this.#arrival(askedAtMs);
    for (const entryId of entryIds) {
      const nothing = { payload: new Uint8Array(0), signature: '', deliveryCount: 1, lost: true };
      const known = ledger.get(entryId);
      if (known !== undefined) known.trimmed = true;
      // What is in a handler, or about to be, still has its bytes.
      if (known !== undefined && known.state !== 'waiting') continue;
      const work = known ?? ledger.enter({ stream, entryId, ...nothing }, came, false);
      if (known === undefined) ledger.counted(1);
      context.trouble('ESPER_OONA_LOST', 'entry trimmed from its stream before it was handled', { entryId });
      if (work !== undefined) ledger.end(work, 'lost');
    }
  }

  #take(entries: readonly StreamEntry[], askedAtMs: number, recovered: boolean): void {
    const { ledger, desk } = this.#options;
    if (entries.length === 0) return;
    const came = this.#arrival(askedAtMs);
    const before = ledger.size;
    for (const entry of entries) {
      const suspect = recovered && this.#isSuspect(entry.deliveryCount);
      const work = ledger.enter(entry, came, suspect);
      if (work !== undefined) desk.add(work);
    }
    ledger.counted(ledger.size - before);
    desk.serve();
  }

  #arrival(askedAtMs: number): Arrival {
    const { context } = this.#options;
    return { askedAtMs, atMs: context.nowMs(), wallMs: context.parts.clock.wallMs() };
  }

  /** One death may be anybody's fault; where few deliveries are allowed, one must do. */
  #isSuspect(deliveryCount: number): boolean {
    return deliveryCount > Math.min(2, this.#options.context.options.maxDeliveries - 1);
  }
}
