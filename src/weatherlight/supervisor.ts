import type { Clock } from '../core/clock.ts';
import type { Logger } from '../core/logger.ts';
import type { Metrics } from '../core/metrics.ts';
import type { Random } from '../core/random.ts';
import { createShutdown, type Shutdown } from '../core/shutdown.ts';
import type { Oona } from '../oona/oona.ts';
import type { Engine } from '../pipeline/engine.ts';
import { setEngineGauges } from '../pipeline/engine-gauges.ts';
import { openEmergencySignal } from '../signals/emergency-signal.ts';
import type { EmergencySignal } from '../signals/types.ts';
import { bootId } from '../tolaria/boot-id.ts';
import { type Bridge, createBridge } from './bridge.ts';
import { type BusLink, createBusLink, openBus } from './bus-link.ts';
import type { Context } from './context.ts';
import { createDetector, type Detection, type Detector } from './detection.ts';
import { createSupervisorEngine } from './engine.ts';
import type { EventHub } from './events.ts';
import { createFlagSet, type FlagSet } from './flag-set.ts';
import { createForeignRuns, type ForeignRuns } from './foreign-runs.ts';
import { InternalErrors } from './internal-errors.ts';
import { type Notice, NoticeOutlet } from './notices.ts';
import { periodicPacket } from './packets.ts';
import { healthOf, measurementsOf } from './report.ts';
import type { Settings } from './settings.ts';
import type { WeatherlightSnapshot } from './snapshot.ts';
import type { RunningLoops } from './sources.ts';
import { createTelemetrySender, type TelemetrySender } from './telemetry.ts';
import type { StopReport } from './weatherlight.ts';

export interface SupervisorParts {
  readonly signal: EmergencySignal | undefined;
  readonly bus: Oona | 'none' | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly hub: EventHub;
}

/** Of the deadline of a stop: how long errors may take to be told. */
const ERRORS_SHARE = 0.2;

/**
 * A Weatherlight: opens what it needs and puts it on an engine. The sources are adapters, detections travel over its
 * buses to the sinks, and every internal error over its error bus. What an emergency needs at once, the flag of this
 * host and the halt, is done by the source itself before the bus (docs/decisions/0015).
 */
export class Supervisor {
  readonly #settings: Settings;
  readonly #parts: SupervisorParts;
  readonly #context: Context;
  readonly #errors: InternalErrors;
  readonly #oona: Oona | undefined;
  readonly #ownsBus: boolean;
  readonly #detector: Detector;
  readonly #flags: FlagSet;
  readonly #bridge: Bridge;
  readonly #link: BusLink;
  readonly #telemetry: TelemetrySender;
  readonly #engine: Engine<Notice>;
  readonly #running: RunningLoops = new Set();
  readonly #startedAtMs: number;
  readonly #startedMonotonicMs: number;
  #state: WeatherlightSnapshot['state'] = 'running';
  #final: WeatherlightSnapshot | undefined;

  /** Opens the flag and the bus; nothing runs before start(). */
  constructor(settings: Settings, parts: SupervisorParts) {
    const { clock, random, metrics, logger, hub } = parts;
    this.#settings = settings;
    this.#parts = parts;
    this.#startedAtMs = clock.wallMs();
    this.#startedMonotonicMs = clock.monotonicMs();
    const drainTimeoutMs = Math.round(settings.shutdownDeadlineMs * ERRORS_SHARE);
    this.#errors = new InternalErrors({ clock, metrics, logger, hub, drainTimeoutMs });
    this.#ownsBus = parts.bus === undefined;
    this.#oona = this.#openBus();
    this.#context = {
      settings,
      bus: this.#oona,
      bootId: bootId(),
      clock,
      random,
      metrics,
      logger,
      emit: (body) => hub.emit(body),
      reportError: (where, error) => this.#errors.report(where, error),
    };
    this.#detector = createDetector(this.#context);
    this.#telemetry = createTelemetrySender(this.#context);
    const foreignRuns = createForeignRuns(this.#context);
    const flagOutlet = new NoticeOutlet(this.#context);
    const streamOutlet = new NoticeOutlet(this.#context);
    this.#flags = this.#createFlags(foreignRuns, flagOutlet);
    this.#bridge = this.#createBridge(foreignRuns, streamOutlet);
    this.#link = createBusLink(this.#context, this.#oona, {
      handle: (delivery, stop) => this.#bridge.handle(delivery, clock.monotonicNs(), stop),
      prepare: (deliveries) => this.#bridge.prepare(deliveries),
    });
    this.#engine = this.#createEngine(flagOutlet, streamOutlet);
    this.#actOnErrors();
  }

