/** Publishing and consuming of everything that is no emergency: what callers write against. */
import type { CodableType, MessageInput, MessageOf } from '../leyline/codec.ts';
import type { MessagePriority } from '../leyline/messages.ts';
import type { StreamNames } from './streams.ts';

/** A message of any kind, named by its type. */
export type BusMessage = {
  [T in CodableType]: { readonly type: T; readonly message: MessageInput<T> };
}[CodableType];

export type ReceivedMessage = {
  [T in CodableType]: { readonly type: T; readonly message: MessageOf<T> };
}[CodableType];

export interface WorkPublishOptions {
  /** Bound on the publish, milliseconds, 1-600000. Default: the bus's `publishDeadlineMs`. */
  readonly deadlineMs?: number;
  readonly signal?: AbortSignal;
  /** HIGH and CRITICAL go to the emergency stream. Default NORMAL; for telemetry what `system_health` indicates. */
  readonly priority?: MessagePriority;
  /** Unique per message: the same id is stored once. Default: the message's own id, else a new UUID. */
  readonly eventId?: string;
  /**
   * Above `rerouteDepth` this NORMAL message may go to the emergency stream instead of waiting; its retries under the same
   * event id, whoever makes them, then go there too, whatever they say here. Default false.
   */
  readonly mayReroute?: boolean;
  /** Further attributes, signed with the message. */
  readonly attributes?: Readonly<Record<string, string>>;
  /** W3C trace context to carry. Default: that of the active OpenTelemetry span, when there is one. */
  readonly traceparent?: string;
  readonly tracestate?: string;
}

interface Ended {
  readonly stream: string;
  readonly latencyMs: number;
}

interface Stored extends Ended {
  readonly entryId: string;
  /** Depth of the stream before and after; up to `depthLookMs` old while the stream is far from its limits. */
  readonly depthBefore?: number;
  readonly depthAfter?: number;
}

/** How a publish ended. Never a bare boolean, never an exception for a bus that is away or full. */
export type WorkPublishResult =
  | ({ readonly outcome: 'published' } & Stored)
  /** Stored on the emergency stream instead of `intended`, whose depth was at `rerouteDepth`. */
  | ({ readonly outcome: 'rerouted'; readonly intended: string } & Stored)
  /** The same event id was on the stream already. */
  | ({ readonly outcome: 'duplicate' } & Stored)
  /** Conservative mode: waits in this process; metrics tell what became of it. */
  | ({ readonly outcome: 'deferred'; readonly waiting: number } & Ended)
  /** Not stored, by rule. */
  | ({
      readonly outcome: 'dropped';
      readonly reason: 'back-pressure' | 'outbox-full';
      readonly depthBefore?: number;
    } & Ended)
  /** Cannot be stored as it is; trying the same again does not help. */
  | ({ readonly outcome: 'rejected'; readonly code: string; readonly reason: string } & Ended)
  /** Nothing was stored for certain within the deadline; `retryable` tells whether trying again can help. */
  | ({
      readonly outcome: 'failed';
      readonly code: string;
      readonly reason: string;
      readonly retryable: boolean;
      /** Wait at least so long before trying again, when the breaker is open. */
      readonly retryAfterMs?: number;
    } & Ended);

export type Delivery = ReceivedMessage & {
  readonly eventId: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly stream: string;
  readonly entryId: string;
  /** 1 on the first delivery, counted by the engine, across crashes. */
  readonly deliveryCount: number;
  /** Which key verified it; undefined on an unsigned bus. */
  readonly keyId: string | undefined;
  /** When it was published, Unix milliseconds, by the publisher's clock. */
  readonly issuedAtMs: number;
  readonly traceparent: string | undefined;
  readonly tracestate: string | undefined;
  /** Aborted when the consumer stops beyond its drain time, when the handler's time is up, and when the entry was taken over. */
  readonly signal: AbortSignal;
};

/**
 * Resolves: acknowledged. Throws: tried again later, up to `maxDeliveries`, then dead-lettered; an error whose
 * `retryable` is false is dead-lettered at once.
 */
export type DeliveryHandler = (delivery: Delivery) => Promise<void> | void;

/** The streams that consumers share out among themselves. The emergency stream is read by `emergencyReader`. */
export type WorkStream = Exclude<keyof StreamNames, 'emergency' | 'deadLetter'>;

