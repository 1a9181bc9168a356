import type { ResolvedMemoryOptions } from './options.ts';
import type { MemoryUse } from './types.ts';

/** The event loop looks no more often: what happens in between is the native thread's, and kept as the peak. */
const MIN_LOOK_MS = 10;
/** As native/core/memory_sampler.h has it, bytes a second. */
const ASSUMED_RATE = 2 ** 32;

type Thresholds = Pick<
  ResolvedMemoryOptions,
  'intervalMs' | 'warningThreshold' | 'errorThreshold' | 'criticalThreshold' | 'shutdownThreshold'
>;

/**
 * Until the next look, so that no threshold is passed unseen by more than one look: the time it takes to the next one at
 * twice the growth seen, or at the fastest that one thread fills memory, at most `intervalMs`.
 */
export function nextLookMs(use: MemoryUse, options: Thresholds): number {
  const { usageBytes, limitBytes, heapUsedBytes, heapLimitBytes, growthBytesPerSecond } = use;
  const memoryMs = msToThreshold(usageBytes, limitBytes, 2 * growthBytesPerSecond, options);
  const heapMs = msToThreshold(heapUsedBytes, heapLimitBytes, 0, options);
  return Math.min(options.intervalMs, Math.max(MIN_LOOK_MS, Math.min(memoryMs, heapMs)));
}

function msToThreshold(usedBytes: number, limitBytes: number, rate: number, options: Thresholds): number {
  const { warningThreshold, errorThreshold, criticalThreshold, shutdownThreshold } = options;
  const thresholds = [warningThreshold, errorThreshold, criticalThreshold, shutdownThreshold];
  const next = thresholds.find((threshold) => threshold * limitBytes > usedBytes);
  return next === undefined ? 0 : ((next * limitBytes - usedBytes) / Math.max(ASSUMED_RATE, rate)) * 1000;
}
