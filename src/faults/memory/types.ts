import type { Clock } from '../../core/clock.ts';
import type { Logger } from '../../core/logger.ts';
import type { Metrics } from '../../core/metrics.ts';
import type { NativeModule } from '../../native/contract.ts';
import type { EmergencySignal } from '../../signals/types.ts';
import type { ErrorSink } from '../error-event.ts';
import type { ForcedGcOutcome } from './forced-gc.ts';
import type { MemoryLevel } from './level.ts';
import type { MemoryLimit } from './limit.ts';
import type { MemoryTrouble } from './troubles.ts';

/** What is full: the memory that the limit is on, or the heap of V8. */
export type MemoryKind = 'memory' | 'heap';

/** One look. All sizes are bytes; shares are of the limit that they belong to. */
export interface MemoryUse {
  /** The fuller of the two, which decides. */
  readonly which: MemoryKind;
  /** Of that one, now. */
  readonly share: number;
  /** Highest since the look before, also while the event loop was blocked. */
  readonly peakShare: number;
  readonly usageBytes: number;
  readonly limitBytes: number;
  readonly heapUsedBytes: number;
  readonly heapLimitBytes: number;
  /** How fast `usageBytes` grew at the latest sample, bytes a second. */
  readonly growthBytesPerSecond: number;
}

export interface MemoryLevelChange {
  readonly level: MemoryLevel;
  readonly previous: MemoryLevel;
  readonly use: MemoryUse;
}

export interface MemoryStatus {
  readonly level: MemoryLevel;
  readonly use: MemoryUse;
  readonly limit: MemoryLimit;
  /** Sampled by the native thread; else by a timer of the event loop. */
  readonly native: boolean;
  readonly samples: number;
  /** Mean and longest time one sample took, nanoseconds. */
  readonly sampleMeanNs: number;
  readonly sampleMaxNs: number;
  /** Times that CRITICAL was crossed, and that the emergency signal was raised for it. */
  readonly crossings: number;
  readonly raises: number;
  readonly forcedGcs: number;
  readonly troubles: readonly MemoryTrouble[];
  readonly troublesTotal: number;
}

/** What a memory monitor works with. */
export interface MemoryMonitorParts {
  /** Where MEMORY_PRESSURE is reported. */
  readonly errors: ErrorSink;
  /** Raised by the native thread when CRITICAL is crossed, for the monitor that was started last. Without one: nothing. */
  readonly signal?: EmergencySignal | undefined;
  /** Of the training, for what is raised. */
  readonly runId?: string | undefined;
  readonly clock?: Clock | undefined;
  readonly metrics?: Metrics | undefined;
  readonly logger?: Logger | undefined;
  /** For MEMORY_LIMIT. Default: process.env. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined;
  /** The native module to use instead of the loaded one. */
  readonly native?: NativeModule | undefined;
}

export interface MemoryMonitor {
  /** Begins to watch. Does not hold the process open. */
  start(): void;
  /** Ends it for good; the native thread has ended when it returns. Idempotent. */
  stop(): void;
  /** Looks now, reports what changed, and tells what it saw. Needs `start()` first. */
  check(): MemoryStatus;
  /** As of the latest look. */
  readonly level: MemoryLevel;
  readonly limit: MemoryLimit;
  status(): MemoryStatus;
  /**
   * Called on every change of level, in the order of subscription, after the event was reported. One that throws is
   * counted and reaches nobody else. Returns the unsubscribe.
   */
  onLevel(listener: (change: MemoryLevelChange) => void): () => void;
  /** Collects garbage now, within the options' bounds: what a step of degradation may do. */
  forceGc(): ForcedGcOutcome;
}
