import type { DeliveryHandler } from '../work-types.ts';
import { Alarm } from './alarm.ts';
import { causeCode, errorText } from './cause.ts';
import { observe } from './observe.ts';
import type { HandledObservation } from './observer.ts';
import { openWork, type WorkChecks } from './opened-work.ts';
import { type ClaimParts, isOurs } from './own-event.ts';
import type { SharedGuard } from './replay-guard-shared.ts';
import type { Work } from './work.ts';
import { asDelivery, WorkDelivery } from './work-delivery.ts';

export interface DeskOptions extends ClaimParts {
  readonly handler: DeliveryHandler;
  readonly checks: WorkChecks;
  /** Asked instead of the own one. */
  readonly shared: SharedGuard | undefined;
  /** Paused, or stopping: entries stay in the queue. */
  readonly isHeld: () => boolean;
  /** Called when a place became free. */
  readonly onRoom: () => void;
}

/** An entry that is suspected of ending processes has this long to do it alone, milliseconds. */
const ALONE_MS = 1000;
/** Handlers that have done with a whole batch within this time keep up with reading, milliseconds. */
const QUICK_MS = 10;

/** Hands entries to the handler, at most `maxInFlight` at once, and decides what becomes of each. */
export class Desk {
  readonly #options: DeskOptions;
  readonly #alarm: Alarm;
  readonly #queue: Work[] = [];
  /** Whose handler gave a promise, in the order in which they began, which is that of their time-outs. */
  readonly #running = new Set<Work>();
  /** Its handler has been called and has not returned. */
  #present: Work | undefined;
  #alone: Work | undefined;
  #serving = false;
  /** When the handler before ended, or serving began, monotonic milliseconds. */
  #nowMs = 0;
  /** Since when there has been something to do. */
  #busySinceMs: number | undefined;
  #quick = false;
  #onIdle: (() => void) | undefined;

  constructor(options: DeskOptions) {
    this.#options = options;
    this.#alarm = new Alarm(options.context.parts.clock, () => this.#onAlarm());
  }

  get inFlight(): number {
    return this.#present === undefined ? this.#running.size : this.#running.size + 1;
  }

  /** How many more entries may be read. */
  get room(): number {
    const { context, shared } = this.#options;
    if (this.#alone !== undefined || this.#queue[0]?.suspect === true || shared?.hasSuspect) return 0;
    return context.options.maxInFlight - this.#queue.length - this.inFlight - (shared?.asking ?? 0);
  }

  /** The batch before this one was handled at once: the next may be read before this one is begun. */
  get keepsUp(): boolean {
    return this.#quick && this.#isIdle;
  }

  get #isIdle(): boolean {
    const { shared } = this.#options;
    return this.#queue.length === 0 && this.inFlight === 0 && (shared === undefined || shared.asking === 0);
  }

  /** `serve` begins with what was added. */
  add(work: Work): void {
    work.state = 'queued';
    this.#queue.push(work);
    this.#busySinceMs ??= this.#options.context.nowMs();
  }

  /** What comes back from the shared guard goes before what came later. */
  takeBack(works: readonly Work[]): void {
    this.#queue.unshift(...works);
    if (works.length > 0) this.#busySinceMs ??= this.#options.context.nowMs();
    this.serve();
  }

  serve(): void {
    // A handler that calls pause() or resume() comes back here.
    if (this.#serving) return;
    this.#serving = true;
    this.#nowMs = this.#options.context.nowMs();
    try {
      while (this.#mayBegin()) {
        const work = this.#queue.shift();
        if (work?.state === 'queued') this.#begin(work);
      }
    } finally {
      this.#serving = false;
    }
    this.#options.shared?.send();
    this.#freed();
  }

  /** Resolves when no handler runs. */
  idle(): Promise<void> {
    if (this.inFlight === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onIdle = resolve;
    });
  }

  /** Signals every handler that still runs. What it says afterwards changes nothing; its entry stays pending. */
  abandon(): void {
    this.#alarm.close();
    for (const work of this.#running) {
      work.state = 'left';
      WorkDelivery.abort(work.delivery, new Error('the consumer has stopped, and drainMs has passed'));
    }
    this.#running.clear();
    this.#alone = undefined;
    this.#onIdle?.();
  }

