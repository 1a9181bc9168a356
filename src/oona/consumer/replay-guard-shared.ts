import { hash } from 'node:crypto';
import type { Reservation } from '../transport/guard.ts';
import type { ConsumerContext } from './context.ts';
import { type DecisionParts, decide } from './own-event.ts';
import type { Work } from './work.ts';

export interface SharedGuardOptions extends DecisionParts {
  readonly context: ConsumerContext;
  /** Ends the waits for an engine that does not answer. */
  readonly stopping: AbortSignal;
  /** Gets what may be handled (`cleared`), and what must be looked at and asked for again. */
  readonly onAnswered: (works: readonly Work[]) => void;
}

const EVENTS_PER_CALL = 500;
/** The engine keeps keys as they are, for whoever looks there, but for these, which would cost it too much. */
const LONG_KEY = 128;

/**
 * The replay guard that all consumers of the group share: the engine knows which events were handled, and which entry
 * has an event now. What was read goes there in one call before any handler sees it, and comes back from there; what was
 * handled is told with its acknowledgement, in the same step (Settler).
 *
 * Nothing is let through that the engine has not cleared. While it does not answer, or has no room, entries wait, pending,
 * with their leases kept, and nothing more is read than there is room for; each time they are asked for again their age
 * is looked at again, so that none outwaits what the engine remembers.
 */
export class SharedGuard {
  readonly #options: SharedGuardOptions;
  #next: Work[] = [];
  readonly #unanswered: Work[] = [];
  #asking = 0;
  #suspects = 0;
  #failures = 0;

  constructor(options: SharedGuardOptions) {
    this.#options = options;
  }

  /** Entries that wait for an answer. */
  get asking(): number {
    return this.#asking;
  }

  /** One of them may have ended other processes: nothing is to be read beside it. */
  get hasSuspect(): boolean {
    return this.#suspects > 0;
  }

  /** Of a work with a guard key. `send` begins. */
  ask(work: Work): void {
    const { guardKey: key = '' } = work;
    work.sharedKey = key.length > LONG_KEY ? `\u0000sha256:${hash('sha256', key, 'base64url')}` : key;
    // Not one of this process's own guard.
    work.guardKey = undefined;
    this.#asking += 1;
    if (work.suspect) this.#suspects += 1;
    this.#next.push(work);
  }

  send(): void {
    while (this.#next.length > 0) void this.#ask(this.#next.splice(0, EVENTS_PER_CALL));
  }

  async #ask(works: readonly Work[]): Promise<void> {
    const answers = await this.#reserve(works);
    if (answers === undefined) await this.#askLater(works);
    else this.#answered(works, answers);
  }

  /** What came in many small batches comes back in one: while the engine is away there is one wait, not one for each. */
  async #askLater(works: readonly Work[]): Promise<void> {
    this.#unanswered.push(...works);
    if (this.#unanswered.length > works.length) return;
    const { context, stopping } = this.#options;
    await context.backOff(++this.#failures, stopping);
    this.#answered(this.#unanswered.splice(0), []);
  }

  #answered(works: readonly Work[], answers: readonly Reservation[]): void {
    const back: Work[] = [];
    for (const [i, work] of works.entries()) {
      this.#asking -= 1;
      if (work.suspect) this.#suspects -= 1;
      // Meanwhile stop() or a lost lease may have taken it from here.
      if (work.state !== 'queued') continue;
      const answer = answers[i];
      work.cleared = answer === 'new';
      if (answer === undefined) work.accepted = false;
      if (answer === undefined || decide(work, answer, this.#options)) back.push(work);
    }
    this.#options.onAnswered(back);
  }

  /** Undefined when there was no answer. */
  async #reserve(works: readonly Work[]): Promise<readonly Reservation[] | undefined> {
    const { context, stopping } = this.#options;
    const { parts, options, call, guardWindowMs: windowMs } = context;
    const events = works.map(({ id: entryId, sharedKey: key = '' }) => ({ entryId, key }));
    const { stream, group } = options;
    try {
      const answers = await parts.transport.reserve({ stream, group, windowMs, events }, call);
      this.#failures = 0;
      return answers;
    } catch (error) {
      if (!stopping.aborted) context.failed('reserve events', error);
      return undefined;
    }
  }
}
