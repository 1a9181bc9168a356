import { errorCode } from '../../core/errors.ts';
import type { PendingRow } from '../transport/pending.ts';
import type { ConsumerContext } from './context.ts';
import type { Ledger } from './ledger.ts';
import type { Work } from './work.ts';

const ROWS_PER_CALL = 500;
const TRIES = 3;

export interface HandoverOptions {
  readonly context: ConsumerContext;
  readonly ledger: Ledger;
  /** Called for each that waits no longer for anything here. */
  readonly onLeft: (work: Work) => void;
}

/**
 * What stop() does with entries that no handler has seen: whoever claims next gets them at once, and as if they had
 * never been handed out, so that clean ends use up no deliveries.
 */
export class Handover {
  readonly #options: HandoverOptions;
  readonly #owed = new Set<Work>();

  constructor(options: HandoverOptions) {
    this.#options = options;
  }

  /** One round trip: the engine has answered by now what it had at hand for a read that was sent before. */
  async look(): Promise<void> {
    await this.#own('0').catch(() => undefined);
  }

  /**
   * Everything that has not begun, and what was handed to this name by reads whose answers never came. `recovered` tells
   * that this process has taken what was left under its name before it began; without that it stays as it is counted.
   */
  async giveBack(recovered: boolean): Promise<void> {
    const { context, ledger, onLeft } = this.#options;
    for (const work of ledger.works()) {
      if (work.state !== 'queued' && !(work.state === 'waiting' && work.local)) continue;
      work.state = 'left';
      this.#owed.add(work);
      onLeft(work);
    }
    for (let failures = 1; failures <= TRIES; failures++) {
      try {
        await this.#giveBackKnown();
        await this.#giveBackUnseen(recovered ? 1 : 0);
        return;
      } catch (error) {
        const code = errorCode(error);
        if (code === 'ESPER_OONA_CLOSED' || code === 'ESPER_OONA_NO_GROUP') return;
        context.failed('give back', error);
        if (failures < TRIES) await context.backOff(failures, new AbortController().signal);
      }
    }
  }

  async #giveBackKnown(): Promise<void> {
    const works = [...this.#owed];
    for (let i = 0; i < works.length; i += ROWS_PER_CALL) {
      const part = works.slice(i, i + ROWS_PER_CALL);
      const rows = part.map(({ id, deliveryCount }) => ({ entryId: id, deliveryCount: deliveryCount - 1 }));
      const owned = await this.#tell(rows);
      for (const work of part) {
        this.#owed.delete(work);
        if (!owned.has(work.id)) this.#options.ledger.notOwned(work);
      }
    }
  }

  /** They are counted as read once the engine has confirmed that they are ours. */
  async #giveBackUnseen(unburnt: number): Promise<void> {
    const { context, ledger } = this.#options;
    const { stream } = context.options;
    for (let afterId = '0'; ; ) {
      const rows = await this.#own(afterId);
      const last = rows.at(-1);
      if (last === undefined) return;
      const unseen = rows.filter(({ entryId }) => ledger.get(entryId) === undefined);
      const owned = await this.#tell(
        unseen.map(({ entryId, deliveryCount }) => ({ entryId, deliveryCount: deliveryCount - unburnt })),
      );
      const nowMs = context.nowMs();
      const came = { askedAtMs: nowMs, atMs: nowMs, wallMs: context.parts.clock.wallMs() };
      for (const { entryId, deliveryCount } of unseen) {
        if (!owned.has(entryId)) continue;
        const entry = { stream, entryId, payload: new Uint8Array(0), signature: '', deliveryCount };
        const work = ledger.enter(entry, came, false);
        if (work === undefined) continue;
        work.state = 'left';
        ledger.counted(1);
      }
      afterId = last.entryId;
    }
  }

  #own(afterId: string): Promise<readonly PendingRow[]> {
    const { parts, options, call } = this.#options.context;
    const { stream, group, consumer } = options;
    return parts.transport.ownPending({ stream, group, consumer, afterId, count: ROWS_PER_CALL }, call);
  }

  async #tell(rows: readonly PendingRow[]): Promise<ReadonlySet<string>> {
    const { parts, options, call } = this.#options.context;
    const { stream, group, consumer } = options;
    const entries = rows.map((row) => ({ ...row, deliveryCount: Math.max(0, row.deliveryCount) }));
    return new Set(await parts.transport.giveBack({ stream, group, consumer, entries }, call));
  }
}
