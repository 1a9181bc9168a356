import type { StreamEntry } from '../transport/transport.ts';
import type { ConsumerCounters, Ending } from './counters.ts';
import { Work } from './work.ts';

/** How an entry came. Whoever died of an entry leaves it to a claim, or to the next start under the same name. */
export type Source = 'new' | 'recovered';

export interface LedgerOptions {
  readonly counters: ConsumerCounters;
  /** Called once for each entry that leaves, whatever the way. */
  readonly onEnd: (work: Work, ending: Ending) => void;
}

/**
 * Every entry that was read and is not decided. What comes in is counted once, what goes out is counted once, so
 * read = acknowledged + deadLettered + takenOver + lost + requeued + what is in here, at every moment.
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

  /** Undefined when the entry is being worked on already. Times as in Work. */
  enter(entry: StreamEntry, touchedAtMs: number, wallMs: number, suspect: boolean): Work | undefined {
    const known = this.#works.get(entry.entryId);
    if (known !== undefined) {
      known.lookedAt(entry, touchedAtMs);
      return undefined;
    }
    const work = new Work(entry, touchedAtMs, wallMs, suspect);
    this.#works.set(entry.entryId, work);
    this.#options.counters.count('read');
    return work;
  }

  end(work: Work, ending: Ending): void {
    if (work.state === 'gone') return;
    work.state = 'gone';
    this.#works.delete(work.id);
    this.#options.counters.count(ending);
    this.#options.onEnd(work, ending);
  }

  /** The engine says that this consumer does not own it any more. */
  notOwned(work: Work): void {
    if (work.state === 'gone') return;
    const reason = new Error('another consumer took this entry over, or its stream is gone');
    work.cancel?.abort(reason);
    this.end(work, work.trimmed ? 'lost' : 'takenOver');
  }
}
