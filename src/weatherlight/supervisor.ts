import type { Clock } from '../core/clock.ts';
import { errorCode, errorMessage } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import type { Metrics } from '../core/metrics.ts';
import type { Random } from '../core/random.ts';
import { createShutdown } from '../core/shutdown.ts';
import type { Oona } from '../oona/oona.ts';
import { openEmergencySignal } from '../signals/emergency-signal.ts';
import type { EmergencySignal } from '../signals/types.ts';
import { bootId } from '../tolaria/boot-id.ts';
import { FAST_PATH_LEVEL } from '../tolaria/levels.ts';
import { type Bridge, createBridge } from './bridge.ts';
import { type BusLink, createBusLink, openBus } from './bus-link.ts';
import type { Context } from './context.ts';
import { createDetector, type Detection, type Detector } from './detection.ts';
import type { EventHub } from './events.ts';
import { createFlagSet, type FlagSet } from './flag-set.ts';
import { createForeignRuns } from './foreign-runs.ts';
import type { HaltOutcome } from './halt.ts';
import { keepHouse } from './housekeeping.ts';
import { LastErrors } from './last-errors.ts';
import { emergencyPacket, haltPacket, periodicPacket } from './packets.ts';
import { healthOf, measurementsOf } from './report.ts';
import type { Settings } from './settings.ts';
import type { WeatherlightSnapshot } from './snapshot.ts';
import { createTasks, type Tasks } from './tasks.ts';
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

/** A started Weatherlight: opens what it needs, wires the parts, keeps their loops running, ends them in order. */
export class Supervisor {
  readonly #settings: Settings;
  readonly #parts: SupervisorParts;
  readonly #context: Context;
  readonly #abort = new AbortController();
  readonly #errors = new LastErrors();
  readonly #tasks: Tasks;
  readonly #oona: Oona | undefined;
  readonly #ownsBus: boolean;
  readonly #detector: Detector;
  readonly #flags: FlagSet;
  readonly #bridge: Bridge;
  readonly #link: BusLink;
  readonly #telemetry: TelemetrySender;
  readonly #startedAtMs: number;
  readonly #startedMonotonicMs: number;
  #state: WeatherlightSnapshot['state'] = 'running';
  #haltPackets = 0;
  #final: WeatherlightSnapshot | undefined;

