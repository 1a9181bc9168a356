/** A latency histogram that is also read over the last minutes. */
import { requireRange } from '../../core/options.ts';
import { BUCKET_COUNT, bucketLowNs, bucketWidthNs } from '../../native/histogram-buckets.ts';
import type { HistogramSnapshot } from '../../signals/histogram-snapshot.ts';
import { percentilesOf } from '../../signals/histogram-statistics.ts';
import type { HistogramView } from '../../signals/histogram-view.ts';
import type { LatencyHistogram } from '../../signals/latency-histogram.ts';

const NS_PER_MS = 1e6;
const PERCENTS = Object.freeze([50, 95, 99]);
/** Edges that a window is made of: it covers between `windowMs` and `windowMs` + 1/5 of it. */
const STEPS = 5;

export interface LatencySummary {
  /** What it covers, milliseconds: shorter than asked for while the process is younger; 0 of a cumulative one's start. */
  readonly coversMs: number;
  readonly count: number;
  readonly meanMs: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

export interface LatencyView {
  /** Since the histogram was opened (of a shared one: since its segment was created). */
  readonly total: LatencySummary;
  /** The last `windowsMs[i]` milliseconds, in that order. */
  readonly windows: readonly LatencySummary[];
}

interface Edge {
  readonly atMs: number;
  readonly snapshot: HistogramSnapshot;
}

/** Snapshots at every fifth of one window, oldest first. */
class Edges {
  readonly windowMs: number;
  readonly #edges: Edge[];

  constructor(windowMs: number, first: Edge) {
    this.windowMs = windowMs;
    this.#edges = [first];
  }

  dueAtMs(): number {
    return (this.#edges.at(-1)?.atMs ?? 0) + this.windowMs / STEPS;
  }

  add(edge: Edge): void {
    this.#edges.push(edge);
    // The second oldest is the start as soon as it is old enough.
    while (this.#edges.length > 2 && edge.atMs - (this.#edges[1]?.atMs ?? 0) >= this.windowMs)
      this.#edges.shift();
  }

  get size(): number {
    return this.#edges.length;
  }

  /** The newest edge that is `windowMs` old; the oldest there is while none is. */
  start(nowMs: number): Edge | undefined {
    return this.#edges.findLast(({ atMs }) => nowMs - atMs >= this.windowMs) ?? this.#edges[0];
  }
}

/**
 * `recordMs` is the hot path: plain stores into the histogram's counters. Reading and rolling cost a copy of the
 * buckets each; a histogram in which nothing was counted keeps the copy it has.
 */
export class RollingLatency {
  readonly #histogram: LatencyHistogram;
  readonly #openedAtMs: number;
  readonly #windows: readonly Edges[];
  #newest: HistogramSnapshot;
  #closed = false;

  /** `windowsMs`: 1000 ms to a day each. Closing closes the histogram. */
  constructor(histogram: LatencyHistogram, windowsMs: readonly number[], nowMs: number) {
    this.#histogram = histogram;
    this.#openedAtMs = nowMs;
    this.#newest = histogram.snapshot();
    this.#windows = windowsMs.map((windowMs) => {
      requireRange('latency', 'windowMs', windowMs, 1000, 86_400_000);
      return new Edges(windowMs, { atMs: nowMs, snapshot: this.#newest });
    });
  }

  /** One duration, milliseconds. Negative ones and NaN are counted as invalid, by the histogram. */
  recordMs(durationMs: number): void {
    this.#histogram.record(durationMs * NS_PER_MS);
  }

  /** Keeps the edges of the windows; to be called now and then, at best more often than the shortest window / 5. */
  roll(nowMs: number): void {
    if (this.#closed) return;
    const due = this.#windows.filter((edges) => nowMs >= edges.dueAtMs());
    if (due.length === 0) return;
    const snapshot = this.#take();
    for (const edges of due) edges.add({ atMs: nowMs, snapshot });
  }

  view(nowMs: number): LatencyView {
    const now = this.#take();
    const windows = this.#windows.map((edges) => {
      const start = edges.start(nowMs);
      const interval =
        start === undefined || start.snapshot === now ? undefined : intervalOf(now, start.snapshot);
      return summaryOf(interval, nowMs - (start?.atMs ?? nowMs));
    });
    return Object.freeze({
      total: summaryOf(now, nowMs - this.#openedAtMs),
      windows: Object.freeze(windows),
    });
  }

  /** Not counted: NaN, negative (another host's clock is ahead), or of 73 minutes and more. */
  uncounted(): number {
    return this.#newest.invalid + this.#newest.outOfRange;
  }

  /** Copies of the buckets that the windows hold on to, 37 KB each: at most 7 a window. */
  get held(): number {
    return this.#windows.reduce((sum, { size }) => sum + size, 0);
  }

  close(): void {
    if (!this.#closed) this.#take();
    this.#closed = true;
    this.#histogram.close();
  }

  #take(): HistogramSnapshot {
    if (this.#closed) return this.#newest;
    const snapshot = this.#histogram.snapshot();
    const { count, invalid, outOfRange } = this.#newest;
    const same =
      snapshot.count === count && snapshot.invalid === invalid && snapshot.outOfRange === outOfRange;
    if (!same) this.#newest = snapshot;
    return this.#newest;
  }
}

/**
 * What `later.subtract(earlier)` tells here, in one plain pass: a snapshot of all streams must not hold up the loop for
 * milliseconds.
 */
function intervalOf(later: HistogramSnapshot, earlier: HistogramSnapshot): HistogramView {
  const counts = new Float64Array(BUCKET_COUNT);
  let count = 0;
  let lowest = 0;
  let highest = 0;
  for (let index = 0; index < BUCKET_COUNT; index++) {
    const each = (later.counts[index] as number) - (earlier.counts[index] as number);
    if (each <= 0) continue;
    if (count === 0) lowest = index;
    highest = index;
    counts[index] = each;
    count += each;
  }
  const lastNs = bucketLowNs(highest) + bucketWidthNs(highest) - 1;
  return {
    counts,
    count,
    sumNs: Math.max(0, later.sumNs - earlier.sumNs),
    minNs: count === 0 ? 0 : Math.max(later.minNs, bucketLowNs(lowest)),
    maxNs: count === 0 ? 0 : Math.min(later.maxNs, lastNs),
    outOfRange: later.outOfRange - earlier.outOfRange,
    invalid: later.invalid - earlier.invalid,
  };
}

function summaryOf(measured: HistogramView | undefined, coversMs: number): LatencySummary {
  const { count = 0, sumNs = 0, maxNs = 0 } = measured ?? {};
  const [p50 = 0, p95 = 0, p99 = 0] = measured === undefined ? [] : percentilesOf(measured, PERCENTS);
  return Object.freeze({
    coversMs,
    count,
    meanMs: count === 0 ? 0 : sumNs / count / NS_PER_MS,
    p50Ms: p50 / NS_PER_MS,
    p95Ms: p95 / NS_PER_MS,
    p99Ms: p99 / NS_PER_MS,
    maxMs: maxNs / NS_PER_MS,
  });
}
