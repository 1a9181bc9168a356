import type { Metrics } from '../core/metrics.ts';
import { BusMessageType } from '../leyline/messages.ts';
import { consumeBreakerOf, oldestPendingOf, type WatchedConsumer } from './consumer/watched.ts';
import { createDeadLetterAuditor, createDeadLetters, type DeadLetters } from './dead-letters/index.ts';
import { lettersCut } from './dead-letters/letters-cut.ts';
import { EmergencyStreamPublisher } from './emergency-publisher.ts';
import type { EmergencyReader } from './emergency-reader.ts';
import { EmergencyReaders } from './emergency-readers.ts';
import { closedError } from './errors.ts';
import type { HealthSnapshot, HealthzResult } from './observe/health.ts';
import type { BusMetricsSnapshot } from './observe/metrics-snapshot.ts';
import { createObservability, type Observability } from './observe/observability.ts';
import { observeOptions } from './observe/options.ts';
import type { SloAlert, SloSnapshot } from './observe/slo-tracker.ts';
import { type OonaOptions, type ResolvedOonaOptions, resolveOonaOptions } from './options.ts';
import { type ConservativeSwitch, conservativeSwitch } from './publish/conservative-switch.ts';
import { LEYLINE_STATES } from './publish/publish-breaker.ts';
import { createPublishing, type Publishing } from './publish/publishing.ts';
import { UrgentTokens } from './publish/urgent-tokens.ts';
import type { EmergencyReaderOptions } from './reader-options.ts';
import type { StreamNames } from './streams.ts';
import { type BusTracer, createBusTracer } from './trace.ts';
import { TracedEmergencies } from './traced-emergency.ts';
import { TracedPublisher } from './traced-publish.ts';
import type { BusTransport } from './transport/transport.ts';
import type {
  EmergencyHandler,
  EmergencyPublisher,
  EmergencyPublishOptions,
  EmergencySignalMessage,
  PublishOptions,
  PublishResult,
  TelemetryPacketMessage,
} from './types.ts';
import { openWorkConsumer } from './work-consumer.ts';
import type {
  BusMessage,
  Consumer,
  ConsumerOptions,
  DeliveryHandler,
  WorkPublishOptions,
  WorkPublishResult,
} from './work-types.ts';

export interface Oona extends EmergencyPublisher {
  readonly transport: BusTransport;
  readonly streams: StreamNames;
  readonly metrics: Metrics;
  readonly conservativeMode: ConservativeSwitch;
  readonly deadLetters: DeadLetters;
  /** Never throws and never rejects: the result says how it ended, by its deadline. */
  publish(message: BusMessage, options?: WorkPublishOptions): Promise<WorkPublishResult>;
  /** One of the consumers that share out a stream. Nothing happens before its start(). Throws OptionError. */
  consumer(options: ConsumerOptions, handler: DeliveryHandler): Consumer;
  /** This host's reader of the emergency stream; one per host and `readerId` at a time. Nothing happens before its start(). */
  emergencyReader(handler: EmergencyHandler, options?: EmergencyReaderOptions): EmergencyReader;
  /**
   * Resolves when the engine answered; rejects with TransportError within the deadline (publishDeadlineMs). The first
   * time it costs about ten milliseconds of computing besides: it rehearses an emergency, so that none has to wait for
   * that.
   */
  ensureReady(options?: PublishOptions): Promise<void>;
  /**
   * From now on until close(): measures depths, watches objectives, publishes the health packet and what is new among
   * the dead letters to the telemetry stream. Once per host is enough: Weatherlight does it. Idempotent.
   */
  startReporting(): void;
  metricsSnapshot(): BusMetricsSnapshot;
  healthSnapshot(): HealthSnapshot;
  sloSnapshot(): SloSnapshot;
  /** 'live' never depends on the engine, 'ready' does. */
  healthz(probe: 'live' | 'ready'): HealthzResult;
  /** Stops readers and consumers, waits for publishes under way, closes the transport (see `closeTransport`). Idempotent. */
  close(): Promise<void>;
}

/** Entries looked at where the engine cannot count a lag. */
const DEPTH_COUNT_LIMIT = 10_000;
/** Default of `observe.depthIntervalMs`. */
const DEPTH_INTERVAL_MS = 1000;
/** Alerts that say the bus is too slow or refuses: less load is what helps. */
const LOAD_OBJECTIVES: ReadonlySet<string> = new Set(['publish_latency', 'publish_stored']);
/** The one that speaks of minutes. The slower ones speak of hours and days, for which no message can wait. */
const LOAD_RULE = 'fast';
const TRACING_FAILED = 'oona.tracing.failures_total';

