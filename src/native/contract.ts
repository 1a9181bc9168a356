/**
 * Every class and function of the native addon, in one place. The C++ side (native/addon) and the TypeScript
 * twin (src/native/twin.ts) both implement this; test/conformance runs one suite over both.
 */

import type { NativeHistogram, NativeOpenHistogram } from './histogram-contract.ts';
import type { NativeMemoryPlan, NativeMemorySampler } from './memory-contract.ts';
import type { NativeParticipant, NativeStaleNotice } from './participant-contract.ts';

export type {
  HistogramTotals,
  NativeHistogram,
  NativeHistogramSnapshot,
  NativeOpenHistogram,
} from './histogram-contract.ts';
export type {
  NativeMemoryFault,
  NativeMemoryPlan,
  NativeMemorySample,
  NativeMemorySampler,
  NativeMemorySource,
} from './memory-contract.ts';
export type { NativeParticipant, NativeStaleNotice } from './participant-contract.ts';

/** Which structure a segment holds. Numbers are those of the segment header, see docs/shm-format.md. */
export type SegmentKind = 'emergency' | 'rollback';

/** What a record says. Numbers are those of the record's `kind` byte, see docs/shm-format.md. */
export const RecordKind = {
  /** Emergency raised, or rollback requested / expired (the level tells). */
  trigger: 1,
  /** Level lowered to 0 by an explicit clear. */
  clear: 2,
} as const;

/** Ticket of a raise that no record could be written for: stopped writers hold the whole ring. */
export const NO_TICKET = 0xffff_ffff_ffff_ffffn;

export interface NativeControl {
  /** Counts every applied trigger and clear, modulo 2^32. 0 = nothing was ever raised here. */
  readonly generation: number;
  /** 0 when clear; emergency: 1-4; rollback: 1 requested, 2 expired. */
  readonly level: number;
  /** Low 24 bits of the ticket of the record applied last. Meaningless while generation is 0. */
  readonly ticket: number;
}

export interface NativeRecord {
  readonly kind: number;
  readonly level: number;
  /** Id of the emergency: given by the raiser, else segment nonce + ticket. At most 64 bytes of UTF-8. */
  readonly signalId: string;
  /** Number of the record in this segment, from 0. */
  readonly ticket: bigint;
  /** Generation that the record produced; 0 while it is not applied yet. */
  readonly generation: number;
  readonly pid: number;
  readonly origin: string;
  readonly reason: string;
  /** UTF-8 size of the reason as given, bytes; more than the stored reason's when it was cut. */
  readonly reasonSizeBytes: number;
  readonly runId: string;
  readonly step: bigint;
  /** CLOCK_MONOTONIC at trigger, nanoseconds. */
  readonly monotonicNs: bigint;
  /** Unix time at trigger, nanoseconds. */
  readonly wallNs: bigint;
  readonly published: boolean;
  /** Record was bridged in from another host (born published). */
  readonly remote: boolean;
  /** Clear: signal id of the emergency that was cleared. Rollback: request id. Else ''. */
  readonly subject: string;
  /** Clear: recorded as forced. */
  readonly forced: boolean;
  /** Clear: generation and level that the clear lowered. */
  readonly clearedGeneration: number;
  readonly clearedLevel: number;
  /** Rollback: tier (1 fast, 2 full); else 0. */
  readonly tier: number;
  /** Rollback: CLOCK_MONOTONIC of the deadline, nanoseconds; else 0n. */
  readonly deadlineNs: bigint;
}

export interface NativeTrigger {
  readonly level: number;
  readonly reason?: string;
  readonly origin?: string;
  readonly runId?: string;
  readonly step?: bigint;
  /** Keep this id instead of making one (a signal bridged from another host). */
  readonly signalId?: string;
  /** Born published: nobody puts it on the bus again. */
  readonly published?: boolean;
  readonly remote?: boolean;
  readonly subject?: string;
  readonly tier?: number;
  readonly deadlineNs?: bigint;
}

export interface NativeTriggered {
  readonly signalId: string;
  readonly ticket: bigint;
  /** Generation produced. */
  readonly generation: number;
  /** Level of the flag right after, at least the level asked for unless a clear followed. */
  readonly level: number;
}

