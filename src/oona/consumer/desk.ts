import type { Delivery, DeliveryHandler } from '../work-types.ts';
import { Alarm } from './alarm.ts';
import { Cancel } from './cancel.ts';
import type { ConsumerContext } from './context.ts';
import { causeCode, errorText } from './dead-letter-fields.ts';
import { observe } from './observe.ts';
import type { HandledObservation } from './observer.ts';
import { deliveryOf, type OpenedWork, openWork, type WorkChecks } from './opened-work.ts';
import type { ReplayGuard } from './replay-guard.ts';
import type { Retrier } from './retrier.ts';
import type { Settler } from './settler.ts';
import type { Work } from './work.ts';

export interface DeskOptions {
  readonly context: ConsumerContext;
  readonly handler: DeliveryHandler;
  readonly checks: WorkChecks;
  readonly guard: ReplayGuard;
  readonly settler: Settler;
  readonly retrier: Retrier;
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
  /** In the order in which they began, which is that of their time-outs. */
  readonly #running = new Set<Work>();
  #alone: Work | undefined;
  #serving = false;
  /** Since when there has been something to do. */
  #busySinceMs: number | undefined;
  #quick = false;
  #onIdle: (() => void) | undefined;

  constructor(options: DeskOptions) {
    this.#options = options;
    this.#alarm = new Alarm(options.context.parts.clock, () => this.#onAlarm());
  }

  get inFlight(): number {
    return this.#running.size;
  }

