/** The memory sampler of the native addon; see contract.ts. */
import type { NativeFlag, NativeTrigger } from './contract.ts';

/** One limit and where to read how much of it is used. */
export interface NativeMemorySource {
  /** For the reason of a raise: 'cgroup v2 /sys/fs/cgroup/app'. */
  readonly label: string;
  readonly usagePath: string;
  /** Of the line that has the number; '' is the first line. */
  readonly usageKey: string;
  /** Number of that line, from 0, the key not counted. */
  readonly usageField: number;
  /** What is used and can be had back at once; '' is the file of the usage. */
  readonly deductPath: string;
  /** '' deducts nothing. */
  readonly deductKey: string;
  /** Of both numbers, bytes. */
  readonly unitBytes: number;
  readonly limitBytes: number;
}

export interface NativeMemoryPlan {
  /** The fullest decides. At most 8; the rest is left out. */
  readonly sources: readonly NativeMemorySource[];
  /** Between two samples far from CRITICAL, milliseconds. */
  readonly intervalMs: number;
  /** At most, near it. */
  readonly nearIntervalMs: number;
  /** Share of a limit. */
  readonly criticalThreshold: number;
  /** A crossing ends when the fullest was below `criticalThreshold - margin` for `dwellMs`. */
  readonly margin: number;
  readonly dwellMs: number;
}

/** 'open' and 'read': the system refused (`faultErrno`); 'format': the number is not there, or cut. */
export type NativeMemoryFault = 'none' | 'open' | 'read' | 'format';

export interface NativeMemorySample {
  /** CLOCK_MONOTONIC, nanoseconds. */
  readonly atNs: number;
  /** Fullest source: its index in the plan. */
  readonly source: number;
  readonly usageBytes: number;
  /** 0 while no source could be read. */
  readonly limitBytes: number;
  readonly deductedBytes: number;
  /** 0 when it shrank. */
  readonly growthBytesPerSecond: number;
  /** Fullest since the read() before. */
  readonly peakUsageBytes: number;
  readonly peakLimitBytes: number;
  readonly peakAtNs: number;
  /** Number of the plan that `source` and `faultSource` are indexes of, from 1. */
  readonly plan: number;
  readonly samples: number;
  /** Readings of sources that failed, of all samples. */
  readonly faults: number;
  /** The latest failure of this plan; the source kept its last good value. */
  readonly fault: NativeMemoryFault;
  readonly faultSource: number;
  readonly faultErrno: number;
  /** It was the file of what is deducted. */
  readonly faultInDeduction: boolean;
  /** Of CRITICAL. */
  readonly crossings: number;
  readonly raises: number;
  readonly raisedAtNs: number;
  /** What all samples took, and the longest one. */
  readonly costNs: number;
  readonly costMaxNs: number;
  /** Until the next one. */
  readonly nextNs: number;
}

/** Samples by itself from when it is opened until close(). Does not hold the process open. */
export interface NativeMemorySampler {
  /** False: on a timer of the event loop, so what blocks the loop hides the pressure. */
  readonly native: boolean;
  /** Replaces the plan; the files are opened anew. */
  configure(plan: NativeMemoryPlan): void;
  /**
   * From now on CRITICAL raises `request` on `flag`, once a crossing, with the numbers behind its reason; also for a
   * crossing that lasts already. Replaces the one before. The flag must be of the same module.
   */
  arm(flag: NativeFlag, request: NativeTrigger): void;
  disarm(): void;
  /** The latest sample; undefined when it was being written at every try. */
  read(): NativeMemorySample | undefined;
  /** Idempotent; the thread has ended when it returns. */
  close(): void;
}
