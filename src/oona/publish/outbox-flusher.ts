/**
 * Empties the outbox when conservative mode is over, and finds out while the breaker is open whether the bus is back:
 * with what waits longest, else with a ping. Without it nobody would try, since everything waits. One send at a time,
 * so that an engine with room for the other publishes is never asked for more than what they leave.
 */
import { type BackoffOptions, backoffDelayMs } from '../../core/backoff.ts';
import type { CircuitBreaker, Permit } from '../../core/circuit-breaker.ts';
import type { Clock } from '../../core/clock.ts';
import { errorCode, errorMessage } from '../../core/errors.ts';
import type { Logger } from '../../core/logger.ts';
import type { Random } from '../../core/random.ts';
import type { ConservativeMode } from './conservative-mode.ts';
import type { EngineAnswers } from './engine-answers.ts';
import type { Outbox, OutboxDrop, WaitingMessage } from './outbox.ts';
import { isPublishFailure } from './publish-breaker.ts';

/** What became of one try; `{ retry }` says why it goes back into the outbox. */
export type SendEnd = 'published' | 'duplicate' | OutboxDrop | { readonly retry: unknown };

export interface OutboxFlusherParts {
  readonly outbox: Outbox;
  readonly mode: ConservativeMode;
  readonly breaker: CircuitBreaker;
  readonly answers: EngineAnswers;
  /** One append with this permit, which it returns to the breaker. Never rejects. */
  readonly send: (message: WaitingMessage, permit: Permit, deadlineMs: number) => Promise<SendEnd>;
  /** After each try, when the outbox knows what became of it. */
  readonly onSettled: () => void;
  readonly ping: (deadlineMs: number) => Promise<void>;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Of one try. */
  readonly deadlineMs: number;
  readonly perSecond: number;
  /** What has waited longer is dropped unsent, milliseconds. */
  readonly ttlMs: number;
}

const BACKOFF: BackoffOptions = Object.freeze({ baseMs: 50, capMs: 2000 });
/** Shorter sleeps cost more than they space out. */
const SHORTEST_SLEEP_MS = 5;

export class OutboxFlusher {
  readonly #parts: OutboxFlusherParts;
  readonly #unsubscribe: readonly (() => void)[];
  #loop: Promise<void> | undefined;
  #sleeping: AbortController | undefined;
  #failures = 0;
  #nextAtMs = Number.NEGATIVE_INFINITY;
  #closed = false;

  constructor(parts: OutboxFlusherParts) {
    this.#parts = parts;
    this.#unsubscribe = [parts.mode.onChange(() => this.wake()), parts.breaker.onChange(() => this.wake())];
  }

  /** Looks whether there is something to do. */
  wake(): void {
    if (this.#closed) return;
    this.#sleeping?.abort();
    if (this.#loop !== undefined) return;
    this.#start(() => this.#run());
  }

  /** One send, or a ping when nothing waits, unless sends are under way anyway. Never rejects. */
  async probe(): Promise<void> {
    const { breaker } = this.#parts;
    if (this.#closed || this.#loop !== undefined || breaker.state !== 'closed') return;
    this.#start(async () => {
      try {
        await this.#tryOnce(breaker.enter());
      } finally {
        this.#loop = undefined;
      }
    });
    await this.#loop;
    // What woke it meanwhile found it busy.
    this.wake();
  }

  /** Publishes what it can within the time, whatever the mode and the breaker say; drops the rest as 'closed'. */
  async close(forMs: number): Promise<void> {
    this.#closed = true;
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    this.#sleeping?.abort();
    await this.#loop;
    const { outbox, breaker, clock } = this.#parts;
    const endsAtMs = clock.monotonicMs() + forMs;
    this.#failures = 0;
    while (outbox.waiting > 0) {
      const leftMs = endsAtMs - clock.monotonicMs();
      if (leftMs <= 0) break;
      const ok = await this.#sendOldest(breaker.probe(), Math.min(leftMs, this.#parts.deadlineMs));
      if (!ok) await this.#sleep(Math.min(this.#backoffMs(), endsAtMs - clock.monotonicMs()), true);
    }
    outbox.dropAll('closed');
  }

  #start(body: () => Promise<void>): void {
    // Not at once: what changed is still being told to others.
    this.#loop = Promise.resolve()
      .then(body)
      .catch((error: unknown) => {
        this.#parts.logger.error({ code: errorCode(error) }, `outbox: ${errorMessage(error)}`);
      });
  }

