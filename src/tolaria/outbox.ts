import { backoffDelayMs } from '../core/backoff.ts';
import type { Clock } from '../core/clock.ts';
import { errorMessage } from '../core/errors.ts';
import type { Random } from '../core/random.ts';
import type { EmergencyLevel } from '../leyline/messages.ts';
import type { PublishResult } from '../oona/types.ts';
import type { Admission, BypassCap } from './bypass-cap.ts';

export type OutboxRoute = 'emergency' | 'telemetry';

/** One message on its way to the bus. */
export interface OutboxItem {
  readonly signalId: string;
  readonly level: EmergencyLevel;
  readonly wantedRoute: OutboxRoute;
  /** Never held back by the bypass cap nor by what is under way: a raise of the level, every HALT, a clear. */
  readonly exempt: boolean;
  /** Waits until every emergency before it has left or was given up: overtaken, it would clear what comes later. */
  readonly isClear: boolean;
}

export interface OutboxHandlers<T extends OutboxItem> {
  /** Starts the publish within this call, so that it is on its way although the event loop is blocked after. */
  publish(item: T, route: OutboxRoute): Promise<PublishResult>;
  /** Somebody else (the supervisor) published it: no need to try again. */
  isPublished(item: T): boolean;
  onPublished(item: T, route: OutboxRoute, result: Exclude<PublishResult, { outcome: 'failed' }>): void;
  onFailed(item: T, route: OutboxRoute, failure: Failure): void;
  onCapped(item: T): void;
  /** Too much was waiting; it stays where it is recorded. */
  onDropped(item: T): void;
}

export interface Failure {
  readonly code: string;
  readonly reason: string;
  readonly attempt: number;
  readonly willRetry: boolean;
}

export interface OutboxOptions {
  readonly maxInFlight: number;
  /** A publish that has not settled within one to two of these counts as failed, ms; well beyond its own deadline. */
  readonly watchdogMs: number;
  readonly retryBaseMs: number;
  readonly retryCapMs: number;
  readonly cap: BypassCap;
  readonly clock: Clock;
  readonly random: Random;
}

interface Job<T> {
  readonly item: T;
  state: 'ready' | 'flying' | 'waiting';
  attempt: number;
  flight?: Flight | undefined;
}

/** A publish under way. */
interface Flight {
  readonly route: OutboxRoute;
  readonly admission: Admission;
  readonly sinceMs: number;
}

/** What waits here is in memory twice, in the flag's ring too: no use in holding more than the ring can. */
const MAX_JOBS = 64;

/**
 * Publishes in the background, with a bound on how much is under way and how much waits, and retries with back-off.
 * It holds nothing that is not in the flag's ring as well: whatever it gives up, the supervisor finds there.
 */
export class Outbox<T extends OutboxItem> {
  readonly #options: OutboxOptions;
  readonly #handlers: OutboxHandlers<T>;
  /** In the order of submission. */
  readonly #jobs = new Set<Job<T>>();
  #inFlight = 0;
  #closed = false;
  #watching = false;
  #wake = new AbortController();
  #onChange: (() => void) | undefined;
  #changed: Promise<void> | undefined;

  constructor(options: OutboxOptions, handlers: OutboxHandlers<T>) {
    this.#options = options;
    this.#handlers = handlers;
  }

  /** Not yet published or given up. */
  get size(): number {
    return this.#jobs.size;
  }

  /** Takes the item and, when it may go now, starts its publish before returning. False: left to the ring. */
  submit(item: T): boolean {
    if (this.#closed || !this.#makeRoom(item)) {
      this.#handlers.onDropped(item);
      return false;
    }
    this.#jobs.add({ item, state: 'ready', attempt: 0 });
    this.#pump();
    return true;
  }

  /** Tries everything that waits at once, then resolves when nothing is left or the deadline has passed. */
  async flush(deadlineMs: number): Promise<void> {
    this.#retryNow();
    await this.#until(() => this.#jobs.size === 0, deadlineMs);
  }

  /** No new tries; resolves when the publishes under way have ended, at the latest after `deadlineMs`. */
  async close(deadlineMs: number): Promise<void> {
    this.#closed = true;
    for (const job of this.#jobs) {
      if (job.state !== 'flying') this.#jobs.delete(job);
    }
    this.#retryNow();
    await this.#until(() => this.#jobs.size === 0, deadlineMs);
    this.#jobs.clear();
  }

  /** True when the item fits, possibly in place of a less important one that has not started. */
  #makeRoom(item: T): boolean {
    if (this.#jobs.size < MAX_JOBS) return true;
    let victim: Job<T> | undefined;
    for (const job of this.#jobs) {
      if (job.state !== 'flying' && job.item.level < (victim?.item.level ?? item.level)) victim = job;
    }
    if (victim === undefined) return false;
    this.#jobs.delete(victim);
    this.#handlers.onDropped(victim.item);
    return true;
  }

  /** Starts what may start, the highest level first. */
  #pump(): void {
    for (;;) {
      let next: Job<T> | undefined;
      for (const job of this.#jobs) {
        if (this.#mayStart(job) && (next === undefined || job.item.level > next.item.level)) next = job;
      }
      if (next === undefined) return;
      this.#run(next);
    }
  }

