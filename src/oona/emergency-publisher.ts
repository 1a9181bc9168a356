import type { CircuitBreaker, Permit } from '../core/circuit-breaker.ts';
import type { Clock } from '../core/clock.ts';
import { errorCode, errorMessage, FastpathError, OptionError } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import type { Metrics } from '../core/metrics.ts';
import { requireRange } from '../core/options.ts';
import type { DecodeLimits } from '../leyline/codec.ts';
import { buildEmergencySignal, type EmergencyInput } from '../leyline/emergency.ts';
import { type EnvelopeAttributes, type SignedEntry, sealMessage } from '../leyline/envelope.ts';
import type { KeyRing } from '../leyline/key-ring.ts';
import { BusMessageType, EmergencyLevel } from '../leyline/messages.ts';
import { closedError } from './errors.ts';
import type { PublishObserver } from './observe/observers.ts';
import type { StreamNames } from './streams.ts';
import { emergencyTrace } from './traced-emergency.ts';
import type { AppendResult, BusTransport } from './transport/transport.ts';
import type { EmergencyPublishOptions, EmergencySignalMessage, PublishResult } from './types.ts';

export interface EmergencyPublisherOptions {
  readonly transport: BusTransport;
  readonly keyRing: KeyRing | undefined;
  readonly source: string;
  readonly streams: StreamNames;
  readonly publishDeadlineMs: number;
  /** How long an entry may stay on its stream, milliseconds. */
  readonly ttlMs: number;
  /** How long an event id stays known, milliseconds. */
  readonly dedupWindowMs: number;
  readonly maxPayloadBytes: number;
  /** Passed also when it is open: an emergency is its probe. */
  readonly breaker: CircuitBreaker;
  readonly observer: PublishObserver;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly logger: Logger;
}

const metricNames = (prefix: string) => ({
  published: `${prefix}.published_total`,
  duplicate: `${prefix}.duplicate_total`,
  failed: `${prefix}.failed_total`,
});
/** Put together once: a publish would otherwise do it several times. */
const TOTALS = metricNames('oona.publish');
const METRICS = metricNames('oona.publish.emergency');
const CUT_UNREAD = 'oona.publish.cut_unread_total';
const LATENCY_MS = 'oona.publish.emergency.latency_ms';

/** The attribute is for peers that do not decode the message; the message has the whole reason. */
const REASON_ATTRIBUTE_LENGTH = 512;

/** Takes about ten milliseconds and makes the emergencies after it 5 % faster; twice as many gain nothing more. */
const REHEARSALS = 400;
/** With every field set, as an emergency has them. */
const REHEARSED: EmergencyInput = Object.freeze({
  level: EmergencyLevel.EMERGENCY_LEVEL_NOTICE,
  reason: 'rehearsal',
  origin: 'oona',
  runId: 'rehearsal',
  step: 1,
  signalId: 'rehearsal',
  bootId: 'rehearsal',
  monotonicNs: 1n,
  wallMs: 1,
  attributes: Object.freeze({ host: 'rehearsal' }),
});

/** The short way of emergencies: no gate, no outbox, nothing that could hold one back. */
export class EmergencyStreamPublisher {
  readonly #options: EmergencyPublisherOptions;
  readonly #limits: DecodeLimits;
  readonly #onCutUnread = (count: number): void => this.#options.metrics.increment(CUT_UNREAD, count);
  #inFlight = 0;
  #onIdle: (() => void) | undefined;
  #idle: Promise<void> | undefined;
  #closed = false;
  #rehearsed = false;

  constructor(options: EmergencyPublisherOptions) {
    this.#options = options;
    this.#limits = Object.freeze({ maxPayloadBytes: options.maxPayloadBytes });
  }