class OonaBus implements Oona {
  readonly transport: BusTransport;
  readonly streams: StreamNames;
  readonly metrics: Metrics;
  readonly deadLetters: DeadLetters;
  readonly conservativeMode: ConservativeSwitch;
  readonly #options: ResolvedOonaOptions;
  readonly #emergencies: EmergencyStreamPublisher;
  readonly #publishing: Publishing;
  readonly #observability: Observability;
  readonly #tracer: BusTracer;
  readonly #traced: TracedPublisher;
  readonly #tracedEmergencies: TracedEmergencies;
  readonly #onLettersCut: (letters: number) => void;
  readonly #readers: EmergencyReaders;
  readonly #consumers = new Set<WatchedConsumer>();
  readonly #reportingEnds = new AbortController();
  #reporting: Promise<unknown> | undefined;
  #closing: Promise<void> | undefined;

  constructor(options: ResolvedOonaOptions) {
    const { transport, streams, metrics, maxAgeMs, maxFutureSkewMs, publishDeadlineMs, clock } = options;
    this.#options = options;
    this.transport = transport;
    this.streams = streams;
    this.metrics = metrics;
    this.#observability = this.#observe();
    const { observer } = this.#observability;
    const stored = { ttlMs: maxAgeMs, dedupWindowMs: maxAgeMs + maxFutureSkewMs };
    this.#publishing = createPublishing(
      {
        ...options,
        ...stored,
        observer,
        publishEmergency: (message, more) => this.#emergencies.publish(message, more),
        tokens: new UrgentTokens(options.urgentPerMinute, clock),
        targetMs: observeOptions.resolve(options.observe).publishTargetMs,
      },
      options.tuning,
    );
    const { breaker, mode, errorEvents } = this.#publishing;
    this.#emergencies = new EmergencyStreamPublisher({ ...options, ...stored, observer, breaker });
    this.#tracer = createBusTracer(options.hostId, options.tracing, () => metrics.increment(TRACING_FAILED));
    this.#traced = new TracedPublisher(this.#publishing.publisher, this.#tracer, streams);
    const publishEmergency = this.#emergencies.publish.bind(this.#emergencies);
    this.#tracedEmergencies = new TracedEmergencies(publishEmergency, this.#tracer, streams.emergency);
    this.#onLettersCut = lettersCut(options, errorEvents);
    this.#readers = new EmergencyReaders(options, this.#tracer, this.#onLettersCut);
    this.deadLetters = createDeadLetters({ ...this.#shared(), callDeadlineMs: publishDeadlineMs });
    this.conservativeMode = conservativeSwitch(mode);
  }

  publish(message: BusMessage, options?: WorkPublishOptions): Promise<WorkPublishResult> {
    return this.#traced.publish(message, options);
  }

  publishEmergency(
    message: EmergencySignalMessage,
    options?: EmergencyPublishOptions,
  ): Promise<PublishResult> {
    return this.#tracedEmergencies.publish(message, options);
  }

  /** What Tolaria and Weatherlight say about emergencies: to the telemetry stream, whatever the bus's state. */
  async publishTelemetry(
    message: TelemetryPacketMessage,
    options: PublishOptions = {},
  ): Promise<PublishResult> {
    const { publisher } = this.#publishing;
    const { deadlineMs, signal } = options;
    const result = await publisher.publishInternal(
      { type: BusMessageType.BUS_MESSAGE_TYPE_TELEMETRY, message },
      { aboutEmergency: true, ...(deadlineMs !== undefined && { deadlineMs }), ...(signal && { signal }) },
    );
    const { outcome, stream, latencyMs } = result;
    if (outcome === 'published' || outcome === 'duplicate' || outcome === 'failed') return result;
    const [code, reason] =
      outcome === 'rejected' ? [result.code, result.reason] : ['ESPER_OONA_UNEXPECTED', outcome];
    return { outcome: 'failed', stream, latencyMs, code, reason, retryable: false };
  }

  consumer(options: ConsumerOptions, handler: DeliveryHandler): Consumer {
    if (this.#closing !== undefined) throw closedError('open a consumer');
    const { publishDeadlineMs: callDeadlineMs } = this.#options;
    const { mode } = this.#publishing;
    const conservative = {
      isConservative: () => mode.active,
      subscribe: (listener: () => void) => mode.onChange(listener),
    };
    const onStopped = (): void => void this.#consumers.delete(consumer);
    const { observer } = this.#observability;
    const onLettersCut = this.#onLettersCut;
    const parts = { ...this.#options, callDeadlineMs, conservative, observer, onStopped, onLettersCut };
    const consumer = openWorkConsumer(parts, options, handler, this.#tracer);
    this.#consumers.add(consumer);
    return consumer;
  }

  emergencyReader(handler: EmergencyHandler, options: EmergencyReaderOptions = {}): EmergencyReader {
    if (this.#closing !== undefined) throw closedError('open an emergency reader');
    return this.#readers.open(handler, options);
  }

  async ensureReady(options: PublishOptions = {}): Promise<void> {
    await this.transport.ping({ deadlineMs: this.#options.publishDeadlineMs, ...options });
    this.#emergencies.rehearse();
  }

  startReporting(): void {
    if (this.#closing !== undefined) throw closedError('start reporting');
    const { signal } = this.#reportingEnds;
    const auditor = createDeadLetterAuditor({
      ...this.#shared(),
      publish: (packet, stop) => this.publishTelemetry(packet, { signal: stop }),
      onLook: ({ total, byMessageType }) => this.#observability.deadLetters.set(total, byMessageType),
    });
    this.#reporting ??= Promise.all([this.#observability.run(signal), auditor.run(signal)]);
  }

  metricsSnapshot(): BusMetricsSnapshot {
    return this.#observability.metricsSnapshot();
  }

  healthSnapshot(): HealthSnapshot {
    return this.#observability.healthSnapshot();
  }

  sloSnapshot(): SloSnapshot {
    return this.#observability.sloSnapshot();
  }

  healthz(probe: 'live' | 'ready'): HealthzResult {
    return this.#observability.healthz(probe);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#reportingEnds.abort();
    await Promise.all([this.#readers.stop(), ...[...this.#consumers].map((one) => one.stop())]);
    await this.#reporting;
    await Promise.all([this.#emergencies.close(), this.#publishing.close()]);
    this.#observability.close();
    if (this.#options.closeTransport) await this.transport.close();
  }

  #shared() {
    const { transport, keyRing, streams, maxPayloadBytes, clock, metrics, logger } = this.#options;
    return { transport, keyRing, streams, maxPayloadBytes, clock, metrics, logger };
  }

  #observe(): Observability {
    const { transport, streams, publishDeadlineMs, observe } = this.#options;
    // What another host measured a moment ago serves this one too.
    const maxAgeMs = (observe.depthIntervalMs ?? DEPTH_INTERVAL_MS) / 2;
    const health = {
      connected: () => transport.connected,
      breakers: () => ({
        publish: LEYLINE_STATES[this.#publishing.breaker.state],
        ...consumeBreakerOf(this.#consumers),
      }),
      oldestPendingMs: () => oldestPendingOf(this.#consumers),
      conservativeMode: () => this.#publishing.mode.active,
    };
    return createObservability(
      {
        ...this.#options,
        health,
        publish: (packet, more) => this.publishTelemetry(packet, more),
        readDepth: (role, signal) =>
          transport.depth(streams[role], DEPTH_COUNT_LIMIT, {
            deadlineMs: publishDeadlineMs,
            signal,
            maxAgeMs,
          }),
      },
      { ...observe, onAlert: (alert) => this.#alerted(alert) },
    );
  }

  /** While an alert is active that less load would end, the engine's answers decide on conservative mode. */
  #alerted(alert: SloAlert): void {
    const { objective, rule, state } = alert;
    if (LOAD_OBJECTIVES.has(objective) && rule === LOAD_RULE) {
      this.#publishing.load[state](`slo:${objective}:${rule}`);
    }
    this.#options.observe.onAlert?.(alert);
  }
}

/**
 * The bus over a transport. Nothing is connected before the first call, so Redis may be away. Throws OptionError, also
 * when neither a key ring nor `unsigned: true` is given.
 */
export function createOona(options: OonaOptions): Oona {
  return new OonaBus(resolveOonaOptions(options));
}
