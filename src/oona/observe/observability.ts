/** Observability of one bus: what it counts, how well it is, whether it keeps its objectives. */
import type { Clock } from '../../core/clock.ts';
import { OptionError } from '../../core/errors.ts';
import type { Logger } from '../../core/logger.ts';
import type { Metrics } from '../../core/metrics.ts';
import type { CircuitBreakerState, TelemetryPacket } from '../../leyline/messages.ts';
import type { ConsumerObserver } from '../consumer/observer.ts';
import { isPowerOfTwo } from '../emergency-stats.ts';
import type { StreamNames } from '../streams.ts';
import type { StreamDepth } from '../transport/work.ts';
import { DeadLetterGauge } from './dead-letter-gauge.ts';
import { DepthWatch } from './depth-watch.ts';
import { every } from './every.ts';
import { type HealthFacts, type HealthSnapshot, type HealthzResult, healthOf, healthzOf } from './health.ts';
import { healthPacket } from './health-packet.ts';
import { LastErrors } from './last-errors.ts';
import { LatencyBook } from './latency-book.ts';
import { type BusMetricsSnapshot, takeMetricsSnapshot } from './metrics-snapshot.ts';
import { type PublishObserver, STREAM_ROLES, type StreamRole } from './observers.ts';
import { type ObserveOptions, observeOptions, type ResolvedObserveOptions } from './options.ts';
import { BusRecorder } from './recorder.ts';
import { busObjectives, type ObjectiveName } from './slo-definitions.ts';
import { type CountSource, type SloSnapshot, SloTracker } from './slo-tracker.ts';

/** What health asks of the bus's other parts; each is asked when health is. */
export interface HealthSources {
  readonly connected: () => boolean;
  /** By name; 'publish' is the one without which the bus is UNHEALTHY. Default: none. */
  readonly breakers?: () => Readonly<Record<string, CircuitBreakerState>>;
  readonly conservativeMode?: () => boolean;
  /** Age of the oldest entry that this process has pending, milliseconds. */
  readonly oldestPendingMs?: () => number | undefined;
}

export interface ObservabilityParts {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly streams: StreamNames;
  /** Subsystem and host that the packet is from. */
  readonly source: string;
  readonly hostId: string;
  readonly health: HealthSources;
  /** Puts the packet on the telemetry stream. Without it none is published. */
  readonly publish?: (
    packet: TelemetryPacket,
    options: { readonly deadlineMs: number; readonly signal: AbortSignal },
  ) => Promise<{ readonly outcome: string }>;
  /** Measures a stream; asked for `depthRoles` every `depthIntervalMs`. Without it publishes alone measure. */
  readonly readDepth?: (role: StreamRole, signal: AbortSignal) => Promise<StreamDepth>;
  /** Default: all but the emergency stream, which has no depth. */
  readonly depthRoles?: readonly StreamRole[];
}

export interface Observability {
  /** For the publisher and the consumers. */
  readonly observer: PublishObserver & ConsumerObserver;
  /** For the dead-letter auditor. */
  readonly deadLetters: DeadLetterGauge;
  /** One of the last errors from now on. `component`: 'publish', 'consume' … */
  reportError(component: string, error: unknown): void;
  metricsSnapshot(): BusMetricsSnapshot;
  healthSnapshot(): HealthSnapshot;
  sloSnapshot(): SloSnapshot;
  healthz(probe: 'live' | 'ready'): HealthzResult;
  /** Ticks, measures depths and publishes the health packet until aborted. Never rejects. Once. */
  run(signal: AbortSignal): Promise<void>;
  /** One look at objectives, windows and connection; what run() does every `tickMs`. */
  tick(): void;
  /** Gives the histograms back. Snapshots keep answering with what was counted until then. Idempotent. */
  close(): void;
}

const DEPTH_ROLES: readonly StreamRole[] = Object.freeze(STREAM_ROLES.filter((role) => role !== 'emergency'));
/** Stored, or waiting for it by rule: nobody has to be told. */
const TOLD: readonly string[] = ['published', 'duplicate', 'rerouted', 'deferred'];