  /** The entry belongs to somebody else now. */
  forget(work: Work): void {
    if (!this.#running.delete(work)) return;
    if (this.#alone === work) this.#alone = undefined;
    this.#freed();
  }

  #mayBegin(): boolean {
    const { context, settler, isHeld } = this.#options;
    const next = this.#queue[0];
    if (next === undefined || this.#alone !== undefined || isHeld()) return false;
    // With a suspect nothing else is at stake: no handler runs, and what was handled has been acknowledged.
    if (next.suspect) return this.#running.size === 0 && !settler.busy;
    return this.#running.size < context.options.maxInFlight;
  }

  #freed(): void {
    if (this.#isIdle) {
      const nowMs = this.#options.context.nowMs();
      if (this.#busySinceMs !== undefined) this.#quick = nowMs - this.#busySinceMs <= QUICK_MS;
      this.#busySinceMs = undefined;
    }
    if (this.inFlight === 0) this.#onIdle?.();
    this.#options.onRoom();
  }

  /** Everything that may be wrong with an entry stays with it. */
  #begin(work: Work): void {
    const { context, settler, shared } = this.#options;
    if (work.cleared && work.delivery !== undefined) {
      work.cleared = false;
      this.#call(work, work.delivery, context.parts.clock.wallMs());
      return;
    }
    if (work.entry.lost) {
      context.trouble('ESPER_OONA_LOST', 'entry trimmed from its stream before it was handled', {
        entryId: work.id,
      });
      settler.acknowledge(work, 'lost');
      return;
    }
    if (work.deliveryCount > context.options.maxDeliveries) {
      const error = `handed out ${work.deliveryCount} times and never decided: it ended its consumers, it seems`;
      settler.deadLetter(work, { code: 'ESPER_OONA_DELIVERIES_EXHAUSTED', error });
      return;
    }
    let delivery: WorkDelivery | undefined;
    const wallMs = context.parts.clock.wallMs();
    try {
      delivery = openWork(work, this.#options.checks, wallMs);
    } catch (error) {
      settler.deadLetter(work, { code: causeCode(error, 'ESPER_OONA_UNREADABLE'), error: errorText(error) });
      return;
    }
    if (delivery === undefined) settler.acknowledge(work, 'skipped');
    else if (shared !== undefined && work.guardKey !== undefined) {
      work.delivery = delivery;
      shared.ask(work);
    } else if (isOurs(work, this.#nowMs, this.#options)) this.#call(work, delivery, wallMs);
  }

  #call(work: Work, delivery: WorkDelivery, wallMs: number): void {
    const { context, handler } = this.#options;
    work.delivery = delivery;
    work.state = 'running';
    work.localWaits = 0;
    work.attempt += 1;
    if (work.suspect) this.#alone = work;
    this.#present = work;
    const startedAtMs = context.nowMs();
    let handled: ReturnType<DeliveryHandler> | undefined;
    let thrown: unknown;
    let threw = false;
    try {
      handled = handler(asDelivery(delivery));
    } catch (error) {
      thrown = error;
      threw = true;
    }
    this.#nowMs = context.nowMs();
    this.#present = undefined;
    work.startedAtMs = startedAtMs;
    if (threw) this.#failed(work, thrown);
    else if (typeof handled === 'object' && typeof handled?.then === 'function') this.#await(work, handled);
    else this.#succeeded(work, this.#nowMs, wallMs + this.#nowMs - startedAtMs);
  }

  #await(work: Work, handled: Promise<void>): void {
    const { context, guard } = this.#options;
    const { attempt, startedAtMs } = work;
    this.#running.add(work);
    if (work.guardKey !== undefined) guard.hold(work.guardKey, work.id);
    // Told apart from a later attempt, which may run when this one ends at last.
    const present = (): boolean => work.attempt === attempt && work.state === 'running';
    handled.then(
      () => {
        if (present()) this.#succeededLater(work);
      },
      (error: unknown) => {
        if (present()) this.#failed(work, error);
        this.serve();
      },
    );
    this.#alarm.wakeBy(startedAtMs + context.options.handlerTimeoutMs);
    if (work.suspect) this.#alarm.wakeBy(startedAtMs + ALONE_MS);
  }

  #succeededLater(work: Work): void {
    const { context } = this.#options;
    this.#succeeded(work, context.nowMs(), context.parts.clock.wallMs());
    if (this.#queue.length > 0) this.serve();
    else this.#freed();
  }

  #succeeded(work: Work, nowMs: number, wallMs: number): void {
    const { context, guard, settler } = this.#options;
    this.#ended(work);
    if (work.guardKey !== undefined) guard.commit(work.guardKey, work.id, nowMs);
    settler.acknowledge(work, 'handled');
    observe(context, work, 'handled', nowMs, wallMs);
  }

  #failed(work: Work, error: unknown): void {
    this.#unsuccessful(work, error, 'failed', 'ESPER_OONA_HANDLER_FAILED');
  }

  #unsuccessful(work: Work, error: unknown, outcome: HandledObservation['outcome'], code: string): void {
    const { context, guard, settler, retrier } = this.#options;
    this.#ended(work);
    if (work.guardKey !== undefined) guard.hold(work.guardKey, work.id);
    context.counters.count('handlerFailures');
    observe(context, work, outcome, context.nowMs(), context.parts.clock.wallMs());
    const retryable = (error as { retryable?: unknown } | null | undefined)?.retryable !== false;
    const { deliveryCount } = work;
    const text = errorText(error);
    context.trouble(causeCode(error, code), `handler ${outcome}: ${text}`, {
      entryId: work.id,
      deliveryCount,
    });
    // What is pending nowhere is not handed out again.
    if (!retryable || work.orphan) {
      settler.deadLetter(work, { code: causeCode(error, code), error: text });
    } else if (deliveryCount >= context.options.maxDeliveries) {
      settler.deadLetter(work, { code: 'ESPER_OONA_DELIVERIES_EXHAUSTED', error: text });
    } else {
      retrier.postpone(work);
    }
  }

  #ended(work: Work): void {
    if (this.#running.size > 0) this.#running.delete(work);
    if (this.#alone === work) this.#alone = undefined;
    // A failure here comes back by a retry of this process: it did not end it.
    work.suspect = false;
  }

  #onAlarm(): void {
    const { context } = this.#options;
    const { handlerTimeoutMs } = context.options;
    const nowMs = context.nowMs();
    for (const work of this.#running) {
      const endsAtMs = work.startedAtMs + handlerTimeoutMs;
      if (endsAtMs > nowMs) {
        this.#alarm.wakeBy(endsAtMs);
        break;
      }
      const error = new Error(`the handler took longer than ${handlerTimeoutMs} ms (handlerTimeoutMs)`);
      WorkDelivery.abort(work.delivery, error);
      this.#unsuccessful(work, error, 'timed-out', 'ESPER_OONA_HANDLER_TIMEOUT');
    }
    const alone = this.#alone;
    if (alone !== undefined) {
      if (nowMs - alone.startedAtMs >= ALONE_MS) this.#alone = undefined;
      else this.#alarm.wakeBy(alone.startedAtMs + ALONE_MS);
    }
    this.serve();
  }
}