  constructor(settings: Settings, parts: SupervisorParts) {
    const { clock, random, metrics, logger, hub } = parts;
    this.#settings = settings;
    this.#parts = parts;
    this.#startedAtMs = clock.wallMs();
    this.#startedMonotonicMs = clock.monotonicMs();
    this.#ownsBus = parts.bus === undefined;
    this.#oona =
      parts.bus === undefined ? openBus(settings, parts) : parts.bus === 'none' ? undefined : parts.bus;
    this.#context = {
      settings,
      bus: this.#oona,
      bootId: bootId(),
      clock,
      random,
      metrics,
      logger,
      emit: (body) => hub.emit(body),
      reportError: (where, error) => this.#reportError(where, error),
    };
    this.#tasks = createTasks(this.#context, this.#abort.signal);
    this.#detector = createDetector(this.#context);
    this.#telemetry = createTelemetrySender(this.#context);
    const foreignRuns = createForeignRuns(this.#context);
    this.#flags = this.#createFlags((emergency) => foreignRuns.mayAct(emergency));
    this.#bridge = this.#createBridge(foreignRuns);
    this.#link = createBusLink(this.#context, this.#oona, {
      handle: (delivery) => this.#bridge.handle(delivery, clock.monotonicNs(), this.#abort.signal),
      prepare: (deliveries) => this.#bridge.prepare(deliveries),
    });
    const { hostId, runId, signalName } = settings;
    hub.emit({ type: 'started', hostId, runId, signalName });
    logger.info({ hostId, runId, signalName, bus: this.#link.kind }, 'Weatherlight watches');
    this.#startTasks();
  }

  #createFlags(mayAct: (emergency: Detection['emergency']) => boolean): FlagSet {
    const { signal } = this.#parts;
    return createFlagSet({
      context: this.#context,
      detector: this.#detector,
      hooks: {
        mayAct,
        onDetection: (detection) => {
          mayAct(detection.emergency);
          this.#onDetection(detection);
        },
        onHaltOutcome: (outcome) => this.#onHaltOutcome(outcome),
      },
      stop: this.#abort.signal,
      first: signal ?? this.#openSignal(),
      reopen: signal === undefined ? () => this.#openSignal() : undefined,
    });
  }

  #createBridge(foreignRuns: ReturnType<typeof createForeignRuns>): Bridge {
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
      onDetection: (detection) => this.#onDetection(detection),
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

  #onDetection(detection: Detection): void {
    const { emergency } = detection;
    if (emergency.level < FAST_PATH_LEVEL) return;
    const packet = emergencyPacket(detection, this.#settings.hostId, this.#parts.clock.wallMs());
    this.#telemetry.send(packet, emergency.signalId);
  }

  #onHaltOutcome(outcome: HaltOutcome): void {
    this.#haltPackets += 1;
    const stamp = {
      hostId: this.#settings.hostId,
      wallMs: this.#parts.clock.wallMs(),
      // The bus stores an id once: a restarted supervisor must not begin at 1 again.
      sequence: `${this.#startedAtMs.toString(36)}-${this.#haltPackets}`,
    };
    const packet = haltPacket(outcome.signalId, outcome.answers, outcome.stragglers, stamp);
    this.#telemetry.send(packet, outcome.signalId);
  }

  #reportError(where: string, error: unknown): void {
    const { clock, metrics, logger, hub } = this.#parts;
    const code = errorCode(error) ?? 'ESPER_WEATHERLIGHT_INTERNAL';
    const message = errorMessage(error);
    metrics.increment('weatherlight.errors_total');
    this.#errors.add({ where, code, message, wallMs: clock.wallMs() }, clock.monotonicMs());
    logger.error({ where, code, error: message }, 'internal error');
    hub.emit({ type: 'error', where, code, message });
  }

  #startTasks(): void {
    const parts = { link: this.#link, flags: this.#flags, telemetry: this.#telemetry };
    this.#tasks.start('telemetry', (stop) => parts.telemetry.run(stop));
    this.#tasks.start('bus', (stop) => parts.link.run(stop));
    this.#tasks.start('housekeeping', (stop) => keepHouse(this.#context, parts, stop));
    this.#tasks.start('report', (stop) => this.#report(stop));
  }

  async #report(stop: AbortSignal): Promise<void> {
    const { clock, metrics } = this.#parts;
    while (!stop.aborted) {
      await clock.sleep(this.#settings.telemetryIntervalMs, stop).catch(() => undefined);
      if (stop.aborted) return;
      for (const flag of this.#flags.all()) flag.signal.heartbeat();
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
      tasks: this.#tasks.names(),
      lastErrors: this.#errors.list(clock.monotonicMs()),
    });
  }

  /** First what takes work in (the reader), then what works it off, then what it worked with. */
  async stop(): Promise<StopReport> {
    const { clock, hub, logger } = this.#parts;
    const deadlineMs = this.#settings.shutdownDeadlineMs;
    this.#state = 'stopping';
    hub.emit({ type: 'stopping', deadlineMs });
    const shutdown = createShutdown(clock, deadlineMs, (name, error) =>
      this.#reportError(`stop ${name}`, error),
    );
    const { signal } = shutdown;
    const flags = this.#flags.all();
    await shutdown.step('reader', () => this.#link.stopReading());
    this.#abort.abort();
    const work = [this.#tasks.settled(), this.#flags.settled(), this.#bridge.settled()];
    await shutdown.step('tasks', () => Promise.all(work));
    await shutdown.step('outbox', () => Promise.all(flags.map((flag) => flag.outbox.drain(signal))));
    await shutdown.step('telemetry', () => this.#telemetry.drain(signal));
    this.#final = Object.freeze({ ...this.snapshot(), state: 'stopped' });
    if (this.#ownsBus) await shutdown.step('bus', async () => this.#oona?.close());
    this.#flags.close();
    this.#detector.close();
    const unfinished = shutdown.end();
    const clean = unfinished.length === 0;
    const unpublished = this.#final.outbox.pending;
    hub.emit({ type: 'stopped', clean, unfinished });
    logger.info({ clean, unfinished, unpublished }, 'Weatherlight stopped');
    return Object.freeze({ clean, unfinished, unpublished });
  }
}
