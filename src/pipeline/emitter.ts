import { backoffDelayMs } from '../core/backoff.ts';
import { CircuitBreaker, isUsualFailure, type Permit } from '../core/circuit-breaker.ts';
import { OptionError } from '../core/errors.ts';
import { RateLimiter } from '../faults/rate-limiter.ts';
import { isPartName } from './adapter.ts';
import { BoundedCalls } from './bounded-calls.ts';
import type { Bus, Subscription } from './bus.ts';
import type { SubscribeOptions } from './bus-options.ts';
import { PipelineError } from './errors.ts';
import type { Delivery } from './handler-calls.ts';
import {
  callBreakerOptions,
  EMITTER_OPTIONS,
  type EmitterOptions,
  type ResolvedEmitterOptions,
} from './part-options.ts';
import { type FirstFailure, type PartContext, type PartStats, SupervisedPart } from './supervised-part.ts';

/** A sink of events. */
export interface Emitter<T> {
  /** 1-64 letters, digits, _ . - */
  readonly name: string;
  /** Fulfils when the event is where it belongs; rejects when it is not. The signal is aborted at the time-out. */
  emit(event: T, signal: AbortSignal): void | Promise<void>;
  start?(signal: AbortSignal): void | Promise<void>;
  /** Called when everything was emitted, or the deadline is over; and after a failed start. */
  stop?(signal: AbortSignal): void | Promise<void>;
}

export interface EmitterStats extends PartStats {
  readonly emitted: number;
  /** emit() calls that failed, retries included. */
  readonly failedCalls: number;
  /** Calls that were given up and still run. */
  readonly abandoned: number;
  readonly breaker: string;
}

/** An emitter of an engine: supervised, each call bounded in time, behind a breaker and a rate limit. */
export class EmitterPart<T> {
  readonly name: string;
  readonly options: ResolvedEmitterOptions;
  readonly #given: EmitterOptions;
  readonly #emitter: Emitter<T>;
  readonly #context: PartContext;
  readonly #part: SupervisedPart;
  readonly #breaker: CircuitBreaker;
  readonly #limiter: RateLimiter | undefined;
  readonly #calls: BoundedCalls;
  #emitted = 0;
  #failedCalls = 0;

