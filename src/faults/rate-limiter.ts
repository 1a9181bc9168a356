/**
 * A token bucket with callers that wait in order.
 *
 * Own, because the libraries lack what this one is for: `limiter` 3 waits on timers that nobody can abort, lets
 * late callers overtake those that wait, and has a clock that no test can move; none can be limited further for a time
 * and be given back its rate exactly.
 */
import { type Clock, systemClock } from '../core/clock.ts';
import { requireRange } from '../core/options.ts';
import { FaultsClosedError, RateLimitedError } from './errors.ts';
import {
  RATE_LIMITER_OPTIONS,
  type Rate,
  type RateLimiterOptions,
  type ResolvedRateLimiterOptions,
} from './rate-limiter-options.ts';

export interface RateLimiterParts {
  /** As errors name it: 'adapter http'. */
  readonly name: string;
  readonly clock?: Pick<Clock, 'monotonicMs' | 'sleep'>;
}

export interface RateLimiterSnapshot extends Rate {
  readonly name: string;
  /** Now; negative while in debt. */
  readonly tokens: number;
  readonly waiting: number;
  /** Tokens taken, and calls refused, since the start. */
  readonly taken: number;
  readonly refused: number;
  /** Limits from `limit()` that were not lifted yet. */
  readonly limits: number;
}

interface Waiter {
  readonly count: number;
  readonly go: () => void;
  readonly refuse: (error: unknown) => void;
}

export class RateLimiter {
  readonly name: string;
  readonly #options: ResolvedRateLimiterOptions;
  readonly #clock: Pick<Clock, 'monotonicMs' | 'sleep'>;
  readonly #limits = new Set<Rate>();
  /** In order of arrival. */
  readonly #waiters = new Set<Waiter>();
  #own: Rate;
  #rate: Rate;
  #tokens: number;
  #filledAtMs: number;
  #taken = 0;
  #refused = 0;
  #isClosed = false;
  /** Of the sleep until the first waiter's turn. */
  #sleep: AbortController | undefined;

  /** Throws OptionError. */
  constructor({ name, clock = systemClock }: RateLimiterParts, options: RateLimiterOptions = {}) {
    this.name = name;
    this.#clock = clock;
    this.#options = RATE_LIMITER_OPTIONS.resolve(options);
    const { ratePerSecond, burst } = this.#options;
    this.#own = Object.freeze({ ratePerSecond, burst });
    this.#rate = this.#own;
    this.#tokens = burst;
    this.#filledAtMs = clock.monotonicMs();
  }

  /** Takes `count` tokens when they are there and nobody waits for some. */
  tryTake(count = 1): boolean {
    this.#check(count);
    if (this.#waiters.size === 0 && this.#has(count)) {
      this.#spend(count);
      return true;
    }
    this.#refused += 1;
    return false;
  }

  /** As tryTake, but throws RateLimitedError. */
  take(count = 1): void {
    if (!this.tryTake(count)) throw new RateLimitedError(this.name, this.retryAfterMs(count));
  }

  /**
   * Resolves when the tokens were taken, in the order of the calls. Rejects with the signal's reason when aborted, with
   * RateLimitedError when `maxWaiting` wait already, with FaultsClosedError after close().
   */
  async wait(count = 1, signal?: AbortSignal): Promise<void> {
    this.#check(count);
    signal?.throwIfAborted();
    if (this.#waiters.size === 0 && this.#has(count)) {
      this.#spend(count);
      return;
    }
    if (this.#waiters.size >= this.#options.maxWaiting) {
      this.#refused += 1;
      throw new RateLimitedError(this.name, this.retryAfterMs(count));
    }
    await this.#enqueue(count, signal);
  }

