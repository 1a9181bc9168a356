import type { StreamEntry } from '../transport/transport.ts';
import type { ConsumerContext } from './context.ts';
import type { Desk } from './desk.ts';
import type { Ledger } from './ledger.ts';
import type { Settler } from './settler.ts';

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

  /** A new look for entries to recover begins. */
  beginRecovery(): void {
    this.#recoveredCount = 0;
  }

  /** `touchedAtMs` is when they were asked for, monotonic. */
  takeNew(entries: readonly StreamEntry[], touchedAtMs: number): void {
    this.#take(entries, touchedAtMs, false);
  }

  takeRecovered(entries: readonly StreamEntry[], touchedAtMs: number): void {
    for (const { deliveryCount } of entries) this.#recoveredCount = deliveryCount;
    this.#take(entries, touchedAtMs, true);
  }

  /** Ids that the engine has dropped from the pending list because their entries are gone. */
  takeLost(entryIds: readonly string[], touchedAtMs: number): void {
    const { context, ledger } = this.#options;
    const { stream } = context.options;
    for (const entryId of entryIds) {
      const nothing = { payload: new Uint8Array(0), signature: '', deliveryCount: 1, lost: true };
      const known = ledger.get(entryId);
      if (known !== undefined) known.trimmed = true;
      // What is in a handler, or about to be, still has its bytes.
      if (known !== undefined && known.state !== 'waiting') continue;
      const work =
        known ??
        ledger.enter({ stream, entryId, ...nothing }, touchedAtMs, context.parts.clock.wallMs(), false);
      context.trouble('ESPER_OONA_LOST', 'entry trimmed from its stream before it was handled', { entryId });
      if (work !== undefined) ledger.end(work, 'lost');
    }
  }

  #take(entries: readonly StreamEntry[], touchedAtMs: number, recovered: boolean): void {
    const { context, ledger, desk } = this.#options;
    if (entries.length === 0) return;
    const wallMs = context.parts.clock.wallMs();
    for (const entry of entries) {
      const suspect = recovered && this.#isSuspect(entry.deliveryCount);
      const work = ledger.enter(entry, touchedAtMs, wallMs, suspect);
      if (work !== undefined) desk.add(work);
    }
    desk.serve();
  }

  /** One death may be anybody's fault; where few deliveries are allowed, one must do. */
  #isSuspect(deliveryCount: number): boolean {
    return deliveryCount > Math.min(2, this.#options.context.options.maxDeliveries - 1);
  }
}
