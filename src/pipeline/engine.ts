import { errorMessage, OptionError } from '../core/errors.ts';
import { Metrics } from '../core/metrics.ts';
import { createShutdown } from '../core/shutdown.ts';
import { GracefulDegradation } from '../faults/degradation.ts';
import { ErrorBus } from '../faults/error-bus.ts';
import { levelRank } from '../faults/memory/level.ts';
import { createMemoryMonitor } from '../faults/memory/monitor.ts';
import type { MemoryMonitorOptions } from '../faults/memory/options.ts';
import type { MemoryLevelChange, MemoryMonitor } from '../faults/memory/types.ts';
import { ErrorSeverity } from '../leyline/messages.ts';
import { type Adapter, AdapterPart } from './adapter.ts';
import { type Bus, createBus } from './bus.ts';
import { degradationLevels } from './degradation-levels.ts';
import { type Emitter, EmitterPart } from './emitter.ts';
import {
  type EngineOptions,
  type EngineParts,
  type ResolvedEngineOptions,
  splitOptions,
} from './engine-options.ts';
import type { EngineHealth, EngineState, EngineStats, StopReport } from './engine-types.ts';
import { PipelineError } from './errors.ts';
import type { PartContext } from './supervised-part.ts';
import { createTransformStage, type TransformStage } from './transform.ts';

/** Adapters → internal bus → transforms → external bus → emitters; with an error bus beside them. Made by engine(). */
export class Engine<In, Out = In> {
  readonly internal: Bus<In>;
  readonly external: Bus<Out>;
  readonly errors: ErrorBus;
  /** Undefined with `memoryMonitor: false`. */
  readonly memory: MemoryMonitor | undefined;
  /** Undefined with `gracefulDegradation: false`. */
  readonly degradation: GracefulDegradation | undefined;
  /** Resolves when a stop has ended, whoever asked for it. */
  readonly stopped: Promise<StopReport>;
  readonly #options: ResolvedEngineOptions;
  readonly #parts: EngineParts<In, Out>;
  readonly #context: PartContext;
  readonly #adapters: readonly AdapterPart<In>[];
  readonly #emitters: readonly EmitterPart<Out>[];
  readonly #undo: (() => void)[] = [];
  #stage: TransformStage | undefined;
  #state: EngineState = 'idle';
  #stopping: Promise<StopReport> | undefined;
  #tellStopped!: (report: StopReport) => void;

