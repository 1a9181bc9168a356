import type { Acknowledgement, AcknowledgementHolder } from './acknowledgement.ts';
import { Admission } from './admission.ts';
import { Backlog } from './backlog.ts';
import type { QueueLimits, ResolvedBusOptions, ResolvedSubscriptionOptions } from './bus-options.ts';
import type { PipelineError } from './errors.ts';
import { type CallOutcome, type Handler, HandlerCalls } from './handler-calls.ts';
import { limitsOf } from './limits.ts';
import { openReports, type PressureReports, tellFailure } from './pressure-reports.ts';
import { type DropReason, noDrops, type SubscriptionStats } from './subscription-stats.ts';
import { type WaitingPublisher, WaitingPublishers } from './waiting-publishers.ts';

/** Handlers that never wait would keep the event loop from all else: after so many events, one turn of it. */
const EVENTS_PER_TURN = 2048;

export interface QueueParts<T> {
  readonly bus: ResolvedBusOptions;
  readonly options: ResolvedSubscriptionOptions;
  readonly handler: Handler<T>;
}

/** The queue of one subscriber: what comes is received once, and ends once, as delivered or as dropped. */
export class SubscriptionQueue<T> implements AcknowledgementHolder {
  readonly name: string;
  readonly #bus: ResolvedBusOptions;
  readonly #options: ResolvedSubscriptionOptions;
  readonly #concurrency: number;
  readonly #backlog: Backlog<T>;
  readonly #admission: Admission;
  readonly #waiting = new WaitingPublishers<T>();
  readonly #calls: HandlerCalls<T>;
  readonly #reports: PressureReports | undefined;
  readonly #stop = new AbortController();
  readonly #dropped = noDrops();
  readonly #idle = new Set<() => void>();
  #received = 0;
  #delivered = 0;
  #refused = 0;
  #isSaturated = false;
  #isScheduled = false;
  #isDraining = false;
  #sinceTurn = 0;
  readonly #nextTurn = (): void => {
    this.#isScheduled = false;
    this.#sinceTurn = 0;
    this.#drain();
  };

  constructor({ bus, options, handler }: QueueParts<T>) {
    const { clock, errors, reportIntervalMs } = bus;
    this.name = options.name;
    this.#bus = bus;
    this.#options = options;
    this.#concurrency = options.concurrency;
    this.#backlog = new Backlog(limitsOf(options));
    const component = `bus:${bus.name}:sub:${options.name}`;
    const stop = this.#stop.signal;
    this.#calls = new HandlerCalls({
      ...{ name: component, handler, clock, stop },
      ...{ timeoutMs: options.handlerTimeoutMs, maxAbandoned: options.maxAbandoned },
      onEnd: (outcome, size, ack, error) => this.#onEnd(outcome, size, ack, error),
      onReturn: () => this.#drain(),
    });
    this.#admission = new Admission({
      ...{ bus, options, backlog: this.#backlog as Backlog<unknown>, waiting: this.#waiting },
      calls: this.#calls,
    });
    const levels = () => this.#backlog.levels();
    this.#reports = openReports(errors, { component, clock, intervalMs: reportIntervalMs, levels, stop });
  }

  get base(): QueueLimits {
    return this.#admission.base;
  }

  /** Why an event of this size is not taken; undefined when it is, perhaps after a wait. */
  refusal(size: number, ack: Acknowledgement | undefined): PipelineError | undefined {
    const error = this.#admission.refusal(size, ack);
    if (error !== undefined) this.#refused += 1;
    return error;
  }

  /** Is there room for an event of this size, and nobody before it? */
  takes(size: number): boolean {
    const isNext = this.#waiting.size === 0 && !this.#calls.isStuck;
    return isNext && size <= this.#admission.base.maxBytes && this.#backlog.fits(size);
  }

  /** Takes it or drops it by the policy; false when its publisher must wait. Only when refusal() had nothing. */
  offer(event: T, size: number, ack: Acknowledgement | undefined): boolean {
    if (this.takes(size)) {
      this.accept(event, size, ack);
      return true;
    }
    if (this.#admission.blocks()) return false;
    this.#overflow(event, size, ack);
    return true;
  }

  /** Resolves when there was room; rejects with the signal's reason or a PipelineError. */
  wait(event: T, size: number, ack: Acknowledgement | undefined, signal?: AbortSignal): Promise<void> {
    this.#reports?.note('blocked');
    ack?.follow(this);
    return this.#waiting.join({ event, size, ack, signal });
  }

  forget(ack: Acknowledgement): void {
    const error = this.#admission.noRoom('nobody waits for it');
    // More than one where an event was made several.
    while (this.#backlog.remove(ack)) this.#drop('cancelled', ack, error);
    for (let one = this.#waiting.withAcknowledgement(ack); one; one = this.#waiting.withAcknowledgement(ack))
      this.#turnAway(one, error);
    this.#drain();
  }

  /** `base`: its own limits; `effective`: those it keeps to now. What is queued beyond a smaller bound stays. */
  setLimits(base: QueueLimits, effective: QueueLimits): void {
    this.#admission.base = base;
    this.#backlog.limits = effective;
    if (!this.#admission.blocks()) this.#releaseWaiting();
    this.#drain();
  }

  /** Resolves when nothing is queued, or the rest cannot be delivered as the subscriber is stuck. */
  async idle(): Promise<void> {
    while (!this.#isIdle()) await new Promise<void>((resolve) => this.#idle.add(resolve));
  }

  refuseWaiting(error: PipelineError): void {
    for (let one = this.#waiting.first; one !== undefined; one = this.#waiting.first)
      this.#turnAway(one, error);
  }

  /** Ends it at once: what is queued is dropped, calls under way are aborted and given up. */
  end(reason: PipelineError): void {
    this.refuseWaiting(reason);
    while (this.#backlog.length > 0) {
      const ack = this.#backlog.headAcknowledgement();
      this.#backlog.release(this.#backlog.headSize());
      this.#backlog.shift();
      this.#drop('closed', ack, reason);
    }
    this.#calls.giveUp(reason);
    this.#reports?.flush();
    this.#stop.abort();
    this.#drain();
  }

  stats(): SubscriptionStats {
    const { underWay, abandoned } = this.#calls;
    const { length, bytes, limits } = this.#backlog;
    const dropped = Object.values(this.#dropped).reduce((sum, count) => sum + count, 0);
    return Object.freeze({
      name: this.name,
      ...{ received: this.#received, delivered: this.#delivered, dropped },
      droppedFor: Object.freeze({ ...this.#dropped }),
      ...{ queued: length + underWay, underWay, refused: this.#refused, waiting: this.#waiting.size },
      ...{ bytes, abandoned, saturated: this.#isSaturated, ...limits },
    });
  }

  /** Takes it for the handler: now, where nothing is queued before it. Only when takes(). */
  accept(event: T, size: number, ack: Acknowledgement | undefined): void {
    this.#received += 1;
    ack?.hold(this);
    if (this.#backlog.length === 0 && !this.#isDraining && !this.#isScheduled && this.#mayStart()) {
      this.#start(event, size, ack);
      return;
    }
    this.#backlog.push(event, size, ack);
    if (!this.#isSaturated) this.#noteLevel();
  }

  /** Into the handler's hands within publish(): nothing is before it, so it need not be queued nor a turn waited for. */
  #start(event: T, size: number, ack: Acknowledgement | undefined): void {
    this.#backlog.take(size);
    if (size > 0 && !this.#isSaturated) this.#noteLevel();
    this.#sinceTurn += 1;
    this.#isDraining = true;
    this.#handOut(event, size, ack);
    this.#isDraining = false;
    if (this.#backlog.length > 0 || this.#isSaturated || this.#idle.size > 0) this.#drain();
  }

  #overflow(event: T, size: number, ack: Acknowledgement | undefined): void {
    if (this.#admission.canEvictFor(size)) {
      while (!this.#backlog.fits(size)) {
        this.#backlog.evict();
        this.#drop('oldest', undefined);
      }
      this.accept(event, size, ack);
      return;
    }
    this.#received += 1;
    ack?.hold();
    if (this.#calls.isStuck) this.#drop('stuck', ack);
    else this.#drop(this.#backlog.limits.policy === 'block' ? 'slow' : 'newest', ack);
  }

  #drop(reason: DropReason, ack: Acknowledgement | undefined, error?: PipelineError): void {
    this.#dropped[reason] += 1;
    ack?.fail(error ?? this.#admission.noRoom(`dropped: ${reason}`));
    if (reason !== 'cancelled') this.#reports?.note('dropped', reason);
  }

  #mayStart(): boolean {
    if (this.#calls.underWay >= this.#concurrency || this.#calls.isStuck) return false;
    if (this.#sinceTurn < EVENTS_PER_TURN) return true;
    this.#isScheduled = true;
    setImmediate(this.#nextTurn);
    return false;
  }

  /** Hands out what waits and lets publishers in, until there is nothing to hand out or nobody free to take it. */
  #drain(): void {
    if (this.#isDraining || this.#isScheduled) return;
    this.#isDraining = true;
    if (this.#waiting.size > 0) this.#admit();
    while (this.#backlog.length > 0 && this.#mayStart()) {
      this.#sinceTurn += 1;
      const size = this.#backlog.headSize();
      const ack = this.#backlog.headAcknowledgement();
      this.#handOut(this.#backlog.shift(), size, ack);
      if (this.#waiting.size > 0) this.#admit();
    }
    this.#isDraining = false;
    if (this.#isSaturated && !this.#backlog.isAbove(this.#bus.saturationClearRatio))
      this.#isSaturated = false;
    if (this.#idle.size === 0 || !this.#isIdle()) return;
    for (const resolve of this.#idle) resolve();
    this.#idle.clear();
  }

  #handOut(event: T, size: number, ack: Acknowledgement | undefined): void {
    if (!this.#calls.start(event, size, ack)) return;
    this.#backlog.release(size);
    this.#delivered += 1;
    ack?.deliver();
  }

  #onEnd(outcome: CallOutcome, size: number, ack: Acknowledgement | undefined, error: unknown): void {
    this.#backlog.release(size);
    if (outcome === 'delivered') {
      this.#delivered += 1;
      ack?.deliver();
    } else {
      this.#dropped[outcome] += 1;
      ack?.fail(error);
      tellFailure(this.#options.onFailure, this.#reports, outcome, error);
    }
    this.#drain();
  }

  #admit(): void {
    if (this.#calls.isStuck) {
      this.#releaseWaiting();
      return;
    }
    // Not one by one: a publisher that is let in when there is room for many need not wait for each of them.
    if (this.#backlog.length > this.#backlog.limits.bufferSize >> 2) return;
    for (let one = this.#waiting.first; one !== undefined; one = this.#waiting.first) {
      if (!this.#backlog.fits(one.size)) return;
      this.#waiting.leave(one);
      this.accept(one.event, one.size, one.ack);
      one.resolve();
    }
  }

  #turnAway(publisher: WaitingPublisher<T>, error: PipelineError): void {
    this.#refused += 1;
    this.#waiting.leave(publisher);
    publisher.reject(error);
  }

  /** Nobody may wait any longer: dropped by the policy, or refused when somebody waits for the delivery. */
  #releaseWaiting(): void {
    for (let one = this.#waiting.first; one !== undefined; one = this.#waiting.first) {
      const { event, size, ack } = one;
      if (ack !== undefined && !this.#admission.canEvictFor(size)) {
        this.#turnAway(one, this.#admission.noRoom('the buffer is full'));
      } else {
        this.#waiting.leave(one);
        this.#overflow(event, size, ack);
        one.resolve();
      }
    }
  }

  #noteLevel(): void {
    if (!this.#backlog.isAbove(this.#bus.saturationRatio)) return;
    this.#isSaturated = true;
    this.#reports?.note('saturated');
  }

  #isIdle(): boolean {
    if (this.#calls.underWay > 0) return false;
    return this.#calls.isStuck || this.#backlog.length + this.#waiting.size === 0;
  }
}