export type NativeClearOutcome =
  /** Level is 0 now and the clear is recorded. */
  | 'cleared'
  /** The flag moved on since `seen` (a trigger raced and won). Nothing changed. */
  | 'superseded'
  /** A live participant has not seen that generation; see `waitingFor`. Nothing changed. */
  | 'unseen'
  /** Level was 0 already. Nothing changed. */
  | 'not-set';

export interface NativeClearResult {
  readonly outcome: NativeClearOutcome;
  /** Names (`role:name pid`) of live participants that have not seen the generation. */
  readonly waitingFor: readonly string[];
  /** Signal id of the clear record, '' unless cleared. */
  readonly signalId: string;
}

export interface NativeDeadlineStats {
  readonly armed: number;
  /** Deadlines of this flag object that passed. */
  readonly fired: number;
  /** From the deadline to the flag being set, nanoseconds, within 0.4 %; 0 while none fired. */
  readonly overrunMaxNs: number;
  readonly overrunP50Ns: number;
  readonly overrunP99Ns: number;
}

export interface NativeBatch {
  readonly records: readonly NativeRecord[];
  /** Records that were overwritten before this cursor reached them, since the last poll. */
  readonly overruns: number;
  /** Records given up because their writer died inside them, or their checksum was wrong, since the last poll. */
  readonly holes: number;
}

export interface NativeCursor {
  /** At most `max` (1-256) records since the last poll. */
  poll(max: number): NativeBatch;
  /** True when poll would return something. Far cheaper than a poll, which copies and converts. */
  ready(): boolean;
}

export interface NativeFlagStats {
  /** Tickets handed out since the segment was created. */
  readonly tickets: bigint;
  /** Records overwritten before anyone marked them published. */
  readonly overwrittenUnpublished: bigint;
  /** Control CASes completed on behalf of somebody else. */
  readonly repairs: bigint;
  /** Wake-ups received that found nothing new (lost races, forged hints). */
  readonly idleWakes: number;
  /** The watched name now leads to another file, or to none. */
  readonly nameMoved: boolean;
}

export interface NativeFlag {
  readonly kind: 'shared' | 'process-local';
  readonly name: string;
  /** '/dev/shm/esper.<uid>.<name>' or ''. */
  readonly path: string;
  /** True when this open created the segment. */
  readonly created: boolean;
  /** Random id of the segment, 32 hex digits; first part of the signal ids made here. */
  readonly nonce: string;
  /**
   * The 64-byte control block over the mapping itself. As Int32Array: [1] is the high half of the control word
   * (level in bits 0-2), to be read with Atomics.load. Stays valid after close().
   */
  readonly control: ArrayBuffer;

  read(): NativeControl;
  /** All records still in the ring, oldest first. */
  history(): NativeRecord[];
  /** Record with that signal id if it is still in the ring. */
  find(signalId: string): NativeRecord | undefined;
  trigger(request: NativeTrigger): NativeTriggered;
  /**
   * The common trigger, arguments by position because that is what a cold process does fastest. Returns the signal id;
   * what else the caller needs of the record is in `raised`. `giveWay`: calls `giveWay()` before it returns.
   */
  raise(level: number, reason: string, origin: string, runId: string, step: number, giveWay: boolean): string;
  /**
   * Lets the watchers that the latest `trigger` or `raise` woke run before the caller goes on, where they wait for its
   * processor; at most once per wake-up. Costs the caller as long as they compute, on a busy host up to a time slice.
   */
  giveWay(): void;
  /** Of the latest `raise`: [0] its ticket, or `NO_TICKET`; [1] CLOCK_MONOTONIC and [2] Unix time, nanoseconds. */
  readonly raised: BigUint64Array;
  /** Notes in this participant's slot that it acknowledged; false when the flag moved on since (look again). */
  acknowledge(generation: number, level: number): boolean;
  clear(
    generation: number,
    level: number,
    force: boolean,
    meta: { reason?: string; origin?: string; runId?: string; signalId?: string; remote?: boolean },
  ): NativeClearResult;

