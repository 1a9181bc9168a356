import { setMaxListeners } from 'node:events';
import { CircuitBreaker } from '../core/circuit-breaker.ts';
import { OptionError } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import { RateLimiter } from '../faults/rate-limiter.ts';
import type { Rate } from '../faults/rate-limiter-options.ts';
import type { Bus, PublishOptions } from './bus.ts';
import { PipelineError, retryAfterOf } from './errors.ts';
import {
  ADAPTER_OPTIONS,
  type AdapterOptions,
  type ResolvedAdapterOptions,
  startBreakerOptions,
} from './part-options.ts';
import { type FirstFailure, type PartContext, type PartStats, SupervisedPart } from './supervised-part.ts';
import { TAKEN } from './taken.ts';

/** What an adapter gets for one run; after the run it refuses everything. */
export interface AdapterContext<T> {
  /** As Bus.publish; waits for the rate limit too. */
  publish(event: T, options?: Pick<PublishOptions, 'signal'>): Promise<void>;
  /** As Bus.deliver, over all that the engine does with the event: resolved means that every emitter has taken it. */
  deliver(event: T, options?: Pick<PublishOptions, 'signal'>): Promise<void>;
  /** Says that the run broke down after its start: it is stopped and started again. */
  fail(error: unknown): void;
  /** Aborted when the run ends, or its start takes too long. */
  readonly signal: AbortSignal;
  readonly logger: Logger;
}

/** A source of events. */
export interface Adapter<T> {
  /** 1-64 letters, digits, _ . - */
  readonly name: string;
  /** Resolves when it takes events in; rejects when it cannot. */
  start(context: AdapterContext<T>): void | Promise<void>;
  /** Takes nothing in any more; resolves when what it had begun has been answered. Called after a failed start, too. */
  stop?(signal: AbortSignal): void | Promise<void>;
}

export interface AdapterStats extends PartStats {
  /** Events that the bus took. */
  readonly accepted: number;
  /** publish() and deliver() that rejected: `accepted + refused` is all that came, but for what still waits. */
  readonly refused: number;
  /** Of those: came after the run had ended. */
  readonly afterStop: number;
  /** What it may take in now, degraded or not; undefined where nothing limits it. */
  readonly rate: Rate | undefined;
}

/** No limit of its own: what a limiter has when only degradation limits it. */
const UNLIMITED: Rate = Object.freeze({ ratePerSecond: 1e12, burst: 1e12 });

export const isPartName = (name: unknown): name is string =>
  typeof name === 'string' && /^[\w.-]{1,64}$/.test(name);

/** An adapter of an engine: supervised, behind a breaker and a rate limit. */
export class AdapterPart<T> {
  readonly name: string;
  readonly options: ResolvedAdapterOptions;
  readonly #adapter: Adapter<T>;
  readonly #bus: Bus<T>;
  readonly #context: PartContext;
  readonly #part: SupervisedPart;
  readonly #limiter: RateLimiter;
  #limits = 0;
  #run = new AbortController();
  #accepted = 0;
  #refused = 0;
  #afterStop = 0;

