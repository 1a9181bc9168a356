import { OptionError } from '../core/errors.ts';
import type { Metrics } from '../core/metrics.ts';
import { EmergencyInbox } from './emergency-inbox.ts';
import { type EmergencyReader, GroupEmergencyReader } from './emergency-reader.ts';
import { EmergencyCounters } from './emergency-stats.ts';
import { closedError } from './errors.ts';
import {
  type EmergencyReaderOptions,
  type OonaOptions,
  type ResolvedOonaOptions,
  resolveOonaOptions,
  resolveReaderOptions,
} from './options.ts';
import { Publisher } from './publisher.ts';
import { RetryList } from './retry-list.ts';
import { SeenSet } from './seen-set.ts';
import { hostGroup, type StreamNames } from './streams.ts';
import type { BusTransport } from './transport/transport.ts';
import type {
  EmergencyHandler,
  EmergencyPublisher,
  EmergencySignalMessage,
  PublishOptions,
  PublishResult,
  TelemetryPacketMessage,
} from './types.ts';

export interface Oona extends EmergencyPublisher {
  readonly transport: BusTransport;
  readonly streams: StreamNames;
  readonly metrics: Metrics;
  /**
   * Resolves when the engine answered; rejects with TransportError within the deadline (publishDeadlineMs). The first
   * time it costs about ten milliseconds of computing besides: it rehearses an emergency, so that none has to wait for
   * that.
   */
  ensureReady(options?: PublishOptions): Promise<void>;
  /** This host's reader of the emergency stream; one per host and `readerId` at a time. Nothing happens before its start(). */
  emergencyReader(handler: EmergencyHandler, options?: EmergencyReaderOptions): EmergencyReader;
  /** Stops the readers, waits for publishes under way, closes the transport (see `closeTransport`). Idempotent. */
  close(): Promise<void>;
}

/** Failing entries kept in memory at a time; more stay in the engine's pending list until there is room. */
const RETRY_CAPACITY = 256;

class OonaBus implements Oona {
  readonly transport: BusTransport;
  readonly streams: StreamNames;
  readonly metrics: Metrics;
  readonly #options: ResolvedOonaOptions;
  readonly #publisher: Publisher;
  readonly #readers = new Set<EmergencyReader>();
  #closing: Promise<void> | undefined;

  constructor(options: ResolvedOonaOptions) {
    this.#options = options;
    this.transport = options.transport;
    this.streams = options.streams;
    this.metrics = options.metrics;
    this.#publisher = new Publisher({
      ...options,
      ttlMs: options.maxAgeMs,
      dedupWindowMs: options.maxAgeMs + options.maxFutureSkewMs,
    });
  }

  publishEmergency(message: EmergencySignalMessage, options?: PublishOptions): Promise<PublishResult> {
    return this.#publisher.publishEmergency(message, options);
  }

  publishTelemetry(packet: TelemetryPacketMessage, options?: PublishOptions): Promise<PublishResult> {
    return this.#publisher.publishTelemetry(packet, options);
  }

  async ensureReady(options: PublishOptions = {}): Promise<void> {
    await this.transport.ping({ deadlineMs: this.#options.publishDeadlineMs, ...options });
    this.#publisher.rehearse();
  }

  emergencyReader(handler: EmergencyHandler, options: EmergencyReaderOptions = {}): EmergencyReader {
    if (this.#closing !== undefined) throw closedError('open an emergency reader');
    if (typeof handler !== 'function') throw new OptionError('emergencyReader: handler must be a function');
    const { onBacklog, onRejected, ...rest } = options;
    const resolved = resolveReaderOptions(rest);
    const { clock, random, logger, metrics, hostId, maxAgeMs, publishDeadlineMs } = this.#options;
    const counters = new EmergencyCounters(metrics);
    const backoff = { baseMs: resolved.retryBaseMs, capMs: resolved.retryCapMs };
    const retries = new RetryList({ ...backoff, capacity: RETRY_CAPACITY, random });
    const seen = new SeenSet(resolved.seenCapacity);
    const { handlerTimeoutMs, blockMs, batchSize } = resolved;
    const inbox = new EmergencyInbox({
      ...this.#options,
      handler,
      onBacklog,
      onRejected,
      handlerTimeoutMs,
      seen,
      retries,
      counters,
    });
    const place = {
      stream: this.streams.emergency,
      group: hostGroup(hostId, resolved.readerId),
      consumer: hostId,
    };
    const pace = { maxAgeMs, blockMs, batchSize, callDeadlineMs: publishDeadlineMs, backoff };
    const parts = { transport: this.transport, inbox, retries, counters, clock, random, logger };
    const reader = new GroupEmergencyReader({ ...place, ...pace, ...parts }, () =>
      this.#readers.delete(reader),
    );
    this.#readers.add(reader);
    return reader;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await Promise.all([...this.#readers].map((reader) => reader.stop()));
    await this.#publisher.close();
    if (this.#options.closeTransport) await this.transport.close();
  }
}

/**
 * The bus over a transport. Nothing is connected before the first call, so Redis may be away. Throws OptionError, also
 * when neither a key ring nor `unsigned: true` is given.
 */
export function createOona(options: OonaOptions): Oona {
  return new OonaBus(resolveOonaOptions(options));
}
