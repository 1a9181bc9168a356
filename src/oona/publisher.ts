import { randomUUID } from 'node:crypto';
import type { Clock } from '../core/clock.ts';
import { errorCode, errorMessage, FastpathError, OptionError } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import type { Metrics } from '../core/metrics.ts';
import { requireRange } from '../core/options.ts';
import { encodeMessage } from '../leyline/codec.ts';
import { ENVELOPE_ATTRIBUTES, sealEnvelope } from '../leyline/envelope.ts';
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

/** What one publish puts on a stream; made inside the try, because encoding can fail. */
interface Outgoing {
  readonly messageType: BusMessageType;
  readonly payload: Uint8Array;
  readonly eventId: string;
  readonly attributes: Readonly<Record<string, string>>;
}

/** The attribute is for peers that do not decode the message; the message has the whole reason. */
const REASON_ATTRIBUTE_LENGTH = 512;

/** Takes a few milliseconds, once. */
const REHEARSALS = 20;

export class Publisher implements EmergencyPublisher {
  readonly #options: PublisherOptions;
  readonly #inFlight = new Set<Promise<PublishResult>>();
  #closed = false;

  constructor(options: PublisherOptions) {
    this.#options = options;
  }

  publishEmergency(message: EmergencySignalMessage, options: PublishOptions = {}): Promise<PublishResult> {
    return this.#publish('emergency', options, () => {
      const { signalId, origin, reason, level } = message;
      if (signalId === '') throw new OptionError('publishEmergency: the message has no signalId');
      const messageType = BusMessageType.BUS_MESSAGE_TYPE_EMERGENCY_SIGNAL;
      const names = ENVELOPE_ATTRIBUTES;
      return {
        messageType,
        payload: encodeMessage(messageType, message),
        eventId: signalId,
        attributes: {
          [names.origin]: origin,
          [names.reason]: shortened(reason),
          [names.level]: String(level),
        },
      };
    });
  }

  publishTelemetry(packet: TelemetryPacketMessage, options: PublishOptions = {}): Promise<PublishResult> {
    return this.#publish('telemetry', options, () => {
      const messageType = BusMessageType.BUS_MESSAGE_TYPE_TELEMETRY;
      const eventId = packet.packetId === '' ? randomUUID() : packet.packetId;
      return { messageType, payload: encodeMessage(messageType, packet), eventId, attributes: {} };
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

  #publish(
    to: 'emergency' | 'telemetry',
    options: PublishOptions,
    make: () => Outgoing,
  ): Promise<PublishResult> {
    const result = this.#attempt(to, options, make);
    this.#inFlight.add(result);
    result.then(() => this.#inFlight.delete(result));
    return result;
  }

  async #attempt(
    to: 'emergency' | 'telemetry',
    options: PublishOptions,
    make: () => Outgoing,
  ): Promise<PublishResult> {
    const { clock, metrics } = this.#options;
    const stream = this.#options.streams[to];
    const startedAtMs = clock.monotonicMs();
    try {
      const { outcome, entryId } = await this.#append(stream, options, make());
      const latencyMs = clock.monotonicMs() - startedAtMs;
      const result = outcome === 'appended' ? 'published' : 'duplicate';
      metrics.increment(`oona.publish.${result}_total`);
      metrics.increment(`oona.publish.${to}.${result}_total`);
      metrics.setGauge(`oona.publish.${to}.latency_ms`, latencyMs);
      return { outcome: result, stream, entryId, latencyMs };
    } catch (error) {
      metrics.increment('oona.publish.failed_total');
      metrics.increment(`oona.publish.${to}.failed_total`);
      const code = errorCode(error) ?? 'ESPER_OONA_REDIS';
      const reason = errorMessage(error);
      const retryable = error instanceof FastpathError && error.retryable;
      this.#options.logger.debug({ code, stream, retryable }, `publish failed: ${reason}`);
      return {
        outcome: 'failed',
        stream,
        code,
        reason,
        retryable,
        latencyMs: clock.monotonicMs() - startedAtMs,
      };
    }
  }

  #append(stream: string, options: PublishOptions, outgoing: Outgoing): Promise<AppendResult> {
    if (this.#closed) throw closedError(`publish to ${stream}`);
    const { transport, keyRing, source, clock, ttlMs, dedupWindowMs, maxPayloadBytes } = this.#options;
    const deadlineMs = options.deadlineMs ?? this.#options.publishDeadlineMs;
    requireRange('publish', 'deadlineMs', deadlineMs, 1, 600_000);
    const { messageType, payload, eventId } = outgoing;
    const names = ENVELOPE_ATTRIBUTES;
    const attributes = {
      ...outgoing.attributes,
      [names.eventId]: eventId,
      [names.issuedAtMs]: String(Math.floor(clock.wallMs())),
      [names.stream]: stream,
      [names.source]: source,
    };
    const sealed = sealEnvelope({ messageType, payload, attributes }, keyRing, { maxPayloadBytes });
    const call = options.signal === undefined ? { deadlineMs } : { deadlineMs, signal: options.signal };
    return transport.append({ stream, ...sealed, dedupId: eventId, dedupWindowMs, ttlMs }, call);
  }
}

function shortened(text: string): string {
  return text.length <= REASON_ATTRIBUTE_LENGTH
    ? text
    : text.slice(0, REASON_ATTRIBUTE_LENGTH).replace(/[\uD800-\uDBFF]$/, '');
}
