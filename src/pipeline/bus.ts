import { OptionError } from '../core/errors.ts';
import { Acknowledgement } from './acknowledgement.ts';
import {
  BUS_OPTIONS,
  type BusOptions,
  type LimitOverride,
  type QueueLimits,
  type ResolvedBusOptions,
  SUBSCRIPTION_OPTIONS,
  type SubscribeOptions,
} from './bus-options.ts';
import { PipelineError } from './errors.ts';
import type { Handler } from './handler-calls.ts';
import { changedLimits, checkedOverride, limitsOf, overridden } from './limits.ts';
import { SubscriptionQueue } from './subscription.ts';
import type { SubscriptionStats } from './subscription-stats.ts';
import { TAKEN } from './taken.ts';
import { abortOf } from './within.ts';

export interface PublishOptions {
  /** Gives up waiting for room. Subscriptions that had room have taken the event by then. */
  readonly signal?: AbortSignal | undefined;
  /** Of the delivery that this event goes on with: it is delivered when this event is, too. */
  readonly acknowledgement?: Acknowledgement | undefined;
}

export interface Subscription {
  readonly name: string;
  stats(): SubscriptionStats;
  /** Changes its own limits for good. Throws OptionError. */
  configure(limits: Partial<QueueLimits>): void;
  /** Takes nothing more, delivers what is queued, then ends. When `signal` aborts, the rest is dropped and counted. */
  close(signal?: AbortSignal): Promise<void>;
}

export interface BusStats {
  readonly name: string;
  /** publish() and deliver() calls that were not refused outright. */
  readonly published: number;
  /** Of those: nobody had subscribed. */
  readonly unheard: number;
  /** Rejected before any subscription had it. */
  readonly refused: number;
  readonly subscriptions: readonly SubscriptionStats[];
}

export interface Bus<in out T> {
  readonly name: string;
  /**
   * Resolves when every subscription has taken the event, or dropped it by its policy; where it must wait for room, so
   * does the publisher. Rejects with the signal's reason, or a PipelineError: CLOSED, TOO_LARGE, REFUSED (too many
   * publishers wait; no subscription has it then).
   */
  publish(event: T, options?: PublishOptions): Promise<void>;
  /**
   * For sources that cannot wait: when every subscription has room, publishes and returns true; else false, and none has
   * the event. It was then neither dropped nor counted: publish() waits, drops, or says why it is refused.
   */
  tryPublish(event: T): boolean;
  /**
   * Resolves when every subscriber's handler has taken it: what an intake answers 200 to. Rejects with a PipelineError
   * when it is not delivered, mostly with `retryAfterMs`: a 503. Never dropped unsaid: refused where there is no room and
   * no waiting. When `signal` aborts, it is let go of where it still waits; a handler that has it runs to its end first,
   * so the answer is true either way. After a handler's time-out alone the outcome may be both: deliver again.
   */
  deliver(event: T, options?: { readonly signal?: AbortSignal | undefined }): Promise<void>;
  /** Throws OptionError, and ESPER_PIPELINE_CLOSED. */
  subscribe(handler: Handler<T>, options: SubscribeOptions): Subscription;
  /** Changes the limits of all subscriptions, and of those to come, for good. Throws OptionError. */
  configure(limits: Partial<QueueLimits>): void;
  /** Changes the limits until the returned function is called, which restores them exactly. Throws OptionError. */
  override(override: LimitOverride): () => void;
  stats(): BusStats;
  /**
   * Refuses what comes and what waits for room, delivers what is queued, then ends. When `signal` aborts, the rest is
   * dropped and counted, and calls under way are aborted. Never rejects.
   */
  close(signal?: AbortSignal): Promise<void>;
}

class InProcessBus<T> implements Bus<T> {
  readonly name: string;
  readonly #options: ResolvedBusOptions;
  readonly #sizeOf: (event: T) => number;
  readonly #overrides = new Set<LimitOverride>();
  #queues: readonly SubscriptionQueue<T>[] = [];
  /** Closed by themselves, and not at their end yet. */
  readonly #ending = new Set<SubscriptionQueue<T>>();
  #limits: QueueLimits;
  #closing: Promise<void> | undefined;
  #published = 0;
  #unheard = 0;
  #refused = 0;

