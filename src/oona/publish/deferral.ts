/** Publishing that waits: the outbox, who fills it, who empties it, and what is told of it. */
import type { CircuitBreaker, Permit } from '../../core/circuit-breaker.ts';
import type { Clock } from '../../core/clock.ts';
import { errorCode, errorMessage, FastpathError } from '../../core/errors.ts';
import type { Logger } from '../../core/logger.ts';
import type { Metrics } from '../../core/metrics.ts';
import type { Random } from '../../core/random.ts';
import type { SignedEntry } from '../../leyline/envelope.ts';
import type { WorkPublishResult } from '../work-types.ts';
import type { Appender } from './appender.ts';
import type { ConservativeMode } from './conservative-mode.ts';
import type { EngineAnswers } from './engine-answers.ts';
import type { ErrorEvents } from './error-events.ts';
import type { ResolvedPublishingOptions } from './options.ts';
import { Outbox, type OutboxDrop, type OutboxStats, type WaitingMessage } from './outbox.ts';
import { OutboxFlusher, type SendEnd } from './outbox-flusher.ts';
import { type Outgoing, type OutgoingParts, sealedFor } from './outgoing.ts';
import type { PublishMetrics } from './publish-metrics.ts';
import type { StreamTrims } from './stream-trims.ts';

export interface DeferralParts {
  readonly appender: Appender;
  readonly breaker: CircuitBreaker;
  readonly answers: EngineAnswers;
  readonly mode: ConservativeMode;
  readonly ping: (deadlineMs: number) => Promise<void>;
  readonly ends: PublishMetrics;
  readonly events: ErrorEvents;
  readonly trims: StreamTrims;
  readonly clock: Clock;
  readonly random: Random;
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly deadlineMs: number;
  readonly sealing: OutgoingParts;
  /** A message that has waited longer is refused by its receivers, milliseconds. */
  readonly ttlMs: number;
}

const SATURATED = 0.8;
const WAITING = 'oona.publish.outbox_waiting';
const WAITING_BYTES = 'oona.publish.outbox_bytes';
/** How long the last one that was sent had waited. */
const WAITED_MS = 'oona.publish.outbox_waited_ms';

export class Deferral {
  readonly #parts: DeferralParts;
  readonly #outbox: Outbox;
  readonly #flusher: OutboxFlusher;

  constructor(parts: DeferralParts, options: ResolvedPublishingOptions) {
    const {
      outboxMaxMessages: maxMessages,
      outboxMaxBytes: maxBytes,
      outboxFlushPerSecond: perSecond,
    } = options;
    this.#parts = parts;
    this.#outbox = new Outbox({ maxMessages, maxBytes }, (message, cause) => this.#dropped(message, cause));
    const send = (message: WaitingMessage, permit: Permit, forMs: number) =>
      this.#send(message, permit, forMs);
    const onSettled = () => this.#gauge();
    this.#flusher = new OutboxFlusher({ ...parts, outbox: this.#outbox, send, onSettled, perSecond });
  }

  /** It counts from here on; its caller is not told again. */
  defer(outgoing: Outgoing, startedAtMs: number): WorkPublishResult {
    const { clock, ends, events } = this.#parts;
    const { route, stream, dedupId, entry } = outgoing;
    const nowMs = clock.monotonicMs();
    const latencyMs = nowMs - startedAtMs;
    const { own: role, to } = route;
    const isIn = this.#outbox.push({ role, to, stream, dedupId, entry, acceptedAtMs: nowMs });
    this.#gauge();
    // One that does not fit at all has ended by #dropped.
    if (!isIn) return { outcome: 'dropped', reason: 'outbox-full', stream, latencyMs };
    const waiting = this.#outbox.waiting;
    if (this.#outbox.fill > SATURATED) {
      events.raise('outbox-saturated', 'outbox', 1, () => ({ waiting: String(waiting) }));
    }
    const result: WorkPublishResult = { outcome: 'deferred', waiting, stream, latencyMs };
    ends.ended(route.own, result);
    return result;
  }