export interface ConsumerOptions {
  readonly stream: WorkStream;
  /** Consumers of one group divide the entries; each group gets all of them. 1-180 of A-Z a-z 0-9 . _ : -. */
  readonly group: string;
  /** Stable name, unique in its group. Default `<hostId>:<pid>:<random>`. */
  readonly consumer?: string;
  /** Message types to hand out; others are acknowledged and counted as skipped. Default: all. */
  readonly types?: readonly CodableType[];
  /** Handlers at once, 1-10000. Default 64. */
  readonly maxInFlight?: number;
  /** Entries per read, 1-1000. Default 64. */
  readonly batchSize?: number;
  /** How long one read waits, milliseconds, 1-60000. Default 2000. */
  readonly blockMs?: number;
  /** Others may take over an entry that was not touched for this long, milliseconds, 100-3600000. Default 30000. */
  readonly leaseMs?: number;
  /** Between two looks for entries to take over, milliseconds, 10-3600000. Default a third of `leaseMs`. */
  readonly claimIntervalMs?: number;
  /** A handler that takes longer counts as failed, milliseconds, 1-86400000. Default 60000. */
  readonly handlerTimeoutMs?: number;
  /** Deliveries after which an entry is dead-lettered, 1-1000. Default 5. */
  readonly maxDeliveries?: number;
  /** Upper bound of the first wait for another try, milliseconds, 1-60000; it doubles with each. Default 100. */
  readonly retryBaseMs?: number;
  /** Upper bound of every wait for another try, milliseconds, 1-3600000. Default 30000. */
  readonly retryCapMs?: number;
  /** Refuse messages older than this, milliseconds, 1000 to 7 days. Default: the bus's `maxAgeMs`. */
  readonly maxAgeMs?: number;
  /**
   * Keys that the replay guard holds, 21 to 28 bytes each, taken as they come, 1-10000000. A key stays for `maxAgeMs`
   * plus the bus's `maxFutureSkewMs`; more messages than this in that time wait, pending, until older keys expire
   * (ESPER_OONA_REPLAY_GUARD_FULL). Default 4650000: 5,000 messages a second for the whole window of 930 s, 130 MB.
   */
  readonly replayCapacity?: number;
  /**
   * Who remembers which events were handled, so that a second copy of a message, which whoever can write to the stream
   * may have put there, is not handled again.
   *
   * 'local': each consumer for itself, from when it started. A copy that another consumer of the group gets, or the same
   * one after a restart, is handled.
   *
   * 'shared': the engine, for the whole group, as long as a copy could be accepted (`maxAgeMs` plus twice the bus's
   * `maxFutureSkewMs`). Of two copies one is handled, by whichever consumer; the other waits for what becomes of it, and
   * goes to the dead letters (ESPER_OONA_REPLAYED), or is handled if the first was given up. All consumers of the group
   * must say 'shared', with the same `maxAgeMs`. What was handled is noted in the same step as its acknowledgement. While
   * the engine cannot say (away, or out of memory) entries wait, pending; nothing is let through. Each batch that is read
   * costs one more round trip, each event 210 bytes or more in Redis, which must not evict (`maxmemory-policy
   * noeviction`).
   *
   * Default 'local'.
   */
  readonly replayGuard?: 'local' | 'shared';
  /** How long stop() waits for handlers, milliseconds, 0-600000. Default 10000. */
  readonly drainMs?: number;
  /**
   * Take what is urgent of this stream's kinds as well: HIGH and CRITICAL messages travel on the emergency stream, and
   * are read by a second connection. Default true.
   */
  readonly emergencyStream?: boolean;
  /** Hand out nothing while conservative mode is on. Default: true for stream `normal`, false for the others. */
  readonly pauseInConservativeMode?: boolean;
}

/** Each entry that was read ends as exactly one: read = acknowledged + pending + deadLettered + takenOver + lost. */
export interface ConsumerStats {
  readonly state: 'idle' | 'connecting' | 'reading' | 'paused' | 'backing-off' | 'stopped';
  /** Entries handed to this consumer by reading, claiming or taking up its own pending ones; each once. */
  readonly read: number;
  readonly acknowledged: number;
  /** Not decided yet: in a handler, waiting for a retry, or left to the next owner by stop(). */
  readonly pending: number;
  readonly deadLettered: number;
  /** Somebody else claimed it before this consumer was done; it is theirs to count. */
  readonly takenOver: number;
  /** Trimmed from the stream while it was pending. */
  readonly lost: number;
  /** Of the acknowledged: handled by a handler. */
  readonly handled: number;
  /** Of the acknowledged: a type that was not asked for. */
  readonly skipped: number;
  /** Of the acknowledged: the event had been handled under this entry id already, only its acknowledgement was lost. */
  readonly redelivered: number;
  readonly inFlight: number;
  readonly retrying: number;
  readonly handlerFailures: number;
  readonly deadLetteredByCode: Readonly<Record<string, number>>;
  readonly readErrors: number;
  readonly lastErrorCode: string | undefined;
}

export interface Consumer {
  readonly stream: string;
  readonly group: string;
  readonly consumer: string;
  /** Begins to read. Resolves once the group exists or the first attempt failed; it goes on trying either way. */
  start(): Promise<void>;
  /** No new entries from now on; handlers go on, leases are kept. */
  pause(): void;
  resume(): void;
  /**
   * Reads nothing more, waits `drainMs` for handlers, acknowledges, closes. What was not begun goes to the next consumer
   * at once, what is still in a handler stays pending for `leaseMs`. Idempotent.
   */
  stop(): Promise<void>;
  stats(): ConsumerStats;
}
