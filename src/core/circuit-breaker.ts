/**
 * A circuit breaker on a monotonic clock (why an own one: docs/decisions/0010-circuit-breaker.md).
 *
 * closed → open: too many failures. open → half-open: with the first call after the open time, so no timer runs.
 * half-open → closed: enough successes; → open: a failure, or a permit that was not returned in time. isolated: by
 * hand, until released. An outcome counts only for the state that admitted its call: what was begun before a change
 * says nothing about the time after it.
 */
import {
  CIRCUIT_BREAKER_OPTIONS,
  type CircuitBreakerOptions,
  type ResolvedCircuitBreakerOptions,
} from './circuit-breaker-options.ts';
import { type Clock, systemClock } from './clock.ts';
import { errorCode, errorMessage, FastpathError } from './errors.ts';
import { FailureWindow } from './failure-window.ts';
import { type Logger, silentLogger } from './logger.ts';

export type BreakerState = 'closed' | 'open' | 'half-open' | 'isolated';

/** The call was not made. */
export class BreakerOpenError extends FastpathError {
  declare readonly code: 'ESPER_BREAKER_OPEN';
  readonly breaker: string;
  /** Trying earlier is useless, milliseconds; undefined while the breaker is isolated by hand. */
  readonly retryAfterMs: number | undefined;

  constructor(breaker: string, state: BreakerState, retryAfterMs: number | undefined) {
    const when = retryAfterMs === undefined ? 'until it is released' : `for ${Math.ceil(retryAfterMs)} ms`;
    super('ESPER_BREAKER_OPEN', `${breaker}: the breaker is ${state}: no calls ${when}`, { retryable: true });
    this.breaker = breaker;
    this.retryAfterMs = retryAfterMs;
  }
}

export interface BreakerChange {
  readonly from: BreakerState;
  readonly to: BreakerState;
  /** How long it will be open, milliseconds; 0 unless `to` is 'open'. */
  readonly openMs: number;
}

export interface BreakerSnapshot {
  readonly name: string;
  readonly state: BreakerState;
  /** In this state since, milliseconds. */
  readonly stateAgeMs: number;
  /** Until calls are admitted again; 0 when they are; undefined when that is up to a hand. */
  readonly retryAfterMs: number | undefined;
  readonly consecutiveFailures: number;
  /** Of the window, with `tripOn: rate`; else 0. */
  readonly windowCalls: number;
  readonly windowFailures: number;
  /** Half-open calls under way. */
  readonly permitsOut: number;
  readonly opened: number;
  readonly refused: number;
}

export interface CircuitBreakerParts {
  /** As errors and logs name it: 'oona publish'. */
  readonly name: string;
  readonly clock?: Pick<Clock, 'monotonicMs'>;
  readonly logger?: Logger;
  /** False for what says nothing about the other side. Default: everything but aborts and refused arguments. */
  readonly isFailure?: (error: unknown) => boolean;
}

/** Proof of admission, returned with the outcome. 0 is none. */
export type Permit = number;

export class CircuitBreaker {
  readonly name: string;
  readonly #options: ResolvedCircuitBreakerOptions;
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  readonly #logger: Logger;
  readonly #isFailure: (error: unknown) => boolean;
  readonly #window: FailureWindow | undefined;
  readonly #listeners = new Set<(change: BreakerChange) => void>();
  /** Half-open calls under way: when each counts as failed. */
  readonly #permits = new Map<Permit, number>();
  #state: BreakerState = 'closed';
  #serial = 1;
  /** Permit of every call that this closed state admits; negative, of every probe past an open one. */
  #generation: Permit = 1;
  #changedAtMs: number;
  #openMs = 0;
  #consecutive = 0;
  #firstFailureAtMs = 0;
  #successes = 0;
  #opened = 0;
  #refused = 0;