  constructor(given: BusOptions<T>) {
    const options = BUS_OPTIONS.resolve(given as Partial<ResolvedBusOptions>);
    if (options.saturationClearRatio > options.saturationRatio) {
      throw new OptionError('createBus: saturationClearRatio must not be above saturationRatio');
    }
    this.name = options.name;
    this.#options = options;
    this.#sizeOf = options.sizeOf as (event: T) => number;
    this.#limits = limitsOf(options);
  }

  publish(event: T, options?: PublishOptions): Promise<void> {
    const queues = this.#queues;
    const size = this.#sizeFor(event);
    const only = queues.length === 1 ? queues[0] : undefined;
    if (options === undefined && only !== undefined && this.#closing === undefined) {
      // The usual case by the shortest way; whatever is in its way takes the other.
      if (typeof size === 'number' && only.takes(size)) {
        only.accept(event, size, undefined);
        this.#published += 1;
        return TAKEN;
      }
    }
    const ack = options?.acknowledgement;
    const error = typeof size === 'number' ? this.#refusal(queues, size, ack, options?.signal) : size;
    if (error !== undefined) {
      this.#refused += 1;
      return Promise.reject(error);
    }
    this.#published += 1;
    if (queues.length === 0) this.#unheard += 1;
    let full: SubscriptionQueue<T>[] | undefined;
    for (const queue of queues) {
      if (queue.offer(event, size as number, ack)) continue;
      if (full === undefined) full = [queue];
      else full.push(queue);
    }
    if (full === undefined) return TAKEN;
    const waits = full.map((queue) => queue.wait(event, size as number, ack, options?.signal));
    const taken = waits.length === 1 ? (waits[0] as Promise<void>) : Promise.all(waits).then(() => undefined);
    // Also where the handler that hands it on does not wait: it is not delivered before it is taken.
    return ack === undefined ? taken : ack.heldWhile(taken);
  }

