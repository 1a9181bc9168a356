import { systemClock } from '../../core/clock.ts';
import { errorMessage } from '../../core/errors.ts';
import { silentLogger } from '../../core/logger.ts';
import { Metrics } from '../../core/metrics.ts';
import type { EmergencyLevel } from '../../leyline/messages.ts';
import type { NativeMemorySample } from '../../native/contract.ts';
import { loadNative } from '../../native/load.ts';
import { KernelFiles } from './files.ts';
import { ForcedGc, type ForcedGcOutcome } from './forced-gc.ts';
import { LevelTracker, levelRank, type MemoryLevel } from './level.ts';
import { type MemoryLimit, MemoryLimitFinder, type MemoryLimits, sameWatched } from './limit.ts';
import {
  levelRules,
  type MemoryMonitorOptions,
  type ResolvedMemoryOptions,
  resolveMemoryOptions,
} from './options.ts';
import { nextLookMs } from './pace.ts';
import { KernelPressure } from './pressure.ts';
import { PressureReporter } from './reporter.ts';
import { type MemoryAlarm, MemorySampler } from './sampler.ts';
import { parseMemorySize } from './size.ts';
import { Troubles } from './troubles.ts';
import type {
  MemoryLevelChange,
  MemoryMonitor,
  MemoryMonitorParts,
  MemoryStatus,
  MemoryUse,
} from './types.ts';
import { allocatedBytes, type HeapUse, Vitals } from './vitals.ts';

const COMPONENT = 'monitor:memory';

/**
 * Watches the memory of this process. Throws OptionError on options that are not allowed and on a MEMORY_LIMIT that is
 * no size; whatever the machine lacks throws nothing, see `status().troubles`.
 */
export function createMemoryMonitor(
  options: MemoryMonitorOptions | undefined,
  parts: MemoryMonitorParts,
): MemoryMonitor {
  return new Monitor(resolveMemoryOptions(options), parts);
}

class Monitor implements MemoryMonitor {
  readonly #options: ResolvedMemoryOptions;
  readonly #parts: MemoryMonitorParts;
  readonly #clock;
  readonly #metrics: Metrics;
  readonly #logger;
  readonly #troubles: Troubles;
  readonly #finder: MemoryLimitFinder;
  readonly #tracker: LevelTracker;
  readonly #reporter: PressureReporter;
  readonly #vitals = new Vitals();
  readonly #gc: ForcedGc;
  readonly #listeners = new Set<(change: MemoryLevelChange) => void>();
  readonly #stopped = new AbortController();
  #limits: MemoryLimits;
  #sampler: MemorySampler | undefined;
  #sample: NativeMemorySample | undefined;
  #heap: HeapUse;
  #use: MemoryUse;
  #heapRaises = 0;
  #nextReadMs = 0;