  /** Takes a participant slot (again is a no-op that renames). Returns the slot, or -1 when all are taken. */
  join(role: string, name: string): number;
  leave(): void;
  /**
   * 32 bytes of the own slot, undefined without one. As BigUint64Array: [0] heartbeat, CLOCK_MONOTONIC in nanoseconds;
   * as Int32Array: [2] phase, [7] limit in milliseconds. A change of phase is written in that order. The slot is held
   * until `close()`, or until the flag is collected: hold the flag as long as the bytes, which may be somebody else's
   * from then on, and never write them after `leave()`.
   */
  pulse(): ArrayBuffer | undefined;
  /**
   * Looks for participants that fell silent, every 20 ms while watched; each change calls the watch back. Switched on
   * again it begins anew: whoever is silent then is told of again.
   */
  judge(on: boolean): void;
  /** What judging found since the last call; a silence that began and ended meanwhile may be left out. */
  takeStale(): NativeStaleNotice[];
  /** Notes that this participant has seen a generation. */
  markSeen(generation: number): void;
  participants(): NativeParticipant[];

  /** A cursor of its own. 'now' sees what comes after; 'oldest' starts at the oldest record still there. */
  cursor(from: 'now' | 'oldest'): NativeCursor;
  /**
   * Calls back on the event loop soon after anything was applied, at most once per batch of changes; the callback
   * reads the flag or polls a cursor. One watch a flag object; again replaces the callback. `keepAlive` holds the
   * process open. `recheckMs` bounds how late a lost wake-up is noticed. Calls back every half second as well while
   * the name leads to another file or to none.
   */
  watch(callback: () => void, options: { keepAlive: boolean; recheckMs: number }): void;
  unwatch(): void;

  /** Records (not remote, not published) at least `minAgeNs` old, oldest first. */
  unpublished(minAgeNs: bigint): NativeRecord[];
  /** True when this call marked it; false when it was marked or gone already. */
  markPublished(ticket: bigint): boolean;

  /**
   * Arms a native timer that triggers `request` on this flag at `deadlineNs` (CLOCK_MONOTONIC) even while the
   * event loop is blocked. Returns a handle for disarm. At most 4096 are armed at once.
   */
  armDeadline(deadlineNs: bigint, request: NativeTrigger): number;
  /** True when the timer was disarmed before its time; otherwise it has fired or is about to. */
  disarm(handle: number): boolean;
  /**
   * Triggers `request` once each time this participant, in the phase `training` and not suspended, has no heartbeat for
   * `limitMs`, even while the event loop is blocked. A heartbeat postpones it; 0 ends it, and takes no slot. False
   * without a slot.
   */
  armHeartbeat(limitMs: number, request: NativeTrigger): boolean;
  deadlineStats(): NativeDeadlineStats;

  /** The same as in `stats()`, by one system call: it is asked after every trigger. */
  nameMoved(): boolean;
  stats(): NativeFlagStats;
  /** Stops watching, gives the slot back, drops the mapping once `control` is collected. Idempotent. */
  close(): void;
}

export interface NativeOpenFlag {
  readonly segment: SegmentKind;
  readonly name: string;
  /** 'process-local' skips shared memory. */
  readonly kind: 'shared' | 'process-local';
  /** Bound on every wait of an attach, milliseconds. */
  readonly attachTimeoutMs: number;
  /** Accept a segment that its group may access. World access is never accepted. */
  readonly allowGroup: boolean;
}

export interface NativeModule {
  readonly abiMajor: number;
  readonly abiMinor: number;
  openFlag(options: NativeOpenFlag): NativeFlag;
  openHistogram(options: NativeOpenHistogram): NativeHistogram;
  /** Throws `ESPER_NATIVE_THREAD` when the system gives no thread. */
  openMemorySampler(plan: NativeMemoryPlan): NativeMemorySampler;
  /** Removes the segment of that name (own uid only); live mappings keep working on the removed memory. */
  unlink(name: string): 'removed' | 'absent';
  /** Benchmark control: a Node-API call that returns the same boolean as isSet(). */
  isSetCall(flag: NativeFlag): boolean;
}
