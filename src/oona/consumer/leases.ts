import { Alarm } from './alarm.ts';
import type { ConsumerContext } from './context.ts';
import type { Ledger } from './ledger.ts';
import type { Owners } from './owners.ts';
import type { Work, WorkState } from './work.ts';

/** A look every sixth of a lease at what is older than a sixth: nothing gets older than a third without an extension. */
const PARTS = 6;
const IDS_PER_CALL = 500;

/** Extends the leases of everything this consumer has, however long its handler or its wait for a retry takes. */
export class Leases {
  readonly #context: ConsumerContext;
  readonly #ledger: Ledger;
  readonly #owners: Owners;
  readonly #alarm: Alarm;
  #closed = false;

  constructor(context: ConsumerContext, ledger: Ledger, owners: Owners) {
    this.#context = context;
    this.#ledger = ledger;
    this.#owners = owners;
    this.#alarm = new Alarm(context.parts.clock, () => void this.#extendAll());
  }

  start(): void {
    this.#alarm.wakeBy(this.#context.nowMs() + this.#stepMs);
  }

  close(): void {
    this.#closed = true;
    this.#alarm.close();
  }

  get #stepMs(): number {
    return this.#context.options.leaseMs / PARTS;
  }

  async #extendAll(): Promise<void> {
    const nowMs = this.#context.nowMs();
    const due: Work[] = [];
    for (const work of this.#ledger.works()) {
      if (work.state === 'left') continue;
      if (nowMs - work.touchedAtMs >= this.#stepMs) due.push(work);
    }
    for (let i = 0; i < due.length && !this.#closed; i += IDS_PER_CALL) {
      await this.#extend(due.slice(i, i + IDS_PER_CALL));
    }
    this.start();
  }

  async #extend(works: readonly Work[]): Promise<void> {
    const { parts, call } = this.#context;
    const touchedAtMs = this.#context.nowMs();
    try {
      const owned = new Set(await parts.transport.extendLease(this.#context.owned(works), call));
      for (const work of works) {
        if (!owned.has(work.id)) continue;
        work.touchedAtMs = Math.max(work.touchedAtMs, touchedAtMs);
        work.orphan = false;
      }
      // What is being settled may be gone because it is settled: that answer decides.
      await this.#owners.judge(works.filter(({ id, state }) => !owned.has(id) && isUndecided(state)));
    } catch (error) {
      this.#context.failed('extend leases', error);
    }
  }
}

function isUndecided(state: WorkState): boolean {
  return state !== 'settling' && state !== 'left' && state !== 'gone';
}