  /** How many more entries may be read. */
  get room(): number {
    if (this.#alone !== undefined || this.#queue[0]?.suspect === true) return 0;
    return this.#options.context.options.maxInFlight - this.#queue.length - this.#running.size;
  }

  /** The batch before this one was handled at once: the next may be read before this one is begun. */
  get keepsUp(): boolean {
    return this.#quick && this.#queue.length === 0 && this.#running.size === 0;
  }

  /** `serve` begins with what was added. */
  add(work: Work): void {
    work.state = 'queued';
    this.#queue.push(work);
    this.#busySinceMs ??= this.#options.context.nowMs();
  }

  serve(): void {
    // A handler that calls pause() or resume() comes back here.
    if (this.#serving) return;
    this.#serving = true;
    try {
      while (this.#mayBegin()) {
        const work = this.#queue.shift();
        if (work?.state === 'queued') this.#begin(work);
      }
    } finally {
      this.#serving = false;
    }
    this.#freed();
  }

  /** Resolves when no handler runs. */
  idle(): Promise<void> {
    if (this.#running.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onIdle = resolve;
    });
  }

  /** Signals every handler that still runs. What it says afterwards changes nothing; its entry stays pending. */
  abandon(): void {
    this.#alarm.close();
    for (const work of this.#running) {
      work.state = 'left';
      work.cancel?.abort(new Error('the consumer has stopped, and drainMs has passed'));
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
    if (this.#queue.length === 0 && this.#running.size === 0) {
      const nowMs = this.#options.context.nowMs();
      if (this.#busySinceMs !== undefined) this.#quick = nowMs - this.#busySinceMs <= QUICK_MS;
      this.#busySinceMs = undefined;
      this.#onIdle?.();
    }
    this.#options.onRoom();
  }

  /** Everything that may be wrong with an entry stays with it. */
  #begin(work: Work): void {
    const { context, settler } = this.#options;
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
    let opened: OpenedWork | undefined;
    try {
      opened = openWork(work, this.#options.checks, context.parts.clock.wallMs());
    } catch (error) {
      settler.deadLetter(work, { code: causeCode(error, 'ESPER_OONA_UNREADABLE'), error: errorText(error) });
      return;
    }
    if (opened === undefined) {
      settler.acknowledge(work, 'skipped');
      return;
    }
    const nowMs = context.nowMs();
    if (this.#isOurs(work, nowMs)) this.#call(work, opened, nowMs);
  }

  #isOurs(work: Work, nowMs: number): boolean {
    const { context, guard, settler, retrier } = this.#options;
    if (work.guardKey === undefined) return true;
    const verdict = guard.begin(work.guardKey, work.id, nowMs);
    if (verdict === 'new') return true;
    if (verdict === 'redelivery') {
      settler.acknowledge(work, 'redelivered');
    } else if (verdict === 'replay') {
      const error = `event ${work.eventId} was handled already, under another entry id`;
      settler.deadLetter(work, { code: 'ESPER_OONA_REPLAYED', error });
    } else {
      if (verdict === 'full') {
        const text = `replay guard holds ${guard.size} keys (replayCapacity): entries wait for older keys to expire`;
        context.trouble('ESPER_OONA_REPLAY_GUARD_FULL', text);
      }
      retrier.waitHere(work);
    }
    return false;
  }

  #call(work: Work, opened: OpenedWork, nowMs: number): void {
    const { context, handler } = this.#options;
    const cancel = new Cancel();
    const delivery = deliveryOf(opened, work, cancel);
    work.cancel = cancel;
    work.state = 'running';
    work.localWaits = 0;
    work.startedAtMs = nowMs;
    const attempt = ++work.attempt;
    this.#running.add(work);
    if (work.suspect) this.#alone = work;
    const handled = this.#tryHandler(handler, delivery, work);
    if (handled === undefined) return;
    // Told apart from a later attempt, which may run when this one ends at last.
    const present = (): boolean => work.attempt === attempt && work.state === 'running';
    handled.then(
      () => {
        if (present()) this.#succeeded(work, true);
      },
      (error: unknown) => {
        if (present()) this.#failed(work, error);
        this.serve();
      },
    );
    this.#alarm.wakeBy(work.startedAtMs + context.options.handlerTimeoutMs);
    if (work.suspect) this.#alarm.wakeBy(work.startedAtMs + ALONE_MS);
  }

  /** Undefined when the handler is through. */
  #tryHandler(handler: DeliveryHandler, delivery: Delivery, work: Work): Promise<void> | undefined {
    let handled: Promise<void> | void;
    try {
      handled = handler(delivery);
    } catch (error) {
      if (work.state === 'running') this.#failed(work, error);
      return undefined;
    }
    if (typeof handled === 'object' && typeof handled?.then === 'function') return handled;
    if (work.state === 'running') this.#succeeded(work, false);
    return undefined;
  }

  #succeeded(work: Work, later: boolean): void {
    const { context, guard, settler } = this.#options;
    const nowMs = context.nowMs();
    this.#ended(work);
    if (work.guardKey !== undefined) guard.commit(work.guardKey, work.id, nowMs);
    settler.acknowledge(work, 'handled');
    observe(context, work, 'handled', nowMs);
    if (!later) return;
    if (this.#queue.length > 0) this.serve();
    else this.#freed();
  }

  #failed(work: Work, error: unknown): void {
    this.#unsuccessful(work, error, 'failed', 'ESPER_OONA_HANDLER_FAILED');
  }

  #unsuccessful(work: Work, error: unknown, outcome: HandledObservation['outcome'], code: string): void {
    const { context, settler, retrier } = this.#options;
    this.#ended(work);
    context.counters.count('handlerFailures');
    observe(context, work, outcome, context.nowMs());
    const retryable = (error as { retryable?: unknown } | null | undefined)?.retryable !== false;
    const { deliveryCount } = work;
    const text = errorText(error);
    context.trouble(causeCode(error, code), `handler ${outcome}: ${text}`, {
      entryId: work.id,
      deliveryCount,
    });
    if (!retryable) {
      settler.deadLetter(work, { code: causeCode(error, code), error: text });
    } else if (deliveryCount >= context.options.maxDeliveries) {
      settler.deadLetter(work, { code: 'ESPER_OONA_DELIVERIES_EXHAUSTED', error: text });
    } else {
      retrier.postpone(work);
    }
  }

  #ended(work: Work): void {
    this.#running.delete(work);
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
      work.cancel?.abort(error);
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
