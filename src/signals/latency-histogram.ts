import { refuseUnknownKeys } from '../core/options.ts';
import type { NativeHistogram, NativeModule } from '../native/contract.ts';
import { COUNTERS_COUNT, recordValue } from '../native/histogram-buckets.ts';
import { requireBoolean, requireInteger, SignalClosedError } from './errors.ts';
import { HistogramSnapshot } from './histogram-snapshot.ts';
import { openOrFallBack, resolveSignalOptions } from './open.ts';
import type { Degraded, OpenSignalOptions } from './types.ts';

/** Of OpenSignalOptions, what concerns watching: nobody watches a histogram. */
type WatchOption = 'recheckMs' | 'keepAlive' | 'followName';

/** OpenSignalOptions without what concerns watching. */
export interface OpenHistogramOptions extends Omit<OpenSignalOptions, WatchOption> {
  /** Writers that may record at once, 1-64. Default 16. Counts for whoever creates the segment. */
  readonly stripes?: number;
  /** Only take snapshots, and leave the stripes to writers; `record` then counts nothing. Default false. */
  readonly readOnly?: boolean;
}

const HISTOGRAM_OPTIONS: readonly Exclude<keyof OpenSignalOptions, WatchOption>[] = [
  'kind',
  'attachTimeoutMs',
  'allowGroup',
  'logger',
  'metrics',
  'onDegraded',
  'native',
];
const DEFAULT_STRIPES = 16;
const MAX_STRIPES = 64;

/**
 * Opens the latency histogram of that name. Cumulative, never reset: an interval is the difference of two snapshots.
 * Throws and falls back like `openEmergencySignal`, without a gauge; also, with code `ESPER_NATIVE_STRIPES_FULL`, when
 * living writers hold every stripe. Readers see that in `refusedWriters` of their snapshots.
 */
export function openLatencyHistogram(name: string, options: OpenHistogramOptions = {}): LatencyHistogram {
  const { stripes = DEFAULT_STRIPES, readOnly = false, ...given } = options;
  const what = 'latency histogram';
  refuseUnknownKeys(what, given, HISTOGRAM_OPTIONS);
  const resolved = resolveSignalOptions(what, name, given);
  requireInteger(what, 'stripes', stripes, 1, MAX_STRIPES);
  requireBoolean(what, 'readOnly', readOnly);
  const { attachTimeoutMs, allowGroup } = resolved;
  const opened = openOrFallBack({ what, name, gauge: undefined }, resolved, (module, kind) =>
    module.openHistogram({ name, kind, attachTimeoutMs, allowGroup, stripes, readOnly }),
  );
  return new LatencyHistogram(opened.value, opened.module, opened.degraded);
}

/** Log-linear histogram of durations in nanoseconds, 1 ns to 73 minutes, within 1/256 (0.39 %). */
export class LatencyHistogram {
  readonly kind: 'shared' | 'process-local';
  readonly degraded: Degraded | undefined;
  readonly name: string;
  readonly path: string;
  readonly #native: NativeHistogram;
  readonly #module: NativeModule;
  #counters: Float64Array;
  #closed = false;

  /** Use `openLatencyHistogram`. */
  constructor(native: NativeHistogram, module: NativeModule, degraded: Degraded | undefined) {
    this.kind = native.kind;
    this.degraded = degraded;
    this.name = native.name;
    this.path = native.path;
    this.#native = native;
    this.#module = module;
    this.#counters = native.counters;
  }

  /** Counts one duration, nanoseconds. No native call, never throws; out-of-range and NaN are counted as such. */
  record(valueNs: number): void {
    recordValue(this.#counters, valueNs);
  }

  /** Runs `fn` and records how long it took, also when it throws; a promise counts until it settles. */
  time<T>(fn: () => T): T {
    const stop = this.start();
    let settlesLater = false;
    try {
      const result = fn();
      if (result instanceof Promise) {
        settlesLater = true;
        result.then(stop, stop);
      }
      return result;
    } finally {
      if (!settlesLater) stop();
    }
  }

  /** Starts a stopwatch. The returned function records once and returns the nanoseconds; again it only returns them. */
  start(): () => number {
    const startNs = process.hrtime.bigint();
    let elapsedNs: number | undefined;
    return () => {
      if (elapsedNs === undefined) {
        elapsedNs = Number(process.hrtime.bigint() - startNs);
        this.record(elapsedNs);
      }
      return elapsedNs;
    };
  }

  /** Sum over all writers, also dead ones. Throws SignalClosedError after close(). */
  snapshot(): HistogramSnapshot {
    if (this.#closed) throw new SignalClosedError(`histogram ${this.name}`);
    return HistogramSnapshot.fromNative(this.#native.snapshot(), this.#native.nonce);
  }

  /**
   * A function that returns, each time, what was recorded since the time before; at first, since this call. Whoever
   * wants intervals has one of its own: nobody takes counts away from others.
   */
  intervals(): () => HistogramSnapshot {
    let earlier = this.snapshot();
    return () => {
      const later = this.snapshot();
      const interval = later.subtract(earlier);
      earlier = later;
      return interval;
    };
  }

  /** Idempotent. `record` stays safe afterwards and counts nothing that anybody reads. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    // The stripe may soon have another writer; a late increment of ours would then race its own.
    this.#counters = new Float64Array(COUNTERS_COUNT);
    this.#native.close();
  }

  /** Removes the name; processes that have it open keep their memory. Nothing for process-local memory. */
  unlink(): void {
    if (this.kind === 'shared') this.#module.unlink(this.name);
  }
}
