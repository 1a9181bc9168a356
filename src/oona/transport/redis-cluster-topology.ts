import { backoffDelayMs } from '../../core/backoff.ts';
import { abortedError, closedError, TransportError } from '../errors.ts';
import type { CallBounds } from './in-flight.ts';
import { isSlot, parseSlots, SlotMap, type SlotRange } from './redis-cluster-slots.ts';
import type { RedisConnection } from './redis-connection.ts';
import type { RedisParts } from './redis-links.ts';
import { nodeName } from './redis-target.ts';
import type { RedisNode } from './redis-url.ts';

/** Nodes asked at the same time: one that hangs must not hold up the others. */
const ASKED_AT_ONCE = 3;
/** Refreshes wanted within so long after the last one count as one trouble, and are paced. */
const CALM_MS = 1000;

/** Which node of a Cluster has which slot, for all links of one transport. */
export class ClusterTopology {
  readonly #parts: RedisParts;
  readonly #open: (node: RedisNode) => RedisConnection;
  readonly #listeners = new Set<() => void>();
  readonly #closing = new AbortController();
  #map: SlotMap | undefined;
  #refreshing: Promise<void> | undefined;
  #refreshedAtMs = Number.NEGATIVE_INFINITY;
  #streak = 0;

  /** `open` makes a connection for one question. */
  constructor(parts: RedisParts, open: (node: RedisNode) => RedisConnection) {
    this.#parts = parts;
    this.#open = open;
  }

  get map(): SlotMap | undefined {
    return this.#map;
  }

  /** Called after each change of the map; returns what ends it. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** The map, asked for when it is not known yet. Ends with the deadline. */
  async known({ what, deadlineMs, signal }: CallBounds): Promise<SlotMap> {
    if (this.#map !== undefined) return this.#map;
    const { clock, target } = this.#parts;
    const over = new AbortController();
    const ends = AbortSignal.any([over.signal, this.#closing.signal, ...(signal ? [signal] : [])]);
    const expired = clock.sleep(deadlineMs, ends).then(
      () => {
        const text = `${what}: ${target.masked} did not tell its slots within ${deadlineMs} ms`;
        throw new TransportError('ESPER_OONA_TIMEOUT', text, { retryable: true });
      },
      () => {
        throw signal?.aborted ? abortedError(what, signal) : closedError(what);
      },
    );
    try {
      await Promise.race([expired, this.#refresh()]);
    } finally {
      over.abort();
    }
    if (this.#map === undefined) throw closedError(what);
    return this.#map;
  }

  /** A node said who has the slot now. */
  moved(slot: number, node: RedisNode): void {
    if (!isSlot(slot)) return;
    this.#map?.assign(slot, node);
    this.refreshSoon();
  }

  /** Returns at once. Wanted again and again, as by calls that fail one after the other, it is paced with jitter. */
  refreshSoon(): void {
    this.#refresh().catch(() => undefined);
  }

  close(): void {
    this.#closing.abort();
  }

  #refresh(): Promise<void> {
    this.#refreshing ??= this.#pacedRefresh().finally(() => {
      this.#refreshing = undefined;
    });
    return this.#refreshing;
  }

  async #pacedRefresh(): Promise<void> {
    const { clock, random, reconnectBaseMs: baseMs, reconnectCapMs: capMs } = this.#parts;
    const calm = clock.monotonicMs() - this.#refreshedAtMs > CALM_MS + capMs;
    this.#streak = calm ? 0 : this.#streak + 1;
    if (this.#streak > 0) {
      await clock.sleep(backoffDelayMs(this.#streak, { baseMs, capMs }, random), this.#closing.signal);
    }
    try {
      const map = new SlotMap(await this.#askAround());
      this.#map = map;
      for (const listener of this.#listeners) listener();
    } finally {
      this.#refreshedAtMs = clock.monotonicMs();
    }
  }

  /** The first useful answer of any node; rejects with the last error when there is none. */
  async #askAround(): Promise<SlotRange[]> {
    const candidates = this.#candidates();
    let failure: unknown;
    while (candidates.length > 0) {
      const some = candidates.splice(0, ASKED_AT_ONCE).map((node) => this.#ask(node));
      try {
        return await Promise.any(some);
      } catch (error) {
        failure = error instanceof AggregateError ? error.errors.at(-1) : error;
      }
    }
    throw failure;
  }

  /** Shuffled: whoever answers wrongly, as a node that was cut off does, is not asked first each time. */
  #candidates(): RedisNode[] {
    const { target, random } = this.#parts;
    const map = this.#map;
    const known = (map?.names ?? []).flatMap((name) => map?.node(name) ?? []);
    const nodes = new Map([...known, ...target.nodes].map((node) => [nodeName(node), node]));
    return [...nodes.values()]
      .map((node) => ({ node, order: random() }))
      .sort((a, b) => a.order - b.order)
      .map(({ node }) => node);
  }

  async #ask(node: RedisNode): Promise<SlotRange[]> {
    const connection = this.#open(node);
    const { connectTimeoutMs, target } = this.#parts;
    const bounds = { what: 'ask for the slots', deadlineMs: connectTimeoutMs, signal: this.#closing.signal };
    try {
      const ranges = parseSlots(
        await connection.run(bounds, (client) => client.callBuffer('CLUSTER', ['SLOTS'])),
        node,
      );
      if (ranges.length === 0) {
        const text = `${nodeName(node)} of ${target.masked} knows of no slots: it is not part of the Cluster yet`;
        throw new TransportError('ESPER_OONA_DISCONNECTED', text, { retryable: true });
      }
      return ranges.map((range) => ({ ...range, primary: this.mapped(range.primary) }));
    } finally {
      connection.close();
    }
  }

  /** The address to connect to instead of the one told. */
  mapped(node: RedisNode): RedisNode {
    return this.#parts.target.natMap.get(nodeName(node)) ?? node;
  }
}