  /** Never rejects: whatever fails is a result. */
  publish(message: EmergencySignalMessage, options: EmergencyPublishOptions = {}): Promise<PublishResult> {
    const { breaker, clock } = this.#options;
    const startedAtMs = clock.monotonicMs();
    const permit = breaker.probe();
    this.#inFlight += 1;
    return this.#append(message, options).then(
      (appended) => this.#stored(permit, appended, startedAtMs),
      (error: unknown) => this.#failed(permit, error, startedAtMs),
    );
  }

  /** Seals emergencies and drops them: the first of a run must not wait for its own code to be compiled. Once. */
  rehearse(): void {
    if (this.#rehearsed) return;
    this.#rehearsed = true;
    for (let i = 0; i < REHEARSALS; i++) this.#seal(buildEmergencySignal(REHEARSED), 'rehearsal', {});
  }

  /** Refuses new publishes and waits for those under way, each of which ends by its own deadline. */
  async close(): Promise<void> {
    this.#closed = true;
    if (this.#inFlight === 0) return;
    this.#idle ??= new Promise((resolve) => {
      this.#onIdle = resolve;
    });
    await this.#idle;
  }

  #stored(permit: Permit, appended: AppendResult, startedAtMs: number): PublishResult {
    const { clock, metrics, breaker, streams } = this.#options;
    breaker.succeed(permit);
    const latencyMs = clock.monotonicMs() - startedAtMs;
    const outcome = appended.outcome === 'appended' ? 'published' : 'duplicate';
    metrics.increment(TOTALS[outcome]);
    metrics.increment(METRICS[outcome]);
    metrics.setGauge(LATENCY_MS, latencyMs);
    return this.#ended({ outcome, stream: streams.emergency, entryId: appended.entryId, latencyMs });
  }

  #failed(permit: Permit, error: unknown, startedAtMs: number): PublishResult {
    const { clock, metrics, logger, breaker, streams } = this.#options;
    breaker.judge(permit, error);
    metrics.increment(TOTALS.failed);
    metrics.increment(METRICS.failed);
    const stream = streams.emergency;
    const code = errorCode(error) ?? 'ESPER_OONA_REDIS';
    const reason = errorMessage(error);
    const retryable = error instanceof FastpathError && error.retryable;
    logger.debug({ code, stream, retryable }, `publish failed: ${reason}`);
    const latencyMs = clock.monotonicMs() - startedAtMs;
    return this.#ended({ outcome: 'failed', stream, code, reason, retryable, latencyMs });
  }

  #ended(result: PublishResult): PublishResult {
    this.#inFlight -= 1;
    if (this.#inFlight === 0) this.#onIdle?.();
    this.#options.observer.publishEnded('emergency', result);
    return result;
  }

  /** Starts at once. Whatever fails is a rejection. */
  #append(message: EmergencySignalMessage, options: EmergencyPublishOptions): Promise<AppendResult> {
    try {
      return this.#start(message, options);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #start(message: EmergencySignalMessage, options: EmergencyPublishOptions): Promise<AppendResult> {
    const { transport, ttlMs, dedupWindowMs, streams } = this.#options;
    const stream = streams.emergency;
    if (this.#closed) throw closedError(`publish to ${stream}`);
    const { deadlineMs = this.#options.publishDeadlineMs, signal } = options;
    requireRange('publish', 'deadlineMs', deadlineMs, 1, 600_000);
    const { signalId: dedupId } = message;
    if (dedupId === '') throw new OptionError('publishEmergency: the message has no signalId');
    const { payload, signature } = this.#seal(message, stream, options);
    const onCutUnread = this.#onCutUnread;
    const request = { stream, payload, signature, dedupId, dedupWindowMs, ttlMs, onCutUnread };
    const call = { deadlineMs, urgent: true };
    return transport.append(request, signal === undefined ? call : { ...call, signal });
  }

  #seal(message: EmergencySignalMessage, stream: string, options: EmergencyPublishOptions): SignedEntry {
    const messageType = BusMessageType.BUS_MESSAGE_TYPE_EMERGENCY_SIGNAL;
    const own = this.#attributes(message, stream);
    const carried = emergencyTrace(options);
    const attributes = carried === undefined ? own : { ...own, ...carried };
    return sealMessage({ messageType, message, attributes }, this.#options.keyRing, this.#limits);
  }

  #attributes(message: EmergencySignalMessage, stream: string): EnvelopeAttributes {
    const { signalId, origin, reason, level } = message;
    return {
      event_id: signalId,
      issued_at_ms: String(Math.floor(this.#options.clock.wallMs())),
      stream,
      source: this.#options.source,
      origin,
      reason: shortened(reason),
      level: String(level),
    };
  }
}

function shortened(text: string): string {
  return text.length <= REASON_ATTRIBUTE_LENGTH
    ? text
    : text.slice(0, REASON_ATTRIBUTE_LENGTH).replace(/[\uD800-\uDBFF]$/, '');
}
