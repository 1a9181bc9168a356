import type { Logger } from '../core/logger.ts';
import type { Metrics } from '../core/metrics.ts';
import type { EmergencyLevel } from '../leyline/messages.ts';
import type { NativeModule } from '../native/contract.ts';
import type { NativeMemorySampler } from '../native/memory-contract.ts';
import type { Participation } from './participant-types.ts';

/** What a caller saw when it decided: the pair that acknowledge and clear are conditional on. */
export interface Seen {
  readonly generation: number;
  readonly level: number;
}

export interface EmergencyState extends Seen {
  readonly level: EmergencyLevel;
}

export interface EmergencyRecord {
  readonly kind: 'trigger' | 'clear';
  readonly level: EmergencyLevel;
  /** Same id in shared memory, on the bus, in telemetry and in logs. */
  readonly signalId: string;
  readonly ticket: bigint;
  readonly generation: number;
  readonly pid: number;
  readonly origin: string;
  readonly reason: string;
  /** UTF-8 size of the reason as it was given, bytes. */
  readonly reasonSizeBytes: number;
  readonly runId: string;
  readonly step: number;
  readonly monotonicNs: bigint;
  readonly wallNs: bigint;
  readonly published: boolean;
  /** Bridged in from another host. */
  readonly remote: boolean;
  /** Clear only: the signal id that was cleared, whether by force, and what it lowered. */
  readonly clearedSignalId: string;
  readonly forced: boolean;
  readonly cleared: Seen | undefined;
}

export interface TriggerFields {
  /** Why, for people; stored up to 384 bytes of UTF-8, cut at a code point. Default ''. */
  readonly reason?: string;
  /** Which component raised it; up to 64 bytes. Default ''. */
  readonly origin?: string;
  /** Training run; up to 96 bytes. Default ''. */
  readonly runId?: string;
  /** Training step, a safe integer from 0. Default 0. */
  readonly step?: number;
  /** Bridge only: keep this id, mark as remote and published. */
  readonly remoteSignalId?: string;
}

export interface HeartbeatFields extends Omit<TriggerFields, 'remoteSignalId' | 'step'> {
  /** 1-64 bytes. Default: a new one for each. */
  readonly signalId?: string;
}

/** What memory that runs out is raised with. The numbers are put behind the reason. */
export type MemoryFields = Omit<TriggerFields, 'remoteSignalId' | 'step'>;

/** What an emergency of this host is raised with; see TriggerFields. */
export type RaiseFields = Omit<TriggerFields, 'remoteSignalId'>;

/** What a raise wrote into the ring. */
export interface Raised {
  readonly signalId: string;
  /** Undefined when no record could be written: the flag is set all the same. */
  readonly ticket: bigint | undefined;
  readonly monotonicNs: bigint;
  readonly wallNs: bigint;
}

export interface ClearFields {
  /** Lower the flag although a live participant has not seen it; recorded as forced. */
  readonly force?: boolean;
  readonly reason?: string;
  readonly origin?: string;
  readonly runId?: string;
  /** Bridge only: keep this id for the clear record and mark it remote and published. */
  readonly remoteSignalId?: string;
}

export type ClearResult =
  | { readonly outcome: 'cleared'; readonly signalId: string }
  | { readonly outcome: 'superseded' }
  | { readonly outcome: 'unseen'; readonly waitingFor: readonly string[] }
  | { readonly outcome: 'not-set' };

/** What came since the last batch. Read from the ring when a property is first used. */
export interface WatchBatch {
  readonly records: readonly EmergencyRecord[];
  /** Records overwritten before this consumer read them. */
  readonly overruns: number;
  /** Records given up: their writer died inside them. */
  readonly holes: number;
}

export type WatchEvent =
  | { readonly type: 'record'; readonly record: EmergencyRecord }
  | { readonly type: 'overrun'; readonly count: number }
  | { readonly type: 'hole'; readonly count: number };

