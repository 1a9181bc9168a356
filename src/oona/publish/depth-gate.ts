import type { PublishRole } from './message-kinds.ts';
import type { ResolvedPublishingOptions } from './options.ts';

interface Known {
  depth: number;
  lookedAtMs: number;
  /** Appends of this process since. */
  since: number;
}

/** Share of the room below the limit that is filled without another look; the rest is for other publishers. */
const BLIND_SHARE = 1 / 4;

/**
 * Which appends look at the depth. Looking costs the engine about half as much again as the append, and far below the
 * limit nothing can happen between two looks: so one look in `depthLookMs` is enough there, and near the limit each
 * append looks.
 */
export class DepthGate {
  readonly #options: ResolvedPublishingOptions;
  readonly #known: Partial<Record<PublishRole, Known>> = {};

  constructor(options: ResolvedPublishingOptions) {
    this.#options = options;
  }

  /** Depth at which this append must not be stored; undefined: it need not look. */
  limit(role: PublishRole, mayReroute: boolean, nowMs: number): number | undefined {
    const { dropDepth, rerouteDepth, measureDepth, depthLookMs } = this.#options;
    const drop = dropDepth === 0 ? Number.POSITIVE_INFINITY : dropDepth;
    const limit = mayReroute && rerouteDepth > 0 ? Math.min(drop, rerouteDepth) : drop;
    if (limit === Number.POSITIVE_INFINITY && !measureDepth) return undefined;
    const known = this.#known[role];
    if (known === undefined) return limit;
    known.since += 1;
    if (known.since >= (limit - known.depth) * BLIND_SHARE) return limit;
    if (nowMs - known.lookedAtMs < depthLookMs) return undefined;
    // The others under way need not look too.
    known.lookedAtMs = nowMs;
    return limit;
  }

  /** Up to which depth a message that is not stored for the limit is rerouted. */
  moveBelow(mayReroute: boolean): number {
    const { dropDepth, rerouteDepth } = this.#options;
    if (!mayReroute || rerouteDepth === 0) return 0;
    return dropDepth === 0 ? Number.POSITIVE_INFINITY : dropDepth;
  }

  /**
   * Depth before an append that did not look: what the last look found and what this process has appended since. Others'
   * appends and what was acknowledged meanwhile are not in it.
   */
  estimate(role: PublishRole): number | undefined {
    const known = this.#known[role];
    return known === undefined ? undefined : known.depth + known.since;
  }

  measured(role: PublishRole, depth: number, nowMs: number): void {
    const known = this.#known[role];
    if (known === undefined) this.#known[role] = { depth, lookedAtMs: nowMs, since: 0 };
    else {
      known.depth = depth;
      known.lookedAtMs = nowMs;
      known.since = 0;
    }
  }
}
