import { type IntervalHistogram, monitorEventLoopDelay, PerformanceObserver } from 'node:perf_hooks';
import { getHeapStatistics } from 'node:v8';

/** Of the histogram's own timer, milliseconds: what it records contains it. */
const RESOLUTION_MS = 20;
const NS_PER_MS = 1e6;

export interface HeapUse {
  readonly usedBytes: number;
  readonly limitBytes: number;
}

/** What V8 has allocated: its heap, and what that holds outside. */
export function allocatedBytes(): number {
  const { used_heap_size, external_memory } = getHeapStatistics();
  return used_heap_size + external_memory;
}

/** What V8 and the event loop tell of themselves. Holds the process open by nothing. */
export class Vitals {
  #delay: IntervalHistogram | undefined;
  #observer: PerformanceObserver | undefined;
  #gcCount = 0;
  #residentBytes = 0;

  start(): void {
    if (this.#delay !== undefined) return;
    this.#delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
    this.#delay.enable();
    this.#observer = new PerformanceObserver((list) => {
      this.#gcCount += list.getEntries().length;
    });
    this.#observer.observe({ entryTypes: ['gc'] });
  }

  stop(): void {
    this.#delay?.disable();
    this.#observer?.disconnect();
  }

  /** Collections since start(), young and full. */
  get gcCount(): number {
    return this.#gcCount;
  }

  /** Used against the limit; never against what V8 has reserved, of which it is always nearly full. */
  heap(): HeapUse {
    const { used_heap_size, heap_size_limit } = getHeapStatistics();
    return { usedBytes: used_heap_size, limitBytes: heap_size_limit };
  }

  /** Resident set. The last known one when it cannot be had: reading it takes a descriptor, and there may be none left. */
  residentBytes(): number {
    try {
      this.#residentBytes = process.memoryUsage.rss();
    } catch {
      // EMFILE, ENFILE: pressure must be told and answered all the same.
    }
    return this.#residentBytes;
  }

  /** Longest delay of the event loop since the last call, milliseconds. */
  takeDelayMs(): number {
    const delay = this.#delay;
    if (delay === undefined || delay.count === 0) return 0;
    const maxMs = Math.max(0, delay.max / NS_PER_MS - RESOLUTION_MS);
    delay.reset();
    return maxMs;
  }
}
