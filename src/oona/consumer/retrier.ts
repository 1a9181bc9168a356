import { backoffDelayMs } from '../../core/backoff.ts';
import { Alarm } from './alarm.ts';
import type { ConsumerContext } from './context.ts';
import type { Owners } from './owners.ts';
import type { Work } from './work.ts';

export interface RetrierOptions {
  readonly context: ConsumerContext;
  readonly owners: Owners;
  readonly isHeld: () => boolean;
  /** How many entries the desk takes now. */
  readonly room: () => number;
  /** Hands them to the desk. */
  readonly onDue: (works: readonly Work[]) => void;
}

/** Entries that wait in the pending list for another try: for their next delivery, or for something of this process. */
export class Retrier {
  readonly #options: RetrierOptions;
  readonly #alarm: Alarm;
  readonly #waiting = new Set<Work>();
  #asking = false;
  #redelivering = Promise.resolve();
  /** Something is due that found no place. */
  #starved = false;
  #closed = false;

  constructor(options: RetrierOptions) {
    this.#options = options;
    this.#alarm = new Alarm(options.context.parts.clock, () => this.check());
  }

  get size(): number {
    return this.#waiting.size;
  }

  /** After a failure of its handler. By the engine's count, so that a restart does not begin again at once. */
  postpone(work: Work): void {
    work.dropPayload();
    work.local = false;
    this.#wait(work, work.deliveryCount - 1);
  }

  /** It must wait, and nothing has failed: no delivery more. */
  waitHere(work: Work): void {
    work.local = true;
    this.#wait(work, work.localWaits++);
  }

  /** The entry has left. */
  forget(work: Work): void {
    this.#waiting.delete(work);
  }

  /** A place is free. */
  onRoom(): void {
    if (this.#starved) this.check();
  }

  /** Looks for what is due. */
  check(): void {
    const { context, isHeld, room, onDue } = this.#options;
    if (this.#closed || this.#waiting.size === 0) return;
    this.#starved = isHeld();
    if (this.#starved) return;
    const nowMs = context.nowMs();
    let places = Math.min(room(), context.options.batchSize);
    const here: Work[] = [];
    const again: Work[] = [];
    for (const work of this.#waiting) {
      if (work.dueAtMs > nowMs || (!work.local && this.#asking)) continue;
      if (places <= 0) {
        this.#starved = true;
        break;
      }
      places -= 1;
      (work.local ? here : again).push(work);
    }
    for (const work of here) this.#waiting.delete(work);
    if (again.length > 0) this.#redelivering = this.#redeliver(again);
    this.#wakeForNext(nowMs);
    if (here.length > 0) onDue(here);
  }

  /** Resolves once the answer under way is in. */
  settled(): Promise<void> {
    return this.#redelivering;
  }

  close(): void {
    this.#closed = true;
    this.#alarm.close();
  }

  #wait(work: Work, attempt: number): void {
    const { context } = this.#options;
    work.state = 'waiting';
    const delayMs = backoffDelayMs(attempt, context.options.retry, context.parts.random);
    work.dueAtMs = context.nowMs() + Math.max(1, delayMs);
    this.#waiting.add(work);
    this.#alarm.wakeBy(work.dueAtMs);
  }

  /** What is due already waits for a place or for the answer under way: both come back here. */
  #wakeForNext(nowMs: number): void {
    let nextMs = Number.POSITIVE_INFINITY;
    for (const { dueAtMs } of this.#waiting) if (dueAtMs > nowMs) nextMs = Math.min(nextMs, dueAtMs);
    if (nextMs !== Number.POSITIVE_INFINITY) this.#alarm.wakeBy(nextMs);
  }

  async #redeliver(works: readonly Work[]): Promise<void> {
    const { context, owners, onDue } = this.#options;
    this.#asking = true;
    const touchedAtMs = context.nowMs();
    try {
      const request = context.owned(works);
      const entries = await context.parts.transport.redeliver(request, context.call);
      const byId = new Map(entries.map((entry) => [entry.entryId, entry]));
      const due: Work[] = [];
      const missing: Work[] = [];
      for (const work of works) {
        // Meanwhile stop() or a lost lease may have taken it from here.
        if (work.state !== 'waiting') continue;
        const entry = byId.get(work.id);
        if (entry === undefined) {
          missing.push(work);
          continue;
        }
        this.#waiting.delete(work);
        work.entry = entry;
        work.touchedAtMs = touchedAtMs;
        due.push(work);
      }
      if (due.length > 0) onDue(due);
      await owners.judge(missing);
    } catch (error) {
      context.failed('redeliver', error);
    }
    this.#asking = false;
    for (const work of works) {
      if (work.state === 'waiting' && work.dueAtMs <= touchedAtMs) this.#wait(work, ++work.localWaits);
    }
    this.check();
  }
}
