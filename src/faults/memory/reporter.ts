import { ErrorSeverity } from '../../leyline/messages.ts';
import type { ErrorSink } from '../error-event.ts';
import type { CgroupPlace } from './cgroup-paths.ts';
import { levelRank, type MemoryLevel } from './level.ts';
import type { MemoryLimits } from './limit.ts';
import type { KernelPressure } from './pressure.ts';
import type { MemoryUse } from './types.ts';
import { allocatedBytes, type Vitals } from './vitals.ts';

const CODE = 'MEMORY_PRESSURE';

const SEVERITY: Readonly<Record<MemoryLevel, ErrorSeverity>> = Object.freeze({
  normal: ErrorSeverity.ERROR_SEVERITY_INFO,
  warning: ErrorSeverity.ERROR_SEVERITY_WARNING,
  error: ErrorSeverity.ERROR_SEVERITY_ERROR,
  critical: ErrorSeverity.ERROR_SEVERITY_CRITICAL,
  shutdown: ErrorSeverity.ERROR_SEVERITY_CRITICAL,
});

export interface PressureReport {
  readonly level: MemoryLevel;
  /** Undefined: the level lasts. */
  readonly previous: MemoryLevel | undefined;
  readonly use: MemoryUse;
  readonly limits: MemoryLimits;
  readonly nowMs: number;
}

/** Makes MEMORY_PRESSURE reports: one a change of level, and a slow repeat. */
export class PressureReporter {
  readonly #component: string;
  readonly #errors: ErrorSink;
  readonly #vitals: Vitals;
  readonly #pressure: KernelPressure;
  #lastMs = 0;
  #delayMs = 0;

  constructor(component: string, errors: ErrorSink, vitals: Vitals, pressure: KernelPressure) {
    this.#component = component;
    this.#errors = errors;
    this.#vitals = vitals;
    this.#pressure = pressure;
  }

  /** From here on the kernel's counters are counted. */
  begin(cgroup: CgroupPlace | undefined): void {
    this.#pressure.take(cgroup);
  }

  /** A look that came late: the loop's own delay, also before the loop's histogram has it. */
  noteDelay(lateMs: number): void {
    this.#delayMs = Math.max(this.#delayMs, lateMs, this.#vitals.takeDelayMs());
  }

  isDue(nowMs: number, repeatMs: number): boolean {
    return nowMs - this.#lastMs >= repeatMs;
  }

  report(report: PressureReport): void {
    const { level, use, limits, nowMs } = report;
    this.#lastMs = nowMs;
    const percent = Math.max(use.share, use.peakShare) * 100;
    const what = use.which === 'heap' ? 'V8 heap' : `memory (${limits.limit.source})`;
    this.#errors.emit({
      severity: SEVERITY[level],
      code: CODE,
      message: `${what} at ${percent.toFixed(1)} % of its limit, level ${level}`,
      component: this.#component,
      recoverable: levelRank(level) < levelRank('critical'),
      context: this.#context(report),
    });
    this.#delayMs = 0;
  }

  #context({ level, previous, use, limits }: PressureReport): Record<string, unknown> {
    const isHeap = use.which === 'heap';
    return {
      level,
      ...(previous === undefined ? { repeat: true } : { previous_level: previous }),
      alloc_bytes: allocatedBytes(),
      sys_bytes: this.#vitals.residentBytes(),
      gc_count: this.#vitals.gcCount,
      max_bytes: isHeap ? use.heapLimitBytes : use.limitBytes,
      usage_percent: rounded(use.share * 100),
      peak_percent: rounded(use.peakShare * 100),
      which: use.which,
      source: limits.limit.source,
      usage_bytes: use.usageBytes,
      heap_used_bytes: use.heapUsedBytes,
      growth_bytes_per_second: Math.round(use.growthBytesPerSecond),
      event_loop_delay_ms: rounded(this.#delayMs),
      ...this.#pressure.take(limits.cgroup),
    };
  }
}

const rounded = (value: number): number => Math.round(value * 100) / 100;
