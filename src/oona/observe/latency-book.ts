/** The latency histograms of one bus: three a stream role, opened when they are first needed. */
import type { Clock } from '../../core/clock.ts';
import type { Logger } from '../../core/logger.ts';
import { openLatencyHistogram } from '../../signals/latency-histogram.ts';
import { type LatencyView, RollingLatency } from './latency.ts';
import { ROLE_NAMES, STREAM_ROLES, type StreamRole } from './observers.ts';

/**
 * `publish`: from the call to its answer, of those stored. `endToEnd`: from when the publisher issued the message, by
 * its wall clock, until the handler was done, by ours. `handler`: one run of the handler, also a failed one.
 */
export type LatencyKind = 'publish' | 'endToEnd' | 'handler';

export const LATENCY_KINDS: readonly LatencyKind[] = Object.freeze(['publish', 'endToEnd', 'handler']);

const KIND_NAMES: Readonly<Record<LatencyKind, string>> = Object.freeze({
  publish: 'publish',
  endToEnd: 'end_to_end',
  handler: 'handler',
});

export interface LatencyBookOptions {
  /** Where the histograms live. Shared ones outlive the process and are added up over all that use the name. */
  readonly memory: 'process-local' | 'shared';
  /** Segments are called `<name>.<kind>.<role>`; process-local ones have a number of the book besides. */
  readonly name: string;
  readonly windowsMs: readonly number[];
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Process-local memory of one name is one memory, too: two buses of a process would count into each other's. */
let books = 0;

type ByRole = { [R in StreamRole]?: RollingLatency };

export class LatencyBook {
  readonly #options: LatencyBookOptions;
  readonly #prefix: string;
  readonly #books: Readonly<Record<LatencyKind, ByRole>>;
  #closed = false;

  constructor(options: LatencyBookOptions) {
    this.#options = options;
    books += 1;
    this.#prefix = options.memory === 'shared' ? options.name : `${options.name}.${books}`;
    this.#books = { publish: {}, endToEnd: {}, handler: {} };
    // An emergency must not wait for a histogram to be opened.
    this.of('publish', 'emergency');
  }

  of(kind: LatencyKind, role: StreamRole): RollingLatency {
    return this.#books[kind][role] ?? this.#open(kind, role);
  }

  roll(nowMs: number): void {
    for (const each of this.#all()) each.roll(nowMs);
  }

  /** Of those in which anything was counted. */
  view(kind: LatencyKind, nowMs: number): Partial<Record<StreamRole, LatencyView>> {
    const views: Partial<Record<StreamRole, LatencyView>> = {};
    for (const role of STREAM_ROLES) {
      const view = this.#books[kind][role]?.view(nowMs);
      if (view !== undefined && view.total.count > 0) views[role] = view;
    }
    return Object.freeze(views);
  }

  /** Durations that no histogram could count, see RollingLatency. */
  uncounted(kind: LatencyKind): number {
    return Object.values(this.#books[kind]).reduce((sum, each) => sum + each.uncounted(), 0);
  }

  /** Recording stays safe and counts nothing that anybody reads. Idempotent. */
  close(): void {
    this.#closed = true;
    for (const each of this.#all()) each.close();
  }

  *#all(): Generator<RollingLatency> {
    for (const kind of LATENCY_KINDS) yield* Object.values(this.#books[kind]);
  }

  #open(kind: LatencyKind, role: StreamRole): RollingLatency {
    const { memory, windowsMs, clock, logger } = this.#options;
    const segment = `${this.#prefix}.${KIND_NAMES[kind]}.${ROLE_NAMES[role]}`;
    const options = memory === 'shared' ? { kind: memory, logger } : { kind: memory, logger, stripes: 1 };
    const opened = new RollingLatency(openLatencyHistogram(segment, options), windowsMs, clock.monotonicMs());
    if (this.#closed) opened.close();
    this.#books[kind][role] = opened;
    return opened;
  }
}