export interface WatchOptions {
  /** Ends the iteration. */
  readonly signal?: AbortSignal;
  /** 'now' (default): what comes after; 'oldest': begin with the records still in the ring. */
  readonly from?: 'now' | 'oldest';
}

export interface SignalStats {
  readonly tickets: number;
  readonly overwrittenUnpublished: number;
  readonly repairs: number;
  readonly idleWakes: number;
  readonly nameMoved: boolean;
}

export interface OpenSignalOptions {
  /** 'shared' (default) uses POSIX shared memory where possible; 'process-local' never does. */
  readonly kind?: 'shared' | 'process-local';
  /** Bound on waiting for another process that is creating the segment, milliseconds, 1-60000. Default 1000. */
  readonly attachTimeoutMs?: number;
  /** Bound on noticing a lost wake-up, milliseconds, 1-1000. Default 10. */
  readonly recheckMs?: number;
  /** Accept a segment its group may access. Default false. */
  readonly allowGroup?: boolean;
  /** A watch holds the process open. Default true. */
  readonly keepAlive?: boolean;
  /** Attach again when somebody removed the segment's file; see EmergencySignal. Default true. */
  readonly followName?: boolean;
  readonly logger?: Logger;
  readonly metrics?: Metrics;
  /** Called once when the signal falls back to process-local memory. */
  readonly onDegraded?: (degraded: Degraded) => void;
  /** The native module to use instead of the loaded one; for tests and the twin. */
  readonly native?: NativeModule;
}

export interface Degraded {
  /** `ESPER_SHM_…` or `ESPER_NATIVE_…` code of what kept shared memory from working. */
  readonly code: string;
  readonly reason: string;
}

/**
 * Emergency flag of one host (or, process-local, of one process). All methods are synchronous.
 *
 * When somebody removes the segment's file, a signal that is watched notices within half a second and one that raises
 * with its next trigger: it attaches to what the name leads to then, creating the segment if there is none, logs a
 * warning and counts `signals.watch.reattached_total`. Consumers read the rest of the old segment and go on with the
 * oldest record of the new one; the participant slot is taken again; a trigger that met the old memory is raised once
 * more under its id. The emergency of the removed segment is not carried over: removing the file is the operator's
 * command. Generations and tickets are of the new segment, see `segmentId`. When attaching fails, the old memory goes
 * on and it is tried again every half second. A signal that called `unlink()` itself stays where it is.
 */
export interface EmergencySignal extends Participation {
  readonly kind: 'shared' | 'process-local';
  /** Set when `kind` is 'process-local' although 'shared' was asked for. */
  readonly degraded: Degraded | undefined;
  readonly name: string;
  readonly path: string;
  /** True when this signal created the segment that it is attached to now. */
  readonly created: boolean;
  /** Random id of the segment, 32 hex digits. A generation or ticket means nothing in a segment of another id. */
  readonly segmentId: string;

  /** Level above 0. No native call. */
  isSet(): boolean;
  /** 0-4. No native call. */
  level(): EmergencyLevel;
  read(): EmergencyState;
  history(): EmergencyRecord[];
  find(signalId: string): EmergencyRecord | undefined;

