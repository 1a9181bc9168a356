/** What the bus's publisher and consumers did in this process, counted. */
import type { ConsumerObserver, HandledObservation } from '../consumer/observer.ts';
import type { StreamNames } from '../streams.ts';
import { DepthTable } from './depth-table.ts';
import type { LatencyBook, LatencyKind } from './latency-book.ts';
import { type EndedPublish, type PublishObserver, STREAM_ROLES, type StreamRole } from './observers.ts';
import { Tally } from './tallies.ts';

export const OUTCOMES: readonly EndedPublish['outcome'][] = Object.freeze([
  'published',
  'rerouted',
  'duplicate',
  'deferred',
  'dropped',
  'rejected',
  'failed',
  'outbox_dropped',
]);
type HandlerCount = 'handled' | 'failed';
export interface RecorderOptions {
  readonly latency: LatencyBook;
  readonly streams: StreamNames;
  /** A publish that took longer counts against the publish objective, milliseconds. */
  readonly fastMs: number;
}

/** The hot path of observability: plain stores, no allocation. One per bus. */
export class BusRecorder implements PublishObserver, ConsumerObserver {
  readonly publishes = new Tally(OUTCOMES);
  readonly handlers = new Tally<HandlerCount>(['handled', 'failed']);
  /** Of those stored: how many within `fastMs`. */
  readonly speed = new Tally<'fast'>(['fast']);
  readonly depths = new DepthTable();
  readonly #roles: ReadonlyMap<string, StreamRole>;
  readonly #latency: LatencyBook;
  readonly #fastMs: number;

  constructor({ latency, streams, fastMs }: RecorderOptions) {
    this.#roles = new Map(STREAM_ROLES.map((role) => [streams[role], role]));
    this.#latency = latency;
    this.#fastMs = fastMs;
  }

  publishEnded(role: StreamRole, result: EndedPublish): void {
    const { outcome } = result;
    this.publishes.add(role, outcome, 1);
    if (outcome === 'published' || outcome === 'rerouted' || outcome === 'duplicate') {
      this.#record('publish', role, result.latencyMs);
      if (result.latencyMs <= this.#fastMs) this.speed.add(role, 'fast', 1);
    }
    // The depths of a rerouted one are those of the stream that it was not meant for.
    if (result.depthBefore !== undefined && outcome !== 'rerouted') {
      this.depths.publish(role, result.depthBefore, result.depthAfter);
    }
  }

  handled({ stream, outcome, handlerMs, endToEndMs }: HandledObservation): void {
    const role = this.#roles.get(stream);
    if (role === undefined) return;
    this.#record('handler', role, handlerMs);
    if (outcome === 'handled') {
      this.handlers.add(role, 'handled', 1);
      this.#record('endToEnd', role, endToEndMs);
    } else this.handlers.add(role, 'failed', 1);
  }

  /** Publishes after which the message is on a stream. */
  stored(): number {
    const { publishes } = this;
    return publishes.total('published') + publishes.total('rerouted') + publishes.total('duplicate');
  }

  #record(kind: LatencyKind, role: StreamRole, durationMs: number): void {
    this.#latency.of(kind, role).recordMs(durationMs);
  }
}