  stats(): OutboxStats {
    return this.#outbox.stats();
  }

  /** Sees how the engine answers, while nothing else is sent. Never rejects. */
  probe(): Promise<void> {
    return this.#flusher.probe();
  }

  async close(forMs: number): Promise<void> {
    await this.#flusher.close(forMs);
    this.#gauge();
  }

  async #send(message: WaitingMessage, permit: Permit, deadlineMs: number): Promise<SendEnd> {
    const { breaker, clock, metrics, sealing } = this.#parts;
    const { emergency: stream } = sealing.streams;
    const sentAtMs = clock.monotonicMs();
    metrics.setGauge(WAITED_MS, sentAtMs - message.acceptedAtMs);
    const end = await this.#append(message, permit, deadlineMs);
    if (end !== 'moved') return end;
    // Rerouted by an earlier try of it, here or elsewhere, which may have ended before it was stored there.
    let entry: SignedEntry;
    try {
      entry = sealedFor(stream, message.entry, sealing);
    } catch (error) {
      return this.#refused(stream, error);
    }
    const leftMs = Math.max(1, sentAtMs + deadlineMs - clock.monotonicMs());
    const moved: WaitingMessage = { ...message, to: 'emergency', stream, entry };
    const again = await this.#append(moved, breaker.probe(), leftMs);
    return again === 'moved' ? 'refused' : again;
  }

  async #append(message: WaitingMessage, permit: Permit, deadlineMs: number): Promise<SendEnd | 'moved'> {
    const { appender, clock, ends, trims } = this.#parts;
    const { role, to, stream } = message;
    const sentAtMs = clock.monotonicMs();
    try {
      const limit = to === 'emergency' ? undefined : appender.depthLimit(to, false, sentAtMs);
      const { outcome, depthBefore } = await appender.append(message, limit, deadlineMs, undefined);
      const nowMs = clock.monotonicMs();
      const latencyMs = nowMs - sentAtMs;
      appender.answered(permit, latencyMs);
      if (depthBefore !== undefined) appender.measured(to, depthBefore, nowMs);
      if (outcome === 'full') return 'back-pressure';
      if (outcome === 'moved') return 'moved';
      trims.appended(to, stream, nowMs);
      const depths = depthBefore === undefined ? {} : { depthBefore, depthAfter: depthBefore + 1 };
      const end = outcome === 'appended' ? 'published' : 'duplicate';
      const isMoved = end === 'published' && to !== role;
      ends.ended(role, { outcome: isMoved ? 'rerouted' : end, latencyMs, ...depths });
      return end;
    } catch (error) {
      appender.judge(permit, error, deadlineMs);
      const isRetryable = error instanceof FastpathError && error.retryable;
      return isRetryable ? { retry: error } : this.#refused(stream, error);
    }
  }

  /** Its publisher was told `deferred`: nobody else hears why it goes. */
  #refused(stream: string, error: unknown): 'refused' {
    const fields = { code: errorCode(error), stream };
    this.#parts.logger.debug(fields, `outbox: refused: ${errorMessage(error)}`);
    return 'refused';
  }

  #dropped({ role, stream, acceptedAtMs }: WaitingMessage, cause: OutboxDrop): void {
    const { events, ends, clock } = this.#parts;
    ends.ended(role, { outcome: 'outbox_dropped', latencyMs: clock.monotonicMs() - acceptedAtMs });
    events.raise('outbox-dropped', role, 1, () => ({ stream, cause }));
    this.#gauge();
  }

  #gauge(): void {
    const { waiting, waitingBytes } = this.#outbox;
    this.#parts.metrics.setGauge(WAITING, waiting);
    this.#parts.metrics.setGauge(WAITING_BYTES, waitingBytes);
  }
}
