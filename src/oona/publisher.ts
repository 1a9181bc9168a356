import { randomUUID } from 'node:crypto';
import type { Clock } from '../core/clock.ts';
import { errorCode, errorMessage, FastpathError, OptionError } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import type { Metrics } from '../core/metrics.ts';
import { requireRange } from '../core/options.ts';
import { type DecodeLimits, encodeMessage } from '../leyline/codec.ts';
import { type EnvelopeAttributes, sealEnvelope } from '../leyline/envelope.ts';
import type { KeyRing } from '../leyline/key-ring.ts';
import { BusMessageType, EmergencyLevel, EmergencySignal } from '../leyline/messages.ts';
import { closedError } from './errors.ts';
import type { StreamNames } from './streams.ts';
import type { AppendResult, BusTransport } from './transport/transport.ts';
import type {
  EmergencyPublisher,
  EmergencySignalMessage,
  PublishOptions,
  PublishResult,
  TelemetryPacketMessage,
} from './types.ts';

export interface PublisherOptions {
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
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly logger: Logger;
}

type Destination = 'emergency' | 'telemetry';

/** What one publish puts on a stream. */
interface Outgoing {
  readonly messageType: BusMessageType;
  readonly payload: Uint8Array;
  readonly eventId: string;
  readonly attributes: EnvelopeAttributes;
}

/** Called inside the try, because encoding can fail. */
type Make = (stream: string) => Outgoing;

const metricNames = (prefix: string) => ({
  published: `${prefix}.published_total`,
  duplicate: `${prefix}.duplicate_total`,
  failed: `${prefix}.failed_total`,
  latencyMs: `${prefix}.latency_ms`,
});
/** Put together once: a publish would otherwise do it several times. */
const TOTALS = metricNames('oona.publish');
const METRICS = {
  emergency: metricNames('oona.publish.emergency'),
  telemetry: metricNames('oona.publish.telemetry'),
};

/** The attribute is for peers that do not decode the message; the message has the whole reason. */
const REASON_ATTRIBUTE_LENGTH = 512;

/** Takes a few milliseconds, once. */
const REHEARSALS = 20;

export class Publisher implements EmergencyPublisher {
  readonly #options: PublisherOptions;
  readonly #inFlight = new Set<Promise<PublishResult>>();
  readonly #limits: DecodeLimits;
  #closed = false;

  constructor(options: PublisherOptions) {
    this.#options = options;
    this.#limits = Object.freeze({ maxPayloadBytes: options.maxPayloadBytes });
  }

  publishEmergency(message: EmergencySignalMessage, options: PublishOptions = {}): Promise<PublishResult> {
    return this.#publish('emergency', options, (stream) => {
      const { signalId, origin, reason, level } = message;
      if (signalId === '') throw new OptionError('publishEmergency: the message has no signalId');
      const messageType = BusMessageType.BUS_MESSAGE_TYPE_EMERGENCY_SIGNAL;
      const attributes: EnvelopeAttributes = {
        event_id: signalId,
        issued_at_ms: this.#issuedAtMs(),
        stream,
        source: this.#options.source,
        origin,
        reason: shortened(reason),
        level: String(level),
      };
      return { messageType, payload: encodeMessage(messageType, message), eventId: signalId, attributes };
    });
  }

  publishTelemetry(packet: TelemetryPacketMessage, options: PublishOptions = {}): Promise<PublishResult> {
    return this.#publish('telemetry', options, (stream) => {
      const messageType = BusMessageType.BUS_MESSAGE_TYPE_TELEMETRY;
      const eventId = packet.packetId === '' ? randomUUID() : packet.packetId;
      const attributes: EnvelopeAttributes = {
        event_id: eventId,
        issued_at_ms: this.#issuedAtMs(),
        stream,
        source: this.#options.source,
      };
      return { messageType, payload: encodeMessage(messageType, packet), eventId, attributes };
    });
  }

  /** Seals an emergency and drops it: the first one of a run must not wait for its own code to be compiled. */
  rehearse(): void {
    const { keyRing } = this.#options;
    const messageType = BusMessageType.BUS_MESSAGE_TYPE_EMERGENCY_SIGNAL;
    const message = EmergencySignal.create({
      version: 1,
      level: EmergencyLevel.EMERGENCY_LEVEL_NOTICE,
      reason: 'rehearsal',
    });
    for (let i = 0; i < REHEARSALS; i++) {
      sealEnvelope(
        { messageType, payload: encodeMessage(messageType, message), attributes: { reason: '' } },
        keyRing,
      );
    }
  }

  /** Refuses new publishes and waits for those under way, each of which ends by its own deadline. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(this.#inFlight);
  }

  #publish(to: Destination, options: PublishOptions, make: Make): Promise<PublishResult> {
    const result = this.#attempt(to, options, make);
    this.#inFlight.add(result);
    result.then(() => this.#inFlight.delete(result));
    return result;
  }

  async #attempt(to: Destination, options: PublishOptions, make: Make): Promise<PublishResult> {
    const { clock, metrics } = this.#options;
    const stream = this.#options.streams[to];
    const names = METRICS[to];
    const startedAtMs = clock.monotonicMs();
    try {
      const { outcome, entryId } = await this.#append(stream, options, make);
      const latencyMs = clock.monotonicMs() - startedAtMs;
      const result = outcome === 'appended' ? 'published' : 'duplicate';
      metrics.increment(TOTALS[result]);
      metrics.increment(names[result]);
      metrics.setGauge(names.latencyMs, latencyMs);
      return { outcome: result, stream, entryId, latencyMs };
    } catch (error) {
      metrics.increment(TOTALS.failed);
      metrics.increment(names.failed);
      const code = errorCode(error) ?? 'ESPER_OONA_REDIS';
      const reason = errorMessage(error);
      const retryable = error instanceof FastpathError && error.retryable;
      this.#options.logger.debug({ code, stream, retryable }, `publish failed: ${reason}`);
      const latencyMs = clock.monotonicMs() - startedAtMs;
      return { outcome: 'failed', stream, code, reason, retryable, latencyMs };
    }
  }

  #append(stream: string, options: PublishOptions, make: Make): Promise<AppendResult> {
    if (this.#closed) throw closedError(`publish to ${stream}`);
    const { transport, keyRing, ttlMs, dedupWindowMs } = this.#options;
    const { deadlineMs = this.#options.publishDeadlineMs, signal } = options;
    requireRange('publish', 'deadlineMs', deadlineMs, 1, 600_000);
    const outgoing = make(stream);
    const { payload, signature } = sealEnvelope(outgoing, keyRing, this.#limits);
    const request = { stream, payload, signature, dedupId: outgoing.eventId, dedupWindowMs, ttlMs };
    return transport.append(request, signal === undefined ? { deadlineMs } : { deadlineMs, signal });
  }

  #issuedAtMs(): string {
    return String(Math.floor(this.#options.clock.wallMs()));
  }
}

function shortened(text: string): string {
  return text.length <= REASON_ATTRIBUTE_LENGTH
    ? text
    : text.slice(0, REASON_ATTRIBUTE_LENGTH).replace(/[\uD800-\uDBFF]$/, '');
}
