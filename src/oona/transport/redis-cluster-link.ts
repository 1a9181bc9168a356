import { backoffDelayMs } from '../../core/backoff.ts';
import { closedError, TransportError } from '../errors.ts';
import type { CallBounds } from './in-flight.ts';
import { type SlotMap, slotOf } from './redis-cluster-slots.ts';
import type { ClusterTopology } from './redis-cluster-topology.ts';
import type { RedisConnection } from './redis-connection.ts';
import { RedirectError, replyKind } from './redis-errors.ts';
import type { RedisCaller, RedisLink, RunOptions, SendOptions } from './redis-link.ts';
import type { RedisParts } from './redis-links.ts';
import { nodeName } from './redis-target.ts';
import type { RedisNode } from './redis-url.ts';

/** More than any chain of a reshuffle that ends; a loop of nodes that contradict each other does not. */
const MOST_REDIRECTS = 8;
/** Between two tries while a slot moves: half of its keys are here, half there. */
const SPLIT_SLOT = Object.freeze({ baseMs: 2, capMs: 50 });

interface Place {
  readonly node: RedisNode;
  readonly connection: RedisConnection;
  readonly asking: boolean;
}

/** Since the call began. */
interface Tries {
  redirects: number;
  waits: number;
}

type Attempt<T> = (place: Place, bounds: CallBounds) => Promise<T>;

/**
 * One connection to each node of a Cluster that this purpose needs. A command goes to the node of its key's slot and
 * follows the redirects of the nodes within its own deadline; nothing is queued, and nothing is sent for a caller that
 * has its answer already.
 */
export class RedisClusterLink implements RedisLink {
  readonly #parts: RedisParts;
  readonly #topology: ClusterTopology;
  readonly #open: (node: RedisNode) => RedisConnection;
  readonly #connections = new Map<string, RedisConnection>();
  readonly #stopListening: () => void;
  #closed = false;

  constructor(parts: RedisParts, topology: ClusterTopology, open: (node: RedisNode) => RedisConnection) {
    this.#parts = parts;
    this.#topology = topology;
    this.#open = open;
    this.#stopListening = topology.onChange(() => this.#retireOthers());
  }

  get ready(): boolean {
    return this.#connections.size > 0 && [...this.#connections.values()].every(({ ready }) => ready);
  }

