/** Everything that is counted and measured of one bus, as one plain frozen object. */
import type { Metrics } from '../../core/metrics.ts';
import type { DeadLetterCount } from './dead-letter-gauge.ts';
import type { DepthView } from './depth-table.ts';
import type { LatencyView } from './latency.ts';
import { LATENCY_KINDS, type LatencyBook, type LatencyKind } from './latency-book.ts';
import { ROLE_NAMES, STREAM_ROLES, type StreamRole } from './observers.ts';
import { type BusRecorder, OUTCOMES } from './recorder.ts';
import type { SloSnapshot } from './slo-tracker.ts';

type PerRole<T> = Readonly<Partial<Record<StreamRole, T>>>;

export interface BusMetricsSnapshot {
  /** Unix milliseconds. */
  readonly atMs: number;
  /** By exact name: `publish_rerouted`, `publish_dropped_normal`, and the registry's, `oona.…`. */
  readonly counters: Readonly<Record<string, number>>;
  /** By exact name: `queue_depth_normal`, and the registry's, `oona.…`. */
  readonly gauges: Readonly<Record<string, number>>;
  /** What `windows` of each latency cover, milliseconds. */
  readonly windowsMs: readonly number[];
  /** Streams in which something was counted. */
  readonly latency: Readonly<Record<LatencyKind, PerRole<LatencyView>>>;
  /** Streams that were measured. */
  readonly depth: PerRole<DepthView>;
  readonly slo: SloSnapshot;
}

export interface SnapshotParts {
  readonly recorder: BusRecorder;
  readonly latency: LatencyBook;
  readonly metrics: Metrics;
  readonly windowsMs: readonly number[];
  readonly slo: SloSnapshot;
  readonly deadLetters: DeadLetterCount | undefined;
  readonly monotonicMs: number;
  readonly wallMs: number;
}

/** `publish_<outcome>` and `publish_total`; `handler_<what>_total` of the registry's consumers are theirs. */
const PUBLISH_NAMES = Object.freeze(
  Object.fromEntries(OUTCOMES.map((outcome) => [outcome, `publish_${outcome}`])) as Record<
    (typeof OUTCOMES)[number],
    string
  >,
);

export function takeMetricsSnapshot(parts: SnapshotParts): BusMetricsSnapshot {
  const { recorder, latency, monotonicMs } = parts;
  const registry = parts.metrics.snapshot();
  const depth = recorder.depths.views();
  const views = LATENCY_KINDS.map((kind) => [kind, latency.view(kind, monotonicMs)] as const);
  return Object.freeze({
    atMs: parts.wallMs,
    counters: Object.freeze({ ...registry.counters, ...countersOf(recorder, latency) }),
    gauges: Object.freeze({ ...registry.gauges, ...gaugesOf(depth, parts.deadLetters) }),
    windowsMs: parts.windowsMs,
    latency: Object.freeze(Object.fromEntries(views)) as BusMetricsSnapshot['latency'],
    depth,
    slo: parts.slo,
  });
}

function countersOf(recorder: BusRecorder, latency: LatencyBook): Record<string, number> {
  const counters: Record<string, number> = {};
  let total = 0;
  for (const outcome of OUTCOMES) total += recorder.publishes.total(outcome);
  counters.publish_total = total;
  recorder.publishes.list(counters, PUBLISH_NAMES);
  recorder.handlers.list(counters, { handled: 'consume_handled', failed: 'consume_handler_failures' });
  // Mostly clocks of two hosts that disagree: then the message came before it was sent.
  counters.end_to_end_uncounted = latency.uncounted('endToEnd');
  return counters;
}

function gaugesOf(
  depth: PerRole<DepthView>,
  deadLetters: DeadLetterCount | undefined,
): Record<string, number> {
  const gauges: Record<string, number> = {};
  for (const role of STREAM_ROLES) {
    const view = depth[role];
    if (view !== undefined) gauges[`queue_depth_${ROLE_NAMES[role]}`] = view.now;
  }
  if (deadLetters !== undefined) gauges.dead_letters = deadLetters.count;
  return gauges;
}