  /** Until `count` could be taken if nobody else took any, milliseconds; infinite while the rate is 0. */
  retryAfterMs(count = 1): number {
    this.#check(count);
    this.#fill();
    let ahead = 0;
    for (const waiter of this.#waiters) ahead += waiter.count;
    const missing = Math.min(count, this.#rate.burst) + ahead - this.#tokens;
    if (missing <= 0) return 0;
    return this.#rate.ratePerSecond === 0
      ? Number.POSITIVE_INFINITY
      : (missing / this.#rate.ratePerSecond) * 1000;
  }

  /** Its own rate from now on; limits stay in force. Throws OptionError. */
  setRate(rate: Rate): void {
    this.#own = checkRate(this.name, rate);
    this.#apply();
  }

  /**
   * Limits it further until the returned function is called: of its own rate and all limits the least holds. Lifting
   * one, in whatever order, leaves exactly the others, and its own rate even if that was changed meanwhile.
   */
  limit(rate: Rate): () => void {
    const limit = checkRate(this.name, rate);
    this.#limits.add(limit);
    this.#apply();
    return () => {
      if (this.#limits.delete(limit)) this.#apply();
    };
  }

  snapshot(): RateLimiterSnapshot {
    this.#fill();
    return Object.freeze({
      name: this.name,
      ...this.#rate,
      tokens: this.#tokens,
      waiting: this.#waiters.size,
      taken: this.#taken,
      refused: this.#refused,
      limits: this.#limits.size,
    });
  }

  /** Rejects those that wait. */
  close(): void {
    this.#isClosed = true;
    this.#sleep?.abort();
    const error = new FaultsClosedError(`rate limiter ${this.name}`);
    for (const waiter of [...this.#waiters]) waiter.refuse(error);
  }

  #check(count: number): void {
    if (this.#isClosed) throw new FaultsClosedError(`rate limiter ${this.name}`);
    requireRange(this.name, 'count', count, 0, 1e12);
  }

  #enqueue(count: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.#waiters.delete(waiter);
        signal?.removeEventListener('abort', abort);
      };
      const waiter: Waiter = {
        count,
        go: () => {
          leave();
          resolve();
        },
        refuse: (error) => {
          leave();
          reject(error);
        },
      };
      const abort = (): void => {
        waiter.refuse(signal?.reason);
        // Whoever was behind it may need less.
        this.#serve();
      };
      signal?.addEventListener('abort', abort, { once: true });
      this.#waiters.add(waiter);
      this.#serve();
    });
  }

  /** Lets go who can, and sleeps until the next one can. */
  #serve(): void {
    this.#sleep?.abort();
    this.#sleep = undefined;
    if (this.#isClosed) return;
    for (const waiter of this.#waiters) {
      if (!this.#has(waiter.count)) {
        this.#sleepFor(waiter);
        return;
      }
      this.#spend(waiter.count);
      waiter.go();
    }
  }

  #sleepFor({ count }: Waiter): void {
    const { ratePerSecond, burst } = this.#rate;
    // Nobody's turn comes until the rate is changed, and that serves again.
    if (ratePerSecond === 0) return;
    const ms = ((Math.min(count, burst) - this.#tokens) / ratePerSecond) * 1000;
    const sleep = new AbortController();
    this.#sleep = sleep;
    this.#clock.sleep(Math.min(MAX_SLEEP_MS, Math.ceil(ms)), sleep.signal, { keepAlive: true }).then(
      () => this.#serve(),
      () => undefined,
    );
  }

  #has(count: number): boolean {
    this.#fill();
    return this.#tokens + ROUNDING >= Math.min(count, this.#rate.burst);
  }

  #spend(count: number): void {
    this.#tokens -= count;
    this.#taken += count;
  }

  #fill(): void {
    const nowMs = this.#clock.monotonicMs();
    const { ratePerSecond, burst } = this.#rate;
    const come = ((nowMs - this.#filledAtMs) / 1000) * ratePerSecond;
    this.#filledAtMs = nowMs;
    this.#tokens = Math.min(burst, this.#tokens + come);
  }

  #apply(): void {
    // What came back until now came at the old rate.
    this.#fill();
    const all = [this.#own, ...this.#limits];
    this.#rate = Object.freeze({
      ratePerSecond: Math.min(...all.map(({ ratePerSecond }) => ratePerSecond)),
      burst: Math.min(...all.map(({ burst }) => burst)),
    });
    this.#tokens = Math.min(this.#tokens, this.#rate.burst);
    this.#serve();
  }
}

/** Of a token: ten tenths do not add up to one. What is taken too early is owed, so that it does not add up either. */
const ROUNDING = 1e-6;

/** Node's timers overflow at 2^31 ms. */
const MAX_SLEEP_MS = 2 ** 31 - 1;

function checkRate(name: string, { ratePerSecond, burst }: Rate): Rate {
  requireRange(name, 'ratePerSecond', ratePerSecond, 0, 1e12);
  requireRange(name, 'burst', burst, 1, 1e12);
  return Object.freeze({ ratePerSecond, burst });
}