  /**
   * Raises the flag and returns the signal id. Throws OptionError on a level outside 1-4 or a bad field.
   *
   * Watchers that wait for this processor run before it returns: tens of microseconds; on a host whose processors are
   * all busy the caller may be without one for a time slice of the scheduler, some milliseconds.
   */
  trigger(level: EmergencyLevel, fields?: TriggerFields): string;
  /**
   * As `trigger`. Calls `onRaised` as soon as the flag is set, within this call: what has to follow at once need not
   * wait for the watchers, which are given way after it, nor for the look whether the name still leads here. Both come
   * also when `onRaised` throws.
   */
  raise(level: EmergencyLevel, fields: RaiseFields, onRaised: (raised: Raised) => void): void;
  /** False when the flag moved on since `seen`: read again, decide again. */
  acknowledge(seen: Seen): boolean;
  clear(seen: Seen, fields?: ClearFields): ClearResult;
  /**
   * From now on the native thread raises `level` when this participant, in the phase 'training' and not suspended, has
   * no heartbeat for `limitMs` (1-2147483647), although its event loop is blocked: once, and again after the next
   * heartbeat. Replaces the one before. With `signalId` each of them has that id. False before `join`.
   */
  armHeartbeat(limitMs: number, level: EmergencyLevel, fields?: HeartbeatFields): boolean;
  disarmHeartbeat(): void;
  /**
   * From now on that sampler raises `level` here, once each time its CRITICAL is crossed, although the event loop is
   * blocked; where the signal follows its name, in the new segment too. Replaces the one before; `close()` ends it. The
   * sampler must be of the module that the signal is of.
   */
  armMemory(sampler: NativeMemorySampler, level: EmergencyLevel, fields?: MemoryFields): void;
  /** With `sampler`: only when it is the one that is armed. */
  disarmMemory(sampler?: NativeMemorySampler): void;

  /** Every record since this consumer's cursor, overruns and holes told. */
  watch(options?: WatchOptions): AsyncIterableIterator<WatchEvent>;
  /** The same without the async iterator's hops: called on the event loop with each batch. Returns the unsubscribe. */
  subscribe(listener: (batch: WatchBatch) => void, options?: { from?: 'now' | 'oldest' }): () => void;

  /** Own records nobody marked published, at least `minAgeMs` old, oldest first. */
  unpublished(minAgeMs?: number): EmergencyRecord[];
  /**
   * True when this call marked it. After the signal followed its name to another file, only a record with its signal
   * id is marked: the ticket alone may be that of another record by now.
   */
  markPublished(record: { readonly ticket: bigint; readonly signalId?: string }): boolean;

  stats(): SignalStats;
  /** Idempotent. Using the signal afterwards throws ESPER_SIGNAL_CLOSED, but isSet() and level() stay safe. */
  close(): void;
  /** Removes the name; processes that have it open keep their memory and are told (`stats().nameMoved`). */
  unlink(): void;
}

export type RollbackTier = 1 | 2;

export interface RollbackRequestFields {
  readonly requestId: string;
  readonly step: number;
  readonly tier: RollbackTier;
  /** From now, milliseconds, 1-3600000: when it passes, the flag is set to expired by a native timer. */
  readonly deadlineMs: number;
  readonly reason?: string;
  readonly origin?: string;
  readonly runId?: string;
}

export interface RollbackState {
  readonly generation: number;
  readonly phase: 'idle' | 'requested' | 'expired';
}

export interface RollbackRecord {
  readonly kind: 'requested' | 'expired' | 'settled';
  readonly requestId: string;
  readonly ticket: bigint;
  readonly generation: number;
  readonly step: number;
  readonly tier: number;
  readonly deadlineNs: bigint;
  readonly reason: string;
  readonly origin: string;
  readonly runId: string;
  readonly pid: number;
  readonly monotonicNs: bigint;
}

export interface RollbackSignal extends Participation {
  readonly kind: 'shared' | 'process-local';
  readonly degraded: Degraded | undefined;
  readonly name: string;
  readonly path: string;
  isSet(): boolean;
  read(): RollbackState;
  history(): RollbackRecord[];
  /** Publishes the request and arms the native deadline. */
  request(fields: RollbackRequestFields): void;
  /** Done in time: disarms, lowers the flag. False when the deadline had passed: the result must be discarded. */
  settle(requestId: string): boolean;
  acknowledge(seen: { readonly generation: number }): boolean;
  subscribe(listener: (records: readonly RollbackRecord[]) => void): () => void;
  /** Lowers an expired flag, by force if a participant has not seen it; recorded. */
  clear(fields?: { reason?: string; origin?: string }): boolean;
  close(): void;
  unlink(): void;
}
