/** What the drill tells its processes; everything here crosses a process boundary. */

/** How the bus reaches its Redis. */
export interface BusTarget {
  readonly kind: 'single' | 'sentinel' | 'cluster';
  /** As in REDIS_URL, in each of its forms. */
  readonly url: string;
  /** For the drill's own look into the engine: the server, the sentinels, or nodes of the Cluster, host:port. */
  readonly nodes: readonly string[];
  /** Sentinel's name for the primary. */
  readonly primaryName?: string;
  /** A publish is confirmed when so many replicas have it; default 0. */
  readonly waitReplicas?: number;
  /** Streams of one Cluster slot share a hash tag; default none. */
  readonly hashTag?: string;
}

export interface Keys {
  readonly current: string;
  readonly previous?: readonly string[];
}

export interface BusPlan {
  readonly target: BusTarget;
  readonly keys: Keys;
  /** Names the host and the source. */
  readonly name: string;
}

export interface PublisherPlan extends BusPlan {
  readonly ledger: string;
  /** Event ids are `<prefix>-<number>`. */
  readonly prefix: string;
  readonly count: number;
  /** Publishes in flight at once. */
  readonly window: number;
  /** Started per second at most: the faults must find messages under way. */
  readonly perSecond: number;
  readonly emergencies?: EmergencyPlan;
  /** One message of so many is HIGH and travels on the emergency stream. Default: none. */
  readonly highEvery?: number;
}

/** Published beside the others, by the same bus, each source one after the other. */
export interface EmergencyPlan {
  readonly ledger: string;
  readonly sources: number;
  readonly each: number;
  /** Of each source. */
  readonly perSecond: number;
}

export interface PublisherStatus {
  /** Publishes whose promise has not settled yet. */
  readonly unsettled: number;
  readonly confirmed: number;
  readonly done: boolean;
  /** Attempts by outcome; failed ones as `failed:<code>`. */
  readonly outcomes: Readonly<Record<string, number>>;
  /** Publishes that took longer than their deadline and two seconds. */
  readonly overdue: number;
  readonly slowestMs: number;
  /** Ids that were given up, with the reason; none is expected. */
  readonly refused: readonly string[];
}

export interface ConsumerSettings {
  readonly leaseMs: number;
  readonly claimIntervalMs: number;
  readonly blockMs: number;
  readonly maxInFlight: number;
  readonly batchSize: number;
  readonly maxDeliveries: number;
  readonly retryBaseMs: number;
  readonly retryCapMs: number;
  readonly drainMs: number;
}

export interface ConsumerPlan extends BusPlan {
  readonly ledger: string;
  readonly group: string;
  /** Stable name; without it the bus makes a new one. */
  readonly consumer?: string;
  /** A handler takes a random time up to this, milliseconds. */
  readonly handlerMs: number;
  /** A handler that returns no promise and takes no time. */
  readonly sync?: boolean;
  /** One first delivery of so many fails. Default: none. */
  readonly failEvery?: number;
  /** The handler of this event ends the process. */
  readonly poison?: string;
  /** Reads the emergencies of host `name` as well. */
  readonly emergencyLedger?: string;
  readonly settings: ConsumerSettings;
}

/** Impatient enough for a drill; the lease is what a dead consumer's entries wait for. */
export const DRILL_SETTINGS: ConsumerSettings = Object.freeze({
  leaseMs: 1500,
  claimIntervalMs: 250,
  blockMs: 250,
  maxInFlight: 64,
  batchSize: 64,
  maxDeliveries: 10,
  retryBaseMs: 20,
  retryCapMs: 500,
  drainMs: 5000,
});

export const PUBLISH_DEADLINE_MS = 1000;
export const GROUP = 'drill';