class BusObservability implements Observability {
  readonly observer: BusRecorder;
  readonly deadLetters = new DeadLetterGauge();
  readonly #parts: ObservabilityParts;
  readonly #options: ResolvedObserveOptions;
  readonly #latency: LatencyBook;
  readonly #errors: LastErrors;
  readonly #depthWatch: DepthWatch;
  readonly #slo: SloTracker<ObjectiveName>;
  readonly #windowsMs: readonly number[];
  #disconnectedSinceMs: number | undefined;
  #everConnected = false;
  #failures = 0;
  #isRunning = false;

  constructor(parts: ObservabilityParts, options: ResolvedObserveOptions) {
    const { clock, logger, metrics, streams } = parts;
    this.#parts = parts;
    this.#options = options;
    this.#windowsMs = Object.freeze([options.shortWindowMs, options.longWindowMs]);
    const objectives = busObjectives(options);
    this.#latency = new LatencyBook({
      memory: options.histograms,
      name: options.histogramName,
      windowsMs: this.#windowsMs,
      clock,
      logger,
    });
    this.observer = new BusRecorder({ latency: this.#latency, streams, fastMs: options.publishTargetMs });
    this.#errors = new LastErrors(clock, options.errorExpiryMs);
    const { highDepth, alertClearRatio: clearRatio, depthRecoveryMs: recoveryMs } = options;
    const depthOf = (role: StreamRole): number | undefined => this.observer.depths.of(role);
    this.#depthWatch = new DepthWatch({ highDepth, clearRatio, recoveryMs, depthOf });
    this.#slo = new SloTracker({
      ...{ objectives, sources: this.#sources(), clock, metrics, logger },
      periodMs: options.sloPeriodMs,
      minEvents: options.sloMinEvents,
      pace: {
        clearRatio,
        clearAfterMs: options.alertClearAfterMs,
        minIntervalMs: options.alertIntervalMs,
      },
      onAlert: options.onAlert,
    });
    this.#lookAtConnection();
  }

  reportError(component: string, error: unknown): void {
    this.#errors.report(component, error);
  }

  metricsSnapshot(): BusMetricsSnapshot {
    const { clock, metrics } = this.#parts;
    return takeMetricsSnapshot({
      ...{ recorder: this.observer, latency: this.#latency, metrics, windowsMs: this.#windowsMs },
      ...{ slo: this.#slo.snapshot(), deadLetters: this.#deadLetterCount() },
      ...{ monotonicMs: clock.monotonicMs(), wallMs: clock.wallMs() },
    });
  }

  sloSnapshot(): SloSnapshot {
    return this.#slo.snapshot();
  }

  healthSnapshot(): HealthSnapshot {
    this.#lookAtConnection();
    return healthOf(this.#facts(), this.#options, this.#parts.clock.wallMs());
  }

  healthz(probe: 'live' | 'ready'): HealthzResult {
    if (probe !== 'live' && probe !== 'ready')
      throw new OptionError(`healthz: 'live' or 'ready', got ${String(probe)}`);
    return healthzOf(probe, this.healthSnapshot());
  }

  tick(): void {
    const nowMs = this.#parts.clock.monotonicMs();
    this.#lookAtConnection();
    this.#latency.roll(nowMs);
    this.#depthWatch.tick(nowMs);
    this.#slo.tick();
  }

  async run(signal: AbortSignal): Promise<void> {
    if (this.#isRunning) throw new OptionError('observe: run() runs already');
    this.#isRunning = true;
    const { clock, readDepth, publish } = this.#parts;
    const { tickMs, depthIntervalMs, healthIntervalMs, healthTelemetry } = this.#options;
    const failed = (what: string) => (error: unknown) => this.#failed(what, error);
    const loops = [every({ clock, signal, intervalMs: tickMs }, () => this.tick(), failed('tick'))];
    if (readDepth !== undefined) {
      const measure = (): Promise<void> => this.#measure(readDepth, signal);
      loops.push(every({ clock, signal, intervalMs: depthIntervalMs }, measure, failed('depth')));
    }
    if (publish !== undefined && healthTelemetry) {
      const tell = (): Promise<void> => this.#publishHealth(publish, signal);
      loops.push(every({ clock, signal, intervalMs: healthIntervalMs }, tell, failed('health')));
    }
    await Promise.all(loops);
    this.#isRunning = false;
  }

  close(): void {
    this.#latency.close();
  }

  #deadLetterCount() {
    const count = this.observer.depths.of('deadLetter');
    return this.deadLetters.get() ?? (count === undefined ? undefined : { count, byType: {} });
  }

  #lookAtConnection(): void {
    const nowMs = this.#parts.clock.monotonicMs();
    if (this.#parts.health.connected()) {
      this.#everConnected = true;
      this.#disconnectedSinceMs = undefined;
    } else this.#disconnectedSinceMs ??= nowMs;
  }

  #facts(): HealthFacts {
    const { health, clock } = this.#parts;
    const since = this.#disconnectedSinceMs;
    const depths = Object.entries(this.observer.depths.views()).map(([role, { now }]) => [role, now]);
    return {
      everConnected: this.#everConnected,
      // At least a little: 0 means connected.
      disconnectedMs: since === undefined ? 0 : Math.max(Number.MIN_VALUE, clock.monotonicMs() - since),
      breakers: health.breakers?.() ?? {},
      conservativeMode: health.conservativeMode?.() ?? false,
      depths: Object.fromEntries(depths),
      oldestPendingMs: health.oldestPendingMs?.(),
      deadLetters: this.#deadLetterCount(),
      activeAlerts: this.#slo.snapshot().activeAlerts,
      lastErrors: this.#errors.list(),
    };
  }

  #sources(): Readonly<Record<ObjectiveName, CountSource>> {
    const { publishes, speed } = this.observer;
    const { metrics } = this.#parts;
    const stored = (): number => this.observer.stored();
    const ended = (what: string): number =>
      STREAM_ROLES.reduce((sum, role) => sum + metrics.value(`oona.consume.${role}.${what}_total`), 0);
    return {
      publish_latency: () => ({ good: speed.total('fast'), bad: stored() - speed.total('fast') }),
      publish_stored: () => ({ good: stored(), bad: publishes.total('dropped') + publishes.total('failed') }),
      delivery: () => ({ good: ended('acknowledged'), bad: ended('dead_lettered') + ended('lost') }),
      depth_recovery: () => this.#depthWatch.counts(),
      depth_recovery_time: () => ({ good: 0, bad: this.#depthWatch.longestMs() }),
      publish_rerouted: () => ({ good: 0, bad: publishes.total('rerouted') }),
      publish_dropped: () => ({ good: 0, bad: publishes.total('dropped') }),
      outbox_dropped: () => ({ good: 0, bad: publishes.total('outbox_dropped') }),
    };
  }

  async #measure(read: NonNullable<ObservabilityParts['readDepth']>, signal: AbortSignal): Promise<void> {
    for (const role of this.#parts.depthRoles ?? DEPTH_ROLES) {
      if (signal.aborted) return;
      const { depth, length } = await read(role, signal);
      // Nobody reads the dead letters in a group: all of them wait.
      this.observer.depths.look(role, role === 'deadLetter' ? length : depth);
    }
  }

  async #publishHealth(
    publish: NonNullable<ObservabilityParts['publish']>,
    signal: AbortSignal,
  ): Promise<void> {
    const { source, hostId, metrics } = this.#parts;
    const parts = { source, hostId, health: this.healthSnapshot(), metrics: this.metricsSnapshot() };
    const { outcome } = await publish(healthPacket(parts), {
      deadlineMs: this.#options.healthIntervalMs,
      signal,
    });
    if (TOLD.includes(outcome)) metrics.increment('oona.health.published_total');
    else metrics.increment('oona.health.not_published_total');
  }

  #failed(what: string, error: unknown): void {
    this.#failures += 1;
    this.#parts.metrics.increment(`oona.observe.${what}_errors_total`);
    this.reportError(what, error);
    if (isPowerOfTwo(this.#failures)) {
      this.#parts.logger.warn(
        { what, times: this.#failures, err: error },
        'observability failed; it goes on',
      );
    }
  }
}

/** Throws OptionError. Nothing runs before run(). */
export function createObservability(parts: ObservabilityParts, options?: ObserveOptions): Observability {
  return new BusObservability(parts, observeOptions.resolve(options));
}