  /** Throws OptionError. */
  constructor(adapter: Adapter<T>, given: AdapterOptions, bus: Bus<T>, context: PartContext) {
    if (!isPartName(adapter?.name) || typeof adapter.start !== 'function') {
      throw new OptionError('adapter: needs a name (1-64 letters, digits, _ . -) and the method start');
    }
    this.name = adapter.name;
    this.options = ADAPTER_OPTIONS.resolve(given);
    this.#adapter = adapter;
    this.#bus = bus;
    this.#context = context;
    const { rate } = this.options;
    const { clock, logger } = context;
    this.#limiter = new RateLimiter({ name: `adapter ${this.name}`, clock }, rate ?? UNLIMITED);
    if (rate !== undefined) this.#limits = 1;
    const name = `adapter ${this.name}`;
    this.#part = new SupervisedPart({
      ...{ kind: 'adapter', name: this.name, options: this.options, context, succeedsAtStart: false },
      breaker: new CircuitBreaker(
        { name, clock, logger },
        startBreakerOptions(this.options, this.options.breaker),
      ),
      start: (signal, fail) => this.#start(signal, fail),
      stop: (signal) => this.#stop(signal),
    });
  }

  get state() {
    return this.#part.state;
  }

  start(): Promise<FirstFailure | undefined> {
    return this.#part.start();
  }

  async stop(signal: AbortSignal): Promise<void> {
    try {
      await this.#part.stop(signal);
    } finally {
      this.#run.abort();
      this.#limiter.close();
    }
  }

  /** Lowers its rate until the returned function is called. Nothing where it is exempt. */
  limit(rate: Rate): () => void {
    if (this.options.exempt) return () => undefined;
    const lift = this.#limiter.limit(rate);
    this.#limits += 1;
    let isLifted = false;
    return () => {
      if (isLifted) return;
      isLifted = true;
      this.#limits -= 1;
      lift();
    };
  }

  stats(): AdapterStats {
    return Object.freeze({
      ...this.#part.stats(),
      ...{ accepted: this.#accepted, refused: this.#refused, afterStop: this.#afterStop },
      rate: this.#rate(),
    });
  }

  #rate(): Rate | undefined {
    if (this.#limits === 0) return undefined;
    const { ratePerSecond, burst } = this.#limiter.snapshot();
    return Object.freeze({ ratePerSecond, burst });
  }

  #start(signal: AbortSignal, fail: (error: unknown) => void): void | Promise<void> {
    const run = new AbortController();
    // An intake gives it to each of its deliveries under way.
    setMaxListeners(0, run.signal);
    this.#run = run;
    signal.addEventListener('abort', () => run.abort(signal.reason), { once: true });
    return this.#adapter.start({
      publish: (event, options) => this.#publish(run.signal, event, options),
      deliver: (event, options) => this.#deliver(run.signal, event, options),
      fail,
      signal: run.signal,
      logger: this.#context.logger,
    });
  }

  /** The run is over when the adapter has stopped: until then it may still hand in what it had begun. */
  async #stop(signal: AbortSignal): Promise<void> {
    const run = this.#run;
    try {
      await this.#adapter.stop?.(signal);
    } finally {
      run.abort();
    }
  }

  #publish(run: AbortSignal, event: T, options?: PublishOptions): Promise<void> {
    // Nothing to wait for, nothing to make: the usual case.
    if (this.#limits === 0 && !run.aborted) return this.#counted(this.#bus.publish(event, options));
    return this.#counted(this.#publishLater(run, event, options));
  }

  async #publishLater(run: AbortSignal, event: T, options?: PublishOptions): Promise<void> {
    this.#refuseAfterStop(run);
    await this.#limiter.wait(1, options?.signal);
    this.#refuseAfterStop(run);
    await this.#bus.publish(event, options);
  }

  /** Not an async function: while it waits, it would hold the event, which transforms may have let go of long before. */
  #deliver(run: AbortSignal, event: T, options?: PublishOptions): Promise<void> {
    try {
      this.#refuseAfterStop(run);
      this.#refuseOverRate();
    } catch (error) {
      return this.#counted(Promise.reject(error));
    }
    return this.#counted(this.#bus.deliver(event, options));
  }

  #refuseOverRate(): void {
    if (this.#limits === 0 || this.#limiter.tryTake()) return;
    const retryAfterMs = Math.min(60_000, this.#limiter.retryAfterMs());
    const text = `adapter ${this.name}: over its rate`;
    throw new PipelineError('ESPER_PIPELINE_REFUSED', text, { retryAfterMs: Math.max(1, retryAfterMs) });
  }

  #refuseAfterStop(run: AbortSignal): void {
    if (!run.aborted) return;
    this.#afterStop += 1;
    const details = { retryAfterMs: retryAfterOf(run.reason, 1000) };
    throw new PipelineError('ESPER_PIPELINE_CLOSED', `adapter ${this.name}: its run has ended`, details);
  }

  #counted(outcome: Promise<void>): Promise<void> {
    if (outcome === TAKEN) {
      this.#accepted += 1;
      return outcome;
    }
    return outcome.then(
      () => {
        this.#accepted += 1;
      },
      (error: unknown) => {
        this.#refused += 1;
        throw error;
      },
    );
  }
}