  #mayStart(job: Job<T>): boolean {
    if (this.#closed || job.state !== 'ready') return false;
    if (job.item.isClear && this.#hasEmergencyBefore(job)) return false;
    return job.item.exempt || this.#inFlight < this.#options.maxInFlight;
  }

  #hasEmergencyBefore(clear: Job<T>): boolean {
    for (const job of this.#jobs) {
      if (job === clear) return false;
      if (job.item.wantedRoute === 'emergency') return true;
    }
    return false;
  }

  /** One try, up to the call of publish(). */
  #run(job: Job<T>): void {
    const { cap } = this.#options;
    const { item } = job;
    job.state = 'flying';
    job.attempt += 1;
    this.#inFlight += 1;
    let admission: Admission = 'free';
    let route = item.wantedRoute;
    if (route === 'emergency') {
      admission = cap.admit(item.exempt);
      if (admission === 'capped') {
        route = 'telemetry';
        // Once a message: a retry that is turned away again is still the same message.
        if (job.attempt === 1) this.#handlers.onCapped(item);
      }
    }
    const flight: Flight = { route, admission, sinceMs: this.#options.clock.monotonicMs() };
    job.flight = flight;
    this.#publish(item, route).then(
      (result) => this.#land(job, flight, result),
      // The bus promises results, not exceptions: a broken promise must not end the process as an unhandled one.
      (error) => this.#land(job, flight, brokenPromise(errorMessage(error))),
    );
    this.#watch();
  }

  #publish(item: T, route: OutboxRoute): Promise<PublishResult> {
    try {
      return this.#handlers.publish(item, route);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** The publish ended, or nobody waits for it any longer. What comes after that is too late. */
  #land(job: Job<T>, flight: Flight, result: PublishResult): void {
    if (job.flight !== flight) return;
    job.flight = undefined;
    this.#inFlight -= 1;
    if (result.outcome === 'failed') {
      this.#options.cap.giveBack(flight.admission);
      this.#fail(job, flight.route, result);
    } else {
      this.#jobs.delete(job);
      this.#handlers.onPublished(job.item, flight.route, result);
    }
    this.#pump();
    this.#onChange?.();
  }

  /**
   * The bus also promises to settle; a publish that does not would hold its place here, and every clear, for ever. One
   * sleep looks after all of them: a timer with an abort signal for each would cost more than the publish.
   */
  #watch(): void {
    if (this.#watching) return;
    this.#watching = true;
    const { watchdogMs, clock } = this.#options;
    clock.sleep(watchdogMs).then(() => {
      this.#watching = false;
      const latestMs = clock.monotonicMs() - watchdogMs;
      for (const job of this.#jobs) {
        const { flight } = job;
        if (flight === undefined) continue;
        if (flight.sinceMs <= latestMs) {
          this.#land(job, flight, brokenPromise(`the publish had not settled after ${watchdogMs} ms`));
        } else this.#watch();
      }
    });
  }

  #fail(job: Job<T>, route: OutboxRoute, result: Extract<PublishResult, { outcome: 'failed' }>): void {
    const willRetry = result.retryable && !this.#closed;
    if (!willRetry) this.#jobs.delete(job);
    const { code, reason } = result;
    this.#handlers.onFailed(job.item, route, { code, reason, attempt: job.attempt, willRetry });
    if (willRetry) void this.#waitAndRetry(job);
  }

  async #waitAndRetry(job: Job<T>): Promise<void> {
    const { clock, random, retryBaseMs, retryCapMs } = this.#options;
    job.state = 'waiting';
    const delayMs = backoffDelayMs(job.attempt - 1, { baseMs: retryBaseMs, capMs: retryCapMs }, random);
    try {
      await clock.sleep(delayMs, this.#wake.signal);
    } catch {
      // Woken early by flush() or close().
    }
    if (this.#closed) return;
    job.state = 'ready';
    if (this.#handlers.isPublished(job.item)) this.#jobs.delete(job);
    this.#pump();
    this.#onChange?.();
  }

  #retryNow(): void {
    this.#wake.abort();
    this.#wake = new AbortController();
  }

  async #until(done: () => boolean, deadlineMs: number): Promise<void> {
    const over = new AbortController();
    let expired = false;
    const deadline = this.#options.clock.sleep(deadlineMs, over.signal, { keepAlive: true }).then(
      () => {
        expired = true;
      },
      () => undefined,
    );
    while (!done() && !expired) await Promise.race([this.#nextChange(), deadline]);
    over.abort();
    await deadline;
  }

  #nextChange(): Promise<void> {
    this.#changed ??= new Promise((resolve) => {
      this.#onChange = () => {
        this.#changed = undefined;
        this.#onChange = undefined;
        resolve();
      };
    });
    return this.#changed;
  }
}

function brokenPromise(reason: string): PublishResult {
  return {
    outcome: 'failed',
    stream: '',
    code: 'ESPER_TOLARIA_PUBLISH_FAILED',
    reason,
    retryable: true,
    latencyMs: 0,
  };
}