  /** Throws OptionError. */
  constructor(parts: CircuitBreakerParts, options: CircuitBreakerOptions = {}) {
    const { name, clock = systemClock, logger = silentLogger, isFailure = isUsualFailure } = parts;
    this.name = name;
    this.#options = CIRCUIT_BREAKER_OPTIONS.resolve(options);
    this.#clock = clock;
    this.#logger = logger;
    this.#isFailure = isFailure;
    this.#window = this.#options.tripOn === 'rate' ? new FailureWindow(this.#options.windowMs) : undefined;
    this.#changedAtMs = clock.monotonicMs();
  }

  /** 'open' until a call finds that the open time is over. */
  get state(): BreakerState {
    return this.#state;
  }

  /** Admits a call, or returns 0. Whoever got a permit returns it once: succeed, fail, cancel or judge. */
  enter(): Permit {
    if (this.#state === 'closed') return this.#generation;
    const nowMs = this.#clock.monotonicMs();
    if (this.#state === 'open' && nowMs - this.#changedAtMs >= this.#openMs) this.#change('half-open', nowMs);
    if (this.#state === 'half-open' && !this.#permitExpired(nowMs)) {
      if (this.#permits.size < this.#options.halfOpenPermits) return this.#issue(nowMs);
    }
    this.#refused += 1;
    return 0;
  }

  /**
   * Admits a call that must be made whatever the state. Its success speaks for the other side like that of a half-open
   * call; its failure only counts while closed, or a stream of emergencies would hold the breaker open.
   */
  probe(): Permit {
    return this.#state === 'closed' ? this.#generation : -this.#generation;
  }

  succeed(permit: Permit): void {
    if (permit === this.#generation) {
      this.#consecutive = 0;
      this.#window?.record(false, this.#clock.monotonicMs());
      return;
    }
    const isProbe = permit === -this.#generation && this.#state !== 'isolated';
    if (!isProbe && !this.#permits.delete(permit)) return;
    const nowMs = this.#clock.monotonicMs();
    if (this.#state === 'open') this.#change('half-open', nowMs);
    this.#successes += 1;
    if (this.#successes >= this.#options.closeAfterSuccesses) this.#change('closed', nowMs);
  }

  fail(permit: Permit): void {
    const isHalfOpen = this.#permits.delete(permit);
    if (!isHalfOpen && permit !== this.#generation) return;
    const nowMs = this.#clock.monotonicMs();
    if (isHalfOpen) this.#open(nowMs);
    else if (this.#trips(nowMs)) this.#open(nowMs);
  }

  /** The call ended without saying anything about the other side: an abort, a refused argument. */
  cancel(permit: Permit): void {
    this.#permits.delete(permit);
  }

  /** fail or cancel, by what `isFailure` says of the error. */
  judge(permit: Permit, error: unknown): void {
    if (this.#isFailure(error)) this.fail(permit);
    else this.cancel(permit);
  }

  /** Rejects with BreakerOpenError when the call is not admitted. */
  async run<T>(call: () => Promise<T> | T): Promise<T> {
    const permit = this.enter();
    if (permit === 0) throw this.refusal();
    try {
      const result = await call();
      this.succeed(permit);
      return result;
    } catch (error) {
      this.judge(permit, error);
      throw error;
    }
  }

  refusal(): BreakerOpenError {
    return new BreakerOpenError(this.name, this.#state, this.retryAfterMs());
  }

  /** Until calls are admitted again, milliseconds; undefined while it is isolated. */
  retryAfterMs(): number | undefined {
    if (this.#state === 'isolated') return undefined;
    if (this.#state === 'closed') return 0;
    const nowMs = this.#clock.monotonicMs();
    if (this.#state === 'open') return Math.max(0, this.#changedAtMs + this.#openMs - nowMs);
    // Half-open with every permit out: they are on their way, which is no reason to wait for their time-out.
    const full = this.#permits.size >= this.#options.halfOpenPermits;
    return full ? Math.min(this.#options.openBaseMs, this.#options.permitTimeoutMs) : 0;
  }

  /** Opens it by hand, until release(). */
  isolate(): void {
    if (this.#state !== 'isolated') this.#change('isolated', this.#clock.monotonicMs());
  }

  /** Closes it by hand, isolated or not, with nothing held against it. */
  release(): void {
    this.#openMs = 0;
    if (this.#state !== 'closed') this.#change('closed', this.#clock.monotonicMs());
  }

  /** Called after each change, within the call that made it. */
  onChange(listener: (change: BreakerChange) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  snapshot(): BreakerSnapshot {
    const nowMs = this.#clock.monotonicMs();
    const { calls, failures } = this.#window?.counts(nowMs) ?? { calls: 0, failures: 0 };
    return Object.freeze({
      name: this.name,
      state: this.#state,
      stateAgeMs: nowMs - this.#changedAtMs,
      retryAfterMs: this.retryAfterMs(),
      consecutiveFailures: this.#consecutive,
      windowCalls: calls,
      windowFailures: failures,
      permitsOut: this.#permits.size,
      opened: this.#opened,
      refused: this.#refused,
    });
  }

  #issue(nowMs: number): Permit {
    this.#serial += 1;
    this.#permits.set(this.#serial, nowMs + this.#options.permitTimeoutMs);
    return this.#serial;
  }

  /** Opens again when a half-open call is overdue; its own outcome, should it come, is ignored then. */
  #permitExpired(nowMs: number): boolean {
    for (const expiresAtMs of this.#permits.values()) {
      if (expiresAtMs > nowMs) continue;
      this.#open(nowMs);
      return true;
    }
    return false;
  }

  #trips(nowMs: number): boolean {
    if (this.#consecutive === 0) this.#firstFailureAtMs = nowMs;
    this.#consecutive += 1;
    const { consecutiveFailures, consecutiveSpanMs, minimumCalls, failureRate } = this.#options;
    if (this.#window === undefined) {
      const spanMs = nowMs - this.#firstFailureAtMs;
      return this.#consecutive >= consecutiveFailures && spanMs >= consecutiveSpanMs;
    }
    this.#window.record(true, nowMs);
    const { calls, failures } = this.#window.counts(nowMs);
    return calls >= minimumCalls && failures / calls >= failureRate;
  }

  #open(nowMs: number): void {
    const { openBaseMs, openCapMs } = this.#options;
    // Closed for as long as it had been open before: then that is over, and this is a new trouble.
    const isNew = this.#state === 'closed' && nowMs - this.#changedAtMs >= this.#openMs;
    this.#openMs = Math.min(openCapMs, isNew ? openBaseMs : this.#openMs * 2);
    this.#opened += 1;
    this.#change('open', nowMs);
  }

  #change(to: BreakerState, nowMs: number): void {
    const from = this.#state;
    this.#state = to;
    this.#changedAtMs = nowMs;
    this.#serial += 1;
    this.#generation = this.#serial;
    this.#permits.clear();
    this.#consecutive = 0;
    this.#successes = 0;
    this.#window?.clear();
    const change = Object.freeze({ from, to, openMs: to === 'open' ? this.#openMs : 0 });
    for (const listener of [...this.#listeners]) this.#tell(listener, change);
  }

  #tell(listener: (change: BreakerChange) => void, change: BreakerChange): void {
    try {
      listener(change);
    } catch (error) {
      this.#logger.error(
        { breaker: this.name, code: errorCode(error) },
        `listener threw: ${errorMessage(error)}`,
      );
    }
  }
}

/** Everything but aborts, arguments that were refused before the call, and another breaker's refusal. */
export function isUsualFailure(error: unknown): boolean {
  if (error instanceof Error && error.name === 'AbortError') return false;
  const code = errorCode(error);
  return code !== 'ABORT_ERR' && code !== 'ESPER_OPTION_INVALID' && code !== 'ESPER_BREAKER_OPEN';
}
