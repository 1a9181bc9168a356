import type { ConsumerContext } from './context.ts';
import type { Ledger } from './ledger.ts';
import type { Work } from './work.ts';

/**
 * Tells what another consumer has from what nobody has: after FLUSHALL, a removed group or a failover an entry is pending
 * nowhere, and its handler is then the only one who can still do its work.
 */
export class Owners {
  readonly #context: ConsumerContext;
  readonly #ledger: Ledger;

  constructor(context: ConsumerContext, ledger: Ledger) {
    this.#context = context;
    this.#ledger = ledger;
  }

  /** What becomes of entries that the engine says are not owned here. Rejects where the engine does. */
  async judge(works: readonly Work[]): Promise<void> {
    if (works.length === 0) return;
    const { parts, options, call } = this.#context;
    const { stream, group, consumer } = options;
    const ids = works.map(({ id }) => id);
    const owners = await parts.transport.ownersOf(stream, group, ids, call);
    for (const work of works) {
      const owner = owners.get(work.id);
      if (owner === undefined) this.#nobodyHas(work);
      else if (owner !== consumer) this.#ledger.notOwned(work);
    }
  }

  #nobodyHas(work: Work): void {
    if (work.state === 'gone') return;
    work.orphan = true;
    // Its bytes were in the engine only.
    if (work.state !== 'waiting' || work.local) return;
    this.#context.trouble('ESPER_OONA_LOST', 'entry gone from its group before it was tried again', {
      entryId: work.id,
    });
    this.#ledger.end(work, 'lost');
  }
}