  run<T>(options: RunOptions, command: (client: RedisCaller) => Promise<T>): Promise<T> {
    return this.#follow(options, ({ connection, asking }, bounds) => {
      const rest = { ...options, ...bounds };
      return asking ? connection.runAsking(rest, command) : connection.run(rest, command);
    });
  }

  send(options: SendOptions, name: string, wire: Buffer): Promise<unknown> {
    return this.#follow(options, ({ connection, asking }, bounds) => {
      const rest = { ...options, ...bounds };
      return asking ? connection.sendAsking(rest, name, wire) : connection.send(rest, name, wire);
    });
  }

  together(a: string, b: string): boolean {
    return slotOf(a) === slotOf(b);
  }

  async everywhere<T>(
    bounds: CallBounds,
    perform: (node: RedisLink, rest: CallBounds) => Promise<T>,
  ): Promise<readonly T[]> {
    const startedAtMs = this.#now();
    const map = await this.#topology.known(bounds);
    const rest = { ...bounds, deadlineMs: this.#leftMs(bounds, startedAtMs) };
    const nodes = map.names.flatMap((name) => map.node(name) ?? []);
    return Promise.all(nodes.map((node) => perform(this.#connectionTo(node), rest)));
  }

  close(): void {
    this.#closed = true;
    this.#stopListening();
    for (const connection of this.#connections.values()) connection.close();
  }

  /** The steady state costs no more than a look into the map. */
  #follow<T>(bounds: CallBounds, attempt: Attempt<T>): Promise<T> {
    const { map } = this.#topology;
    if (map === undefined || this.#closed) return this.#followFrom(bounds, this.#now(), undefined, attempt);
    const startedAtMs = this.#now();
    const place = this.#placeOf(bounds, map);
    return attempt(place, bounds).catch((error: unknown) =>
      this.#followFrom(bounds, startedAtMs, { place, error }, attempt),
    );
  }

  async #followFrom<T>(
    bounds: CallBounds,
    startedAtMs: number,
    failed: { readonly place: Place; readonly error: unknown } | undefined,
    attempt: Attempt<T>,
  ): Promise<T> {
    let last = failed;
    const tries: Tries = { redirects: 0, waits: 0 };
    for (;;) {
      if (this.#closed) throw closedError(bounds.what);
      const next = last === undefined ? undefined : await this.#placeAfter(last, tries, bounds, startedAtMs);
      const rest = { ...bounds, deadlineMs: this.#leftMs(bounds, startedAtMs) };
      const place = next ?? this.#placeOf(bounds, await this.#topology.known(rest));
      try {
        return await attempt(place, { ...bounds, deadlineMs: this.#leftMs(bounds, startedAtMs) });
      } catch (error) {
        last = { place, error };
      }
    }
  }

  /** Where to try again after `error`, or undefined for where the map says; throws the error when nowhere. */
  async #placeAfter(
    { place, error }: { readonly place: Place; readonly error: unknown },
    tries: Tries,
    bounds: CallBounds,
    startedAtMs: number,
  ): Promise<Place | undefined> {
    if (!(error instanceof TransportError)) throw error;
    if (error instanceof RedirectError) {
      if (tries.redirects++ >= MOST_REDIRECTS) throw error;
      const host = error.host === '' ? place.node.host : error.host;
      const node = this.#topology.mapped({ host, port: error.port });
      if (error.kind === 'moved') this.#topology.moved(error.slot, node);
      return { node, connection: this.#connectionTo(node), asking: error.kind === 'ask' };
    }
    // The node left the map between the look and the call, which was not sent.
    if (error.code === 'ESPER_OONA_CLOSED' && !this.#closed && tries.redirects++ < MOST_REDIRECTS) {
      return undefined;
    }
    if (replyKind(error) === 'TRYAGAIN') {
      const delayMs = Math.max(1, backoffDelayMs(tries.waits++, SPLIT_SLOT, this.#parts.random));
      if (delayMs >= this.#leftMs(bounds, startedAtMs)) throw error;
      // The deadline bounds these; the redirects between them are no loop.
      tries.redirects = 0;
      await this.#parts.clock.sleep(delayMs, bounds.signal).catch(() => undefined);
      return undefined;
    }
    // The caller gets its answer; where the slots are now is found out for the next call.
    if (/^ESPER_OONA_(DISCONNECTED|TIMEOUT|READONLY|TRY_AGAIN|REDIS)$/.test(error.code))
      this.#topology.refreshSoon();
    throw error;
  }

  #placeOf({ key }: CallBounds, map: SlotMap): Place {
    const { names } = map;
    const owner = key === undefined ? undefined : map.ownerOf(slotOf(key));
    // A slot that nobody has: any node says so, by CLUSTERDOWN or a redirect.
    const name = owner ?? names.find((one) => this.#connections.get(one)?.ready) ?? names[0] ?? '';
    const node = map.node(name);
    if (node === undefined) throw new TransportError('ESPER_OONA_DISCONNECTED', 'the Cluster has no nodes');
    return { node, connection: this.#connectionTo(node), asking: false };
  }

  #connectionTo(node: RedisNode): RedisConnection {
    const name = nodeName(node);
    let connection = this.#connections.get(name);
    if (connection === undefined) {
      connection = this.#open(node);
      this.#connections.set(name, connection);
      if (this.#closed) connection.close();
    }
    return connection;
  }

  /** Nodes without slots: they left, failed over, or gave all away. */
  #retireOthers(): void {
    const map = this.#topology.map;
    for (const [name, connection] of this.#connections) {
      if (map?.node(name) !== undefined) continue;
      this.#connections.delete(name);
      connection.retire();
    }
  }

  #leftMs({ deadlineMs }: CallBounds, startedAtMs: number): number {
    return Math.max(0, startedAtMs + deadlineMs - this.#now());
  }

  #now(): number {
    return this.#parts.clock.monotonicMs();
  }
}