  /** Resolves when the flag is watched; waits for no bus. Rejects with what kept it from that, all closed again. */
  async start(): Promise<void> {
    try {
      await this.#engine.start();
    } catch (error) {
      const shutdown = createShutdown(this.#parts.clock, this.#settings.shutdownDeadlineMs, () => undefined);
      await this.#close(shutdown);
      shutdown.end();
      throw (error as Error).cause ?? error;
    }
  }

  #openBus(): Oona | undefined {
    const { bus } = this.#parts;
    if (bus !== undefined) return bus === 'none' ? undefined : bus;
    return openBus(this.#settings, this.#parts, (event) => this.#errors.reportBus(event));
  }

  #createFlags(foreignRuns: ForeignRuns, outlet: NoticeOutlet): FlagSet {
    const { signal } = this.#parts;
    return createFlagSet({
      context: this.#context,
      detector: this.#detector,
      hooks: {
        mayAct: (emergency) => foreignRuns.mayAct(emergency),
        onDetection: (detection) => {
          foreignRuns.mayAct(detection.emergency);
          tellDetection(outlet, detection);
        },
        onHaltOutcome: (outcome) => outlet.tell({ kind: 'haltOutcome', outcome }),
      },
      first: signal ?? this.#openSignal(),
      reopen: signal === undefined ? () => this.#openSignal() : undefined,
    });
  }

