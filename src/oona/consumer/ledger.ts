import type { StreamEntry } from '../transport/transport.ts';
import type { AckReason, ConsumerCounters, Ending } from './counters.ts';
import { type Arrival, Work } from './work.ts';
import { WorkDelivery } from './work-delivery.ts';

export interface LedgerOptions {
  readonly counters: ConsumerCounters;
  /** Called once for each entry that leaves by another way than an acknowledgement. */
  readonly onGone: (work: Work) => void;
  /** Called for what leaves with a key of the replay guard that it may still hold. */
  readonly release: (guardKey: string, entryId: string) => void;
}

/**
 * Every entry that was read and is not decided. What comes in is counted once, what goes out is counted once, so
 * read = acknowledged + deadLettered + takenOver + lost + what is in here, at every moment.
 */
export class Ledger {
  readonly #options: LedgerOptions;
  readonly #works = new Map<string, Work>();

  constructor(options: LedgerOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#works.size;
  }

  get(entryId: string): Work | undefined {
    return this.#works.get(entryId);
  }

  works(): Iterable<Work> {
    return this.#works.values();
  }

  /** For how long this consumer has had the one that it has had longest, milliseconds; 0 without any. */
  oldestMs(nowMs: number): number {
    // A Map goes in the order in which they came.
    for (const { came } of this.#works.values()) return Math.max(0, nowMs - came.atMs);
    return 0;
  }

  /**
   * Undefined when the entry is being worked on already. The caller tells `counted` how many it got before anybody
   * else's code runs: one by one would cost more than the rest of this.
   */
  enter(entry: StreamEntry, came: Arrival, suspect: boolean): Work | undefined {
    const known = this.#works.get(entry.entryId);
    if (known !== undefined) {
      known.lookedAt(entry, came.askedAtMs);
      return undefined;
    }
    const work = new Work(entry, came, suspect);
    this.#works.set(entry.entryId, work);
    return work;
  }

  counted(entered: number): void {
    this.#options.counters.count('read', entered);
  }

  /** The engine has confirmed their acknowledgements. */
  acknowledged(works: readonly Work[]): void {
    const { counters } = this.#options;
    const counts: Record<AckReason, number> = { handled: 0, skipped: 0, redelivered: 0, lost: 0 };
    for (const work of works) {
      if (work.state === 'gone') continue;
      this.#remove(work);
      counts[work.reason] += 1;
    }
    const { handled, skipped, redelivered, lost } = counts;
    counters.count('handled', handled);
    counters.count('skipped', skipped);
    counters.count('redelivered', redelivered);
    counters.count('lost', lost);
    counters.count('acknowledged', handled + skipped + redelivered);
  }

  end(work: Work, ending: Exclude<Ending, 'acknowledged'>): void {
    if (work.state === 'gone') return;
    this.#remove(work);
    this.#options.counters.count(ending);
    this.#options.onGone(work);
  }

  /** The engine says that this consumer does not own it any more. */
  notOwned(work: Work): void {
    if (work.state === 'gone') return;
    const reason = new Error('another consumer took this entry over');
    WorkDelivery.abort(work.delivery, reason);
    this.end(work, work.trimmed ? 'lost' : 'takenOver');
  }

  #remove(work: Work): void {
    work.state = 'gone';
    this.#works.delete(work.id);
    if (work.guardKey !== undefined) this.#options.release(work.guardKey, work.id);
  }
}