  /** Throws OptionError. */
  constructor(emitter: Emitter<T>, given: EmitterOptions, context: PartContext) {
    if (!isPartName(emitter?.name) || typeof emitter.emit !== 'function') {
      throw new OptionError('emitter: needs a name (1-64 letters, digits, _ . -) and the method emit');
    }
    this.name = emitter.name;
    this.options = EMITTER_OPTIONS.resolve(given);
    this.#given = given;
    this.#emitter = emitter;
    this.#context = context;
    const { rate, emitTimeoutMs, maxAbandoned } = this.options;
    const { clock, logger } = context;
    const what = `emitter ${this.name}`;
    const isFailure = (error: unknown): boolean => isUsualFailure(error) && this.#isRetryable(error);
    this.#breaker = new CircuitBreaker(
      { name: what, clock, logger, isFailure },
      callBreakerOptions(emitTimeoutMs, this.options.breaker),
    );
    this.#calls = new BoundedCalls({ what, clock, timeoutMs: emitTimeoutMs, maxAbandoned });
    this.#limiter = rate === undefined ? undefined : new RateLimiter({ name: what, clock }, rate);
    this.#part = new SupervisedPart({
      ...{ kind: 'emitter', name: this.name, options: this.options, context },
      ...{ breaker: this.#breaker, succeedsAtStart: true },
      start: (signal) => this.#emitter.start?.(signal),
      stop: (signal) => this.#emitter.stop?.(signal),
    });
  }

  get state() {
    return this.#part.state;
  }

  start(): Promise<FirstFailure | undefined> {
    return this.#part.start();
  }

  async stop(signal: AbortSignal): Promise<void> {
    this.#limiter?.close();
    this.#calls.stop();
    await this.#part.stop(signal);
  }

  /** Its queue on the bus. Throws OptionError. */
  subscribe(bus: Bus<T>): Subscription {
    const { policy, bufferSize, maxBytes, dropSlow, maxWaiting } = this.#given;
    const { concurrency, maxAbandoned } = this.options;
    const options: SubscribeOptions = {
      name: this.name,
      ...{ policy, bufferSize, maxBytes, dropSlow, maxWaiting, concurrency, maxAbandoned },
      // Each call has its own time-out; waiting for the breaker or for tokens is no fault of this event.
      handlerTimeoutMs: 0,
      refuseWhile: () => this.#refusesFor(),
      onFailure: () => undefined,
    };
    return bus.subscribe((event, delivery) => this.#emit(event, delivery), options);
  }

  stats(): EmitterStats {
    return Object.freeze({
      ...this.#part.stats(),
      ...{ emitted: this.#emitted, failedCalls: this.#failedCalls },
      ...{ abandoned: this.#calls.abandoned, breaker: this.#breaker.state },
    });
  }

  /** One that throws says nothing: the failure itself must be told, and its permit given back. */
  #isRetryable(error: unknown): boolean {
    try {
      return this.options.isRetryable(error);
    } catch (thrown) {
      this.#part.report(thrown, 'isRetryable threw');
      return true;
    }
  }

  /** Nobody who waits for an answer should wait for the breaker. */
  #refusesFor(): number | undefined {
    const { state } = this.#part;
    const { restartBaseMs, maxAbandoned } = this.options;
    if (state !== 'running' || this.#calls.abandoned >= maxAbandoned) return Math.max(1000, restartBaseMs);
    const retryAfterMs = this.#breaker.retryAfterMs() ?? 1000;
    return retryAfterMs > 0 ? retryAfterMs : undefined;
  }

  async #emit(event: T, delivery: Delivery): Promise<void> {
    const { retries, retryBaseMs, retryCapMs } = this.options;
    const { clock, random } = this.#context;
    for (let attempt = 0; ; attempt++) {
      if (this.#limiter !== undefined) await this.#limiter.wait(1, delivery.signal);
      const permit = this.#enter() || (await this.#admitted(delivery));
      try {
        await this.#calls.run((signal) => this.#emitter.emit(event, signal));
        this.#breaker.succeed(permit);
        this.#emitted += 1;
        return;
      } catch (error) {
        this.#failedCalls += 1;
        const isLast = attempt >= retries || !this.#isRetryable(error);
        this.#part.report(error, isLast ? 'lost an event' : 'failed and tries again');
        this.#breaker.judge(permit, error);
        if (isLast) throw error;
      }
      const backoff = { baseMs: retryBaseMs, capMs: retryCapMs };
      await clock.sleep(backoffDelayMs(attempt, backoff, random), delivery.signal);
    }
  }

  /** A permit of the breaker, when the emitter has started. While that takes, the queue fills up: back-pressure. */
  async #admitted({ signal, acknowledgement }: Delivery): Promise<Permit> {
    const { clock } = this.#context;
    for (;;) {
      // Refused, as it would have been a moment later: it can be delivered again, and its sender waits.
      if (acknowledgement !== undefined) throw this.#refusal();
      const waitMs = this.#breaker.retryAfterMs() ?? 0;
      await clock.sleep(Math.min(1000, Math.max(10, waitMs)), signal);
      const permit = this.#enter();
      if (permit !== 0) return permit;
    }
  }

  /** 0 while it must not be called. */
  #enter(): Permit {
    return this.#part.state === 'running' ? this.#breaker.enter() : 0;
  }

  #refusal(): PipelineError {
    const retryAfterMs = this.#refusesFor() ?? 1000;
    return new PipelineError('ESPER_PIPELINE_REFUSED', `emitter ${this.name} cannot emit now`, {
      retryAfterMs,
    });
  }
}