  #createBridge(foreignRuns: ForeignRuns, outlet: NoticeOutlet): Bridge {
    const flags = this.#flags;
    const context = {
      ...this.#context,
      // Live: a bridged emergency goes where new trainers attach.
      get signal() {
        return flags.primary.signal;
      },
    };
    return createBridge(context, {
      detector: this.#detector,
      foreignRuns,
      onDetection: (detection) => tellDetection(outlet, detection),
    });
  }

  #openSignal(): EmergencySignal {
    const { metrics, logger, hub } = this.#parts;
    return openEmergencySignal(this.#settings.signalName, {
      metrics,
      logger,
      // The flag set follows the name itself: it also keeps the old memory, for those who are still in it.
      followName: false,
      onDegraded: (degraded) => hub.emit({ type: 'signalDegraded', ...degraded }),
    });
  }

  #createEngine(flagOutlet: NoticeOutlet, streamOutlet: NoticeOutlet): Engine<Notice> {
    return createSupervisorEngine({
      context: this.#context,
      errors: this.#errors,
      ...{ flags: this.#flags, flagOutlet, bridge: this.#bridge, link: this.#link, streamOutlet },
      ...{ telemetry: this.#telemetry, running: this.#running, startedAtMs: this.#startedAtMs },
      onWatching: () => this.#tellStarted(),
      report: (stop) => this.#report(stop),
    });
  }

  #actOnErrors(): void {
    const { runId, ownHealth } = this.#settings;
    if (this.#oona !== undefined) this.#errors.publishOn(this.#oona);
    this.#errors.escalateAt(ownHealth.escalationLevel, (level, reason) => {
      const { signal } = this.#flags.primary;
      // Trouble that lasts for hours must not fill the ring with what stands already.
      if (signal.level() < level) signal.trigger(level, { reason, origin: 'weatherlight', runId });
    });
  }

  #tellStarted(): void {
    const { hostId, runId, signalName } = this.#settings;
    const { hub, logger } = this.#parts;
    hub.emit({ type: 'started', hostId, runId, signalName });
    logger.info({ hostId, runId, signalName, bus: this.#link.kind }, 'Weatherlight watches');
  }

  async #report(stop: AbortSignal): Promise<void> {
    const { clock, metrics } = this.#parts;
    while (!stop.aborted) {
      await clock.sleep(this.#settings.telemetryIntervalMs, stop).catch(() => undefined);
      if (stop.aborted) return;
      for (const flag of this.#flags.all()) flag.signal.heartbeat();
      this.#errors.setGauges();
      setEngineGauges(metrics, this.#engine.stats());
      const snapshot = this.snapshot();
      const measurements = measurementsOf(snapshot, metrics.snapshot());
      await this.#telemetry.sendOnce(periodicPacket(measurements, healthOf(snapshot), clock.wallMs()), stop);
    }
  }

  snapshot(): WeatherlightSnapshot {
    if (this.#final !== undefined) return this.#final;
    const { clock, metrics } = this.#parts;
    const { hostId, runId, signalName } = this.#settings;
    const { signal, halt } = this.#flags.primary;
    const { generation, level } = signal.read();
    const pending = this.#flags.all().reduce((sum, flag) => sum + flag.outbox.pending(), 0);
    return Object.freeze({
      state: this.#state,
      startedAtMs: this.#startedAtMs,
      uptimeS: (clock.monotonicMs() - this.#startedMonotonicMs) / 1000,
      hostId,
      runId,
      signal: {
        name: signalName,
        kind: signal.kind,
        degraded: signal.degraded,
        level,
        generation,
        segments: this.#flags.all().length,
      },
      bus: { kind: this.#link.kind, state: this.#link.state(), reader: this.#link.readerStats() },
      detections: this.#detector.snapshot(),
      outbox: {
        pending,
        published: metrics.value('weatherlight.outbox.published_total'),
        failed: metrics.value('weatherlight.outbox.failed_total'),
        overwritten: signal.stats().overwrittenUnpublished,
      },
      telemetryWaiting: this.#telemetry.waiting(),
      halt: halt.snapshot(),
      staleTrainers: this.#flags.all().flatMap((flag) => flag.staleTrainers()),
      tasks: [...this.#running],
      troubles: troublesOf(this.#engine),
      lastErrors: this.#errors.list(),
    });
  }

  /** First what takes work in (the reader), then what works it off, then what it worked with. */
  async stop(): Promise<StopReport> {
    const { clock, hub, logger } = this.#parts;
    const deadlineMs = this.#settings.shutdownDeadlineMs;
    this.#state = 'stopping';
    hub.emit({ type: 'stopping', deadlineMs });
    const shutdown = createShutdown(clock, deadlineMs, (name, error) =>
      this.#errors.report(`stop ${name}`, error),
    );
    const { signal } = shutdown;
    // The reader, the tasks, the watch, then what is on the buses; by a deadline of its own, which is the same.
    const { unfinished: parts } = await this.#engine.stop();
    const cut: string[] = [];
    const drain = async (name: string, left: Promise<number>): Promise<void> => {
      // It heeds the deadline and ends, but not because it was done.
      if ((await left) > 0 && signal.aborted) cut.push(name);
    };
    await shutdown.step('outbox', () => drain('outbox', this.#flags.drain(signal)));
    await shutdown.step('telemetry', () => drain('telemetry', this.#telemetry.drain(signal)));
    await this.#close(shutdown);
    const unfinished = Object.freeze([...new Set([...parts, ...cut, ...shutdown.end()])]);
    const clean = unfinished.length === 0;
    const { pending: unpublished } = this.snapshot().outbox;
    hub.emit({ type: 'stopped', clean, unfinished });
    logger.info({ clean, unfinished, unpublished }, 'Weatherlight stopped');
    return Object.freeze({ clean, unfinished, unpublished });
  }

  /** Errors are told before the bus goes that carries them. */
  async #close(shutdown: Shutdown): Promise<void> {
    await shutdown.step('errors', () => this.#errors.close());
    this.#final = Object.freeze({ ...this.snapshot(), state: 'stopped' });
    if (this.#ownsBus) await shutdown.step('bus', async () => this.#oona?.close());
    this.#flags.close();
    this.#detector.close();
  }
}

function tellDetection(outlet: NoticeOutlet, detection: Detection): void {
  outlet.tell({ kind: 'detection', detection });
}

function troublesOf(running: Engine<Notice>): WeatherlightSnapshot['troubles'] {
  return running.health().troubles.filter(({ state }) => state === 'waiting' || state === 'givenUp');
}