  /** Throws OptionError. */
  constructor(given: EngineOptions<In, Out>) {
    const { parts, options } = splitOptions(given);
    this.#options = options;
    this.#parts = parts;
    const { clock, random, logger } = options;
    this.errors = parts.errors ?? new ErrorBus({ clock, ...(given.logger === undefined ? {} : { logger }) });
    const { errors } = this;
    this.#context = { clock, random, logger, errors };
    this.internal = createBus<In>({ ...parts.internal, name: 'internal', errors, clock });
    this.external = createBus<Out>({ ...parts.external, name: 'external', errors, clock });
    this.#adapters = (parts.adapters ?? []).map((one) => {
      const { adapter, ...more } = 'adapter' in one ? one : { adapter: one };
      return new AdapterPart(adapter as Adapter<In>, more, this.internal, this.#context);
    });
    this.#emitters = (parts.emitters ?? []).map((one) => {
      const { emitter, ...more } = 'emitter' in one ? one : { emitter: one };
      return new EmitterPart(emitter as Emitter<Out>, more, this.#context);
    });
    requireDistinct('adapters', this.#adapters);
    requireDistinct('emitters', this.#emitters);
    this.memory = this.#openMemory();
    this.degradation = this.#openDegradation();
    this.stopped = new Promise((resolve) => {
      this.#tellStopped = resolve;
    });
  }

  get state(): EngineState {
    return this.#state;
  }

  /**
   * Starts emitters, buses and adapters, one after the other. Resolves when each has been started or has failed once and
   * is tried again in the background, or when it is stopped meanwhile. Rejects with ESPER_PIPELINE_START_FAILED when a required one failed, after all is
   * stopped again; with ESPER_PIPELINE_STATE when it was started or stopped before.
   */
  async start(): Promise<void> {
    if (this.#state !== 'idle') {
      throw new PipelineError('ESPER_PIPELINE_STATE', `engine ${this.#options.name}: it is ${this.#state}`);
    }
    this.#state = 'starting';
    try {
      this.#listen();
      for (const emitter of this.#emitters) await this.#startPart(emitter);
      if (this.#isStopping()) return;
      for (const emitter of this.#emitters) emitter.subscribe(this.external);
      this.#stage = this.#openStage();
      for (const adapter of this.#adapters) await this.#startPart(adapter);
    } catch (error) {
      await this.stop('start failed');
      throw error;
    }
    if (this.#isStopping()) return;
    this.#state = 'running';
  }

  /**
   * Stops in the reverse order: nothing more is taken in, what is queued is delivered, within `stopDeadlineMs`. Never
   * rejects; each further call returns the same promise.
   */
  stop(reason = 'stop()'): Promise<StopReport> {
    this.#stopping ??= this.#stop(reason);
    return this.#stopping;
  }

  health(): EngineHealth {
    const parts = [
      ...this.#adapters.map((part) => ({ part: `adapter:${part.name}`, ...part.stats() })),
      ...this.#emitters.map((part) => ({ part: `emitter:${part.name}`, ...part.stats() })),
    ];
    const troubles = parts
      .filter(({ state }) => state !== 'running')
      .map(({ part, state, lastError }) => ({ part, state, error: lastError }));
    return Object.freeze({
      state: this.#state,
      ready: this.#state === 'running' && troubles.length === 0,
      troubles: Object.freeze(troubles),
      degradation: this.degradation?.snapshot(),
      memory: this.memory?.status(),
    });
  }

  stats(): EngineStats {
    return Object.freeze({
      internal: this.internal.stats(),
      external: this.external.stats(),
      adapters: Object.freeze(this.#adapters.map((adapter) => adapter.stats())),
      emitters: Object.freeze(this.#emitters.map((emitter) => emitter.stats())),
    });
  }

  /** A function, as the state changes during awaits that the compiler does not see. */
  #isStopping(): boolean {
    return this.#stopping !== undefined;
  }

  #openMemory(): MemoryMonitor | undefined {
    const given = this.#parts.memoryMonitor ?? {};
    if (given === false) return undefined;
    if ('onLevel' in given) return given;
    const { clock, metrics = new Metrics(), logger } = this.#options;
    return createMemoryMonitor(given as MemoryMonitorOptions, {
      errors: this.errors,
      clock,
      metrics,
      logger,
    });
  }

  #openDegradation(): GracefulDegradation | undefined {
    const { gracefulDegradation: given = true } = this.#parts;
    if (given === false) return undefined;
    const { levels = [], ...options } = given === true ? {} : given;
    const {
      clock,
      metrics,
      name,
      degradedBufferPercent,
      degradedRatePerSecond: ratePerSecond,
    } = this.#options;
    const own = degradationLevels({
      buses: [this.internal, this.external],
      adapters: this.#adapters,
      bufferFactor: degradedBufferPercent / 100,
      rate: { ratePerSecond, burst: Math.max(1, ratePerSecond) },
      collectGarbage: () => this.memory?.forceGc(),
    });
    const parts = { levels: [...own, ...levels], errors: this.errors, clock, component: name };
    return new GracefulDegradation({ ...parts, ...(metrics === undefined ? {} : { metrics }) }, options);
  }

  #openStage(): TransformStage {
    const { clock, transformTimeoutMs } = this.#options;
    return createTransformStage<In, Out>({
      transforms: (this.#parts.transforms ?? []) as never,
      ...{ internal: this.internal, external: this.external },
      ...{ timeoutMs: transformTimeoutMs, clock, errors: this.errors },
    });
  }

  #listen(): void {
    for (const handler of this.#parts.errorHandlers ?? []) this.#undo.push(this.errors.listen(handler));
    const { signal } = this.#parts;
    if (signal !== undefined) {
      const onAbort = (): void => void this.stop('signal');
      if (signal.aborted) onAbort();
      else signal.addEventListener('abort', onAbort, { once: true });
      this.#undo.push(() => signal.removeEventListener('abort', onAbort));
    }
    if (this.memory === undefined) return;
    this.#undo.push(this.memory.onLevel((change) => this.#onMemoryLevel(change)));
    if (this.#ownsMemory()) this.memory.start();
    // Somebody else's may have risen before this engine listened, and says no more of it while it lasts.
    const { level } = this.memory;
    if (level !== 'normal') {
      this.#onMemoryLevel({ level, previous: 'normal', use: this.memory.status().use });
    }
  }

  #ownsMemory(): boolean {
    const { memoryMonitor } = this.#parts;
    return memoryMonitor === undefined || (memoryMonitor !== false && !('onLevel' in memoryMonitor));
  }

  #onMemoryLevel({ level, use }: MemoryLevelChange): void {
    const { degradation } = this;
    if (degradation === undefined) return;
    const reason = `memory ${level}: ${Math.round(use.share * 100)} % of the ${use.which} limit`;
    const rank = levelRank(level);
    const error = levelRank('error');
    degradation.update(rank < error ? 0 : rank - error + 1, reason);
    if (level === 'shutdown' && this.#isAutomatic()) void this.stop(reason);
  }

  #isAutomatic(): boolean {
    const { gracefulDegradation: given = true } = this.#parts;
    return given === true || (given !== false && given.automatic !== false);
  }

  async #startPart(part: AdapterPart<In> | EmitterPart<Out>): Promise<void> {
    if (this.#isStopping()) return;
    const failure = await part.start();
    if (failure === undefined || !part.options.required || this.#isStopping()) return;
    const { error } = failure;
    const text = `engine ${this.#options.name}: ${part.name} did not start: ${errorMessage(error)}`;
    throw new PipelineError('ESPER_PIPELINE_START_FAILED', text, { cause: error });
  }

  async #stop(reason: string): Promise<StopReport> {
    // A turn of microtasks later, so that #stopping is set before anything is told.
    await Promise.resolve();
    const { clock, stopDeadlineMs, logger, name } = this.#options;
    const failed: string[] = [];
    this.#state = 'stopping';
    const shutdown = createShutdown(clock, stopDeadlineMs, (step, error) => {
      failed.push(step);
      this.#reportStop(step, error);
    });
    const { signal } = shutdown;
    for (const part of [...this.#adapters].reverse()) {
      await shutdown.step(`adapter:${part.name}`, () => part.stop(signal));
    }
    await shutdown.step('bus:internal', () => this.internal.close(signal));
    this.#stage?.stop();
    await shutdown.step('bus:external', () => this.external.close(signal));
    for (const part of [...this.#emitters].reverse()) {
      await shutdown.step(`emitter:${part.name}`, () => part.stop(signal));
    }
    this.degradation?.close();
    if (this.#ownsMemory()) this.memory?.stop();
    // Handlers are told what was reported until now before they are let go of.
    if (this.#parts.errors === undefined) await shutdown.step('bus:error', () => this.errors.close());
    else await shutdown.step('error handlers', () => this.errors.release(this.#parts.errorHandlers ?? []));
    for (const undo of this.#undo.splice(0)) undo();
    const unfinished = Object.freeze([...new Set([...shutdown.end(), ...failed])]);
    const dropped = this.#droppedAtEnd();
    const clean = unfinished.length === 0 && dropped === 0;
    const report = Object.freeze({ reason, clean, unfinished, dropped });
    this.#state = 'stopped';
    logger.info({ engine: name, ...report }, 'engine stopped');
    this.#tellStopped(report);
    return report;
  }

  #droppedAtEnd(): number {
    const { internal, external } = this.stats();
    const all = [...internal.subscriptions, ...external.subscriptions];
    return all.reduce((sum, { droppedFor }) => sum + droppedFor.closed, 0);
  }

  #reportStop(step: string, error: unknown): void {
    this.errors.emit({
      severity: ErrorSeverity.ERROR_SEVERITY_ERROR,
      ...{ code: 'STOP_FAILED', type: 'pipeline.engine.stop_failed', component: step },
      ...{ message: `${step} did not stop: ${errorMessage(error)}`, error, recoverable: true },
    });
  }
}

function requireDistinct(what: string, parts: readonly { readonly name: string }[]): void {
  if (new Set(parts.map(({ name }) => name)).size === parts.length) return;
  throw new OptionError(`engine: two ${what} have one name`);
}

/** An engine that is not started yet. Throws OptionError. */
export function engine<In, Out = In>(options: EngineOptions<In, Out>): Engine<In, Out> {
  return new Engine(options);
}
