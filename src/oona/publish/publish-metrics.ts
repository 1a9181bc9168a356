import type { Metrics } from '../../core/metrics.ts';
import {
  type EndedPublish,
  type PublishObserver,
  ROLE_NAMES,
  type StreamRole,
} from '../observe/observers.ts';

type Outcome = EndedPublish['outcome'];

const OUTCOMES: readonly Outcome[] = [
  'published',
  'rerouted',
  'duplicate',
  'deferred',
  'dropped',
  'rejected',
  'failed',
  'outbox_dropped',
];

type Names = Readonly<Record<Outcome, string>> & { readonly latencyMs: string; readonly depth: string };

const namesOf = (prefix: string, depth: string): Names => ({
  ...(Object.fromEntries(OUTCOMES.map((outcome) => [outcome, `${prefix}.${outcome}_total`])) as Record<
    Outcome,
    string
  >),
  latencyMs: `${prefix}.latency_ms`,
  depth,
});

/** Put together once: a publish would otherwise do it several times. */
const TOTALS = namesOf('oona.publish', '');
const BY_ROLE = Object.freeze(
  Object.fromEntries(
    Object.entries(ROLE_NAMES).map(([role, name]) => [
      role,
      namesOf(`oona.publish.${name}`, `queue_depth_${name}`),
    ]),
  ),
) as Readonly<Record<StreamRole, Names>>;

/** Names that operators' alerts know; they stand beside the `oona.publish.` counters of the same events. */
const REROUTED = 'publish_rerouted';
const DROPPED = 'publish_dropped';

/** Counts how publishes ended, under the stream that each was meant for. */
export class PublishMetrics {
  readonly #metrics: Metrics;
  readonly #observer: PublishObserver;

  constructor(metrics: Metrics, observer: PublishObserver) {
    this.#metrics = metrics;
    this.#observer = observer;
    // Alerts on a counter that is not there yet never fire.
    for (const name of [REROUTED, DROPPED, TOTALS.outbox_dropped]) metrics.increment(name, 0);
  }

  ended(role: StreamRole, result: EndedPublish): void {
    const { outcome, depthBefore } = result;
    const names = BY_ROLE[role];
    this.#metrics.increment(TOTALS[outcome]);
    this.#metrics.increment(names[outcome]);
    if (outcome === 'published') this.#metrics.setGauge(names.latencyMs, result.latencyMs);
    else if (outcome === 'rerouted') this.#metrics.increment(REROUTED);
    else if (outcome === 'dropped') this.#metrics.increment(DROPPED);
    if (depthBefore !== undefined) this.#metrics.setGauge(names.depth, result.depthAfter ?? depthBefore);
    this.#observer.publishEnded(role, result);
  }
}