  constructor(options: ResolvedMemoryOptions, parts: MemoryMonitorParts) {
    const { clock = systemClock, metrics = new Metrics(), logger = silentLogger, env = process.env } = parts;
    this.#options = options;
    this.#parts = parts;
    this.#clock = clock;
    this.#metrics = metrics;
    this.#logger = logger;
    this.#troubles = new Troubles(clock, metrics, (trouble) =>
      this.#guarded(() => logger.warn({ ...trouble }, 'memory monitor: goes on without it')),
    );
    const text = env.MEMORY_LIMIT?.trim();
    const fromEnv = text === undefined || text === '' ? undefined : parseMemorySize('MEMORY_LIMIT', text);
    const files = new KernelFiles(options.root);
    this.#finder = new MemoryLimitFinder(files, this.#troubles, options.memoryLimitBytes, fromEnv);
    this.#tracker = new LevelTracker(levelRules(options));
    this.#reporter = new PressureReporter(COMPONENT, parts.errors, this.#vitals, new KernelPressure(files));
    this.#gc = new ForcedGc(options, allocatedBytes);
    this.#limits = this.#finder.find();
    this.#heap = this.#vitals.heap();
    this.#use = this.#measure();
  }

  get level(): MemoryLevel {
    return this.#tracker.level;
  }

  get limit(): MemoryLimit {
    return this.#limits.limit;
  }

  start(): void {
    if (this.#sampler !== undefined || this.#stopped.signal.aborted) return;
    const module = this.#parts.native ?? loadNative().module;
    const { watched } = this.#limits;
    this.#vitals.start();
    this.#reporter.begin(this.#limits.cgroup);
    this.#sampler = new MemorySampler(module, this.#options, watched, this.#alarm(), this.#troubles);
    this.#nextReadMs = this.#clock.monotonicMs() + this.#options.rereadMs;
    void this.#run();
  }

  stop(): void {
    if (this.#stopped.signal.aborted) return;
    this.#stopped.abort();
    this.#vitals.stop();
    this.#sampler?.close();
    this.#listeners.clear();
  }

  check(): MemoryStatus {
    if (this.#sampler !== undefined && !this.#stopped.signal.aborted) this.#look(this.#sampler, 0);
    return this.status();
  }

  status(): MemoryStatus {
    const { samples = 0, costNs = 0, costMaxNs = 0, crossings = 0, raises = 0 } = this.#sample ?? {};
    return Object.freeze({
      level: this.level,
      use: this.#use,
      limit: this.#limits.limit,
      native: this.#sampler?.native ?? false,
      samples,
      sampleMeanNs: samples > 0 ? costNs / samples : 0,
      sampleMaxNs: costMaxNs,
      crossings,
      raises: raises + this.#heapRaises,
      forcedGcs: this.#gc.count,
      troubles: this.#troubles.list(),
      troublesTotal: this.#troubles.total,
    });
  }

  onLevel(listener: (change: MemoryLevelChange) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  forceGc(): ForcedGcOutcome {
    const outcome = this.#gc.run(this.#clock.monotonicMs());
    if (!outcome.ran) return outcome;
    this.#metrics.increment('memory.forced_gcs_total');
    this.#guarded(() => this.#logger.info({ ...outcome }, 'memory monitor: garbage collected'));
    return outcome;
  }

  #alarm(): MemoryAlarm | undefined {
    const { signal, runId = '' } = this.#parts;
    const level = this.#options.emergencyLevel as EmergencyLevel;
    return signal === undefined ? undefined : { signal, level, origin: COMPONENT, runId };
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopped;
    let sleepMs = 0;
    while (!signal.aborted) {
      const dueMs = this.#clock.monotonicMs() + sleepMs;
      await this.#clock.sleep(sleepMs, signal).catch(() => undefined);
      if (signal.aborted || this.#sampler === undefined) return;
      try {
        this.#look(this.#sampler, Math.max(0, this.#clock.monotonicMs() - dueMs));
      } catch (error) {
        // Nobody awaits this loop: what it threw would be an unhandled rejection, and nothing would watch any more.
        this.#troubles.note('ESPER_MEMORY_SAMPLER', 'look', errorMessage(error));
      }
      sleepMs = nextLookMs(this.#use, this.#options);
    }
  }

  #look(sampler: MemorySampler, lateMs: number): void {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs >= this.#nextReadMs) this.#readLimits(sampler, nowMs);
    this.#sample = sampler.read() ?? this.#sample;
    this.#heap = this.#vitals.heap();
    this.#use = this.#measure();
    const { share, peakShare } = this.#use;
    const previous = this.#tracker.update(share, peakShare, nowMs);
    this.#reporter.noteDelay(lateMs);
    this.#setGauges();
    if (previous !== undefined) this.#changed(sampler, previous, nowMs);
    else if (this.level !== 'normal' && this.#reporter.isDue(nowMs, this.#options.repeatMs))
      this.#report(undefined, nowMs);
    if (levelRank(this.level) >= levelRank('error')) this.forceGc();
    else this.#gc.eased();
  }

  #readLimits(sampler: MemorySampler, nowMs: number): void {
    this.#nextReadMs = nowMs + this.#options.rereadMs;
    const before = this.#limits;
    this.#limits = this.#finder.find();
    const isSame = sameWatched(before.watched, this.#limits.watched);
    if (!isSame) sampler.configure(this.#limits.watched);
    else sampler.reopen();
    if (isSame) return;
    this.#metrics.increment('memory.limit_changes_total');
    const { limit } = this.#limits;
    this.#guarded(() => this.#logger.info({ ...limit }, 'memory monitor: the limit changed'));
  }

  /** Without a sample the resident set stands in, compared with the limit all the same. */
  #measure(): MemoryUse {
    const sample = this.#sample;
    const hasSample = sample !== undefined && sample.limitBytes > 0;
    const limitBytes = hasSample ? sample.limitBytes : this.#limits.limit.limitBytes;
    const usageBytes = hasSample ? sample.usageBytes : this.#vitals.residentBytes();
    const share = usageBytes / limitBytes;
    const peak = hasSample ? sample.peakUsageBytes / (sample.peakLimitBytes || limitBytes) : share;
    const { usedBytes: heapUsedBytes, limitBytes: heapLimitBytes } = this.#heap;
    const heapShare = heapUsedBytes / heapLimitBytes;
    const which = heapShare > Math.max(share, peak) ? 'heap' : 'memory';
    return Object.freeze({
      which,
      share: Math.max(share, heapShare),
      peakShare: Math.max(share, peak, heapShare),
      ...{ usageBytes, limitBytes, heapUsedBytes, heapLimitBytes },
      growthBytesPerSecond: sample?.growthBytesPerSecond ?? 0,
    });
  }

  #changed(sampler: MemorySampler, previous: MemoryLevel, nowMs: number): void {
    const { level } = this;
    this.#metrics.increment('memory.level_changes_total');
    const critical = levelRank('critical');
    // The native thread has raised what it sees; the heap is seen from here alone.
    const isNew = levelRank(level) >= critical && levelRank(previous) < critical;
    if (isNew && this.#use.which === 'heap') {
      const { heapUsedBytes, heapLimitBytes } = this.#use;
      const reason = `memory critical: ${heapUsedBytes} of ${heapLimitBytes} bytes of the V8 heap used`;
      if (sampler.raise(reason)) this.#heapRaises += 1;
    }
    this.#report(previous, nowMs);
    const change = Object.freeze({ level, previous, use: this.#use });
    for (const listener of [...this.#listeners]) this.#guarded(() => listener(change));
  }

  #report(previous: MemoryLevel | undefined, nowMs: number): void {
    const { level } = this;
    this.#reporter.report({ level, previous, use: this.#use, limits: this.#limits, nowMs });
  }

  #setGauges(): void {
    const use = this.#use;
    this.#metrics.setGauge('memory.limit_bytes', use.limitBytes);
    this.#metrics.setGauge('memory.usage_bytes', use.usageBytes);
    this.#metrics.setGauge('memory.usage_percent', use.share * 100);
    this.#metrics.setGauge('memory.heap_used_bytes', use.heapUsedBytes);
    this.#metrics.setGauge('memory.heap_limit_bytes', use.heapLimitBytes);
    this.#metrics.setGauge('memory.level', levelRank(this.level));
    this.#metrics.setGauge('memory.critical_raises', (this.#sample?.raises ?? 0) + this.#heapRaises);
  }

  /** A listener or logger that throws must not end the watching. */
  #guarded(run: () => void): void {
    try {
      run();
    } catch (error) {
      this.#metrics.increment('memory.listener_errors_total');
      try {
        this.#logger.error({ error: errorMessage(error) }, 'memory monitor: a listener threw');
      } catch {
        // The logger itself: it is counted.
      }
    }
  }
}