  tryPublish(event: T): boolean {
    const queues = this.#queues;
    const size = this.#sizeFor(event);
    if (this.#closing !== undefined || typeof size !== 'number') return false;
    for (const queue of queues) if (!queue.takes(size)) return false;
    for (const queue of queues) queue.accept(event, size, undefined);
    if (queues.length === 0) this.#unheard += 1;
    this.#published += 1;
    return true;
  }

  deliver(event: T, options: { readonly signal?: AbortSignal | undefined } = {}): Promise<void> {
    const { signal } = options;
    const ack = new Acknowledgement(this.#options.retryAfterMs);
    const cancel = (): void => ack.cancel();
    const stopListening = (): void => signal?.removeEventListener('abort', cancel);
    // The publisher's own hold: it does not settle before every queue was asked.
    ack.hold();
    this.publish(event, { signal, acknowledgement: ack }).then(
      () => ack.deliver(),
      (error: unknown) => ack.fail(error),
    );
    signal?.addEventListener('abort', cancel, { once: true });
    ack.settled.then(stopListening, stopListening);
    return ack.settled;
  }

  subscribe(handler: Handler<T>, given: SubscribeOptions): Subscription {
    if (typeof handler !== 'function') throw new OptionError('subscribe: the handler must be a function');
    if (this.#closing !== undefined) throw this.#closed();
    const defaults = { ...this.#limits, maxWaiting: this.#options.maxWaiting };
    const options = SUBSCRIPTION_OPTIONS.resolve(given, { defaults });
    if (this.#queues.some(({ name }) => name === options.name)) {
      throw new OptionError(`subscribe: bus ${this.name} has a subscription ${options.name} already`);
    }
    const queue = new SubscriptionQueue({ bus: this.#options, options, handler });
    this.#relimit(queue, queue.base);
    // A new array: a publish that is under way goes on with its own.
    this.#queues = [...this.#queues, queue];
    return {
      name: options.name,
      stats: () => queue.stats(),
      configure: (limits) => this.#relimit(queue, changedLimits(queue.base, limits)),
      close: (signal) => this.#end(queue, signal),
    };
  }

  configure(limits: Partial<QueueLimits>): void {
    this.#limits = changedLimits(this.#limits, limits);
    for (const queue of this.#queues) this.#relimit(queue, changedLimits(queue.base, limits));
  }

  override(given: LimitOverride): () => void {
    const override = checkedOverride(given);
    const change = (): void => {
      for (const queue of this.#queues) this.#relimit(queue, queue.base);
    };
    this.#overrides.add(override);
    change();
    return () => {
      if (this.#overrides.delete(override)) change();
    };
  }

  stats(): BusStats {
    return Object.freeze({
      ...{ name: this.name, published: this.#published, unheard: this.#unheard, refused: this.#refused },
      subscriptions: Object.freeze(this.#queues.map((queue) => queue.stats())),
    });
  }

  close(signal?: AbortSignal): Promise<void> {
    this.#closing ??= this.#close(signal);
    return this.#closing;
  }

  async #close(signal: AbortSignal | undefined): Promise<void> {
    // One turn later, so that #closing is set and a publisher that is refused here sees a closed bus.
    await Promise.resolve();
    for (const queue of this.#queues) queue.refuseWaiting(this.#closed());
    const all = [...this.#queues, ...this.#ending];
    await Promise.all(all.map((queue) => this.#finish(queue, signal)));
  }

  async #end(queue: SubscriptionQueue<T>, signal: AbortSignal | undefined): Promise<void> {
    this.#queues = this.#queues.filter((one) => one !== queue);
    this.#ending.add(queue);
    queue.refuseWaiting(this.#closed());
    await this.#finish(queue, signal);
    this.#ending.delete(queue);
  }

  async #finish(queue: SubscriptionQueue<T>, signal: AbortSignal | undefined): Promise<void> {
    const aborted = signal === undefined ? undefined : abortOf(signal);
    await Promise.race(aborted === undefined ? [queue.idle()] : [queue.idle(), aborted.promise]);
    aborted?.forget();
    queue.end(this.#closed());
  }

  #relimit(queue: SubscriptionQueue<T>, base: QueueLimits): void {
    queue.setLimits(base, overridden(base, this.#overrides));
  }

  #sizeFor(event: T): number | PipelineError {
    let size: unknown;
    let cause: unknown;
    try {
      size = this.#sizeOf(event);
    } catch (thrown) {
      cause = thrown;
    }
    if (typeof size === 'number' && size >= 0 && size <= Number.MAX_SAFE_INTEGER) {
      // Sums of fractions do not come back to 0: an event as large as the bound would wait for ever.
      return Math.ceil(size);
    }
    const text = `bus ${this.name}: sizeOf did not tell how many bytes the event has`;
    return new PipelineError('ESPER_PIPELINE_TOO_LARGE', text, { cause });
  }

  /** First asked of all, then given to all: refused means that nobody has it. */
  #refusal(
    queues: readonly SubscriptionQueue<T>[],
    size: number,
    ack: Acknowledgement | undefined,
    signal: AbortSignal | undefined,
  ): unknown {
    if (this.#closing !== undefined) return this.#closed();
    if (signal?.aborted === true) return signal.reason;
    for (const queue of queues) {
      const error = queue.refusal(size, ack);
      if (error !== undefined) return error;
    }
    if (queues.length > 0 || ack === undefined) return undefined;
    const { retryAfterMs } = this.#options;
    const text = `bus ${this.name}: nobody has subscribed`;
    return new PipelineError('ESPER_PIPELINE_NO_SUBSCRIBER', text, { retryAfterMs });
  }

  #closed(): PipelineError {
    const { retryAfterMs } = this.#options;
    return new PipelineError('ESPER_PIPELINE_CLOSED', `bus ${this.name} is closed`, { retryAfterMs });
  }
}

/** A bounded bus inside this process; every subscription has its own queue. Throws OptionError. */
export function createBus<T>(options: BusOptions<T>): Bus<T> {
  return new InProcessBus<T>(options);
}