  async #run(): Promise<void> {
    const { breaker, mode, outbox } = this.#parts;
    try {
      while (!this.#closed) {
        const { state } = breaker;
        if (state === 'open' || state === 'half-open') await this.#tryBreaker();
        else if (mode.active || outbox.waiting === 0 || state === 'isolated') return;
        else await this.#flushOne();
      }
    } finally {
      // In one step with the last look, or a wake() in between would find a loop that no longer looks.
      this.#loop = undefined;
    }
  }

  async #tryBreaker(): Promise<void> {
    const { breaker } = this.#parts;
    const waitMs = breaker.retryAfterMs() ?? 0;
    if (waitMs > 0) {
      await this.#sleep(waitMs);
      return;
    }
    const permit = breaker.enter();
    if (permit === 0) {
      await this.#sleep(this.#backoffMs());
      return;
    }
    if (await this.#tryOnce(permit)) this.#failures = 0;
    else await this.#sleep(this.#backoffMs());
  }

  /** False when the engine did not take it. */
  async #tryOnce(permit: Permit): Promise<boolean> {
    const { breaker, answers, clock, ping, deadlineMs } = this.#parts;
    const message = this.#take();
    if (message !== undefined) return this.#settle(message, permit, deadlineMs);
    const sentAtMs = clock.monotonicMs();
    try {
      await ping(deadlineMs);
      breaker.succeed(permit);
      answers.answered(clock.monotonicMs() - sentAtMs);
      return true;
    } catch (error) {
      breaker.judge(permit, error);
      if (isPublishFailure(error)) answers.failed();
      return false;
    }
  }

  async #flushOne(): Promise<void> {
    const { breaker, clock, deadlineMs, perSecond } = this.#parts;
    const nowMs = clock.monotonicMs();
    // What was not sent while there was nothing to send is not made up for.
    this.#nextAtMs = Math.max(this.#nextAtMs, nowMs - 2 * SHORTEST_SLEEP_MS);
    if (this.#nextAtMs - nowMs >= SHORTEST_SLEEP_MS) {
      await this.#sleep(this.#nextAtMs - nowMs);
      return;
    }
    this.#nextAtMs += 1000 / perSecond;
    const permit = breaker.enter();
    if (permit === 0) return;
    if (await this.#sendOldest(permit, deadlineMs)) this.#failures = 0;
    else await this.#sleep(this.#backoffMs());
  }

  /** What waits longest and is still of use. */
  #take(): WaitingMessage | undefined {
    const { outbox, clock, ttlMs, onSettled } = this.#parts;
    const diedBeforeMs = clock.monotonicMs() - ttlMs;
    for (;;) {
      const message = outbox.take();
      if (message === undefined || message.acceptedAtMs > diedBeforeMs) return message;
      outbox.drop(message, 'expired');
      onSettled();
    }
  }

  async #sendOldest(permit: Permit, deadlineMs: number): Promise<boolean> {
    const message = this.#take();
    if (message !== undefined) return this.#settle(message, permit, deadlineMs);
    this.#parts.breaker.cancel(permit);
    return true;
  }

  /** False when it went back into the outbox. */
  async #settle(message: WaitingMessage, permit: Permit, deadlineMs: number): Promise<boolean> {
    const { outbox, send, onSettled } = this.#parts;
    const end = await send(message, permit, deadlineMs);
    if (typeof end === 'object') outbox.putBack(message);
    else if (end === 'published') outbox.published(message);
    else if (end === 'duplicate') outbox.duplicate(message);
    else outbox.drop(message, end);
    onSettled();
    return typeof end !== 'object';
  }

  #backoffMs(): number {
    this.#failures += 1;
    // At least a millisecond: the jitter may be nothing, and a loop without a pause would take the processor.
    return Math.max(1, backoffDelayMs(this.#failures, BACKOFF, this.#parts.random));
  }

  /** Ends at close(); of close() itself (`keepAlive`) at its own time. */
  async #sleep(ms: number, keepAlive = false): Promise<void> {
    // A send that ends after close() has begun would sleep where nobody wakes it.
    if (ms <= 0 || (this.#closed && !keepAlive)) return;
    const sleeping = new AbortController();
    this.#sleeping = sleeping;
    try {
      await this.#parts.clock.sleep(ms, sleeping.signal, { keepAlive });
    } catch (error) {
      if (!sleeping.signal.aborted) throw error;
    } finally {
      this.#sleeping = undefined;
    }
  }
}
