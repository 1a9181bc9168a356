/**
 * The part of the transport contract for work that one of many consumers does: leases, retries, dead letters, depth,
 * trimming. An entry that was read belongs to the consumer that read it last; whoever claims it takes it over. "Owned"
 * below means: still pending in the group under this consumer's name, looked at in the same step as the change. Where
 * the group (or the stream) is gone, calls that name a group reject with ESPER_OONA_NO_GROUP.
 */
import type { CallOptions, RawEntry, StreamEntry } from './entries.ts';
import type { GuardTransport } from './guard.ts';
import type { PendingTransport } from './pending.ts';

export type { RawEntry } from './entries.ts';

export interface OwnedEntries {
  readonly stream: string;
  readonly group: string;
  readonly consumer: string;
  readonly entryIds: readonly string[];
}

export interface ClaimRequest {
  readonly stream: string;
  readonly group: string;
  readonly consumer: string;
  /** Takes over entries of other consumers (and own ones) that nobody touched for this long, milliseconds. */
  readonly minIdleMs: number;
  /** Where the page before ended; '0-0' to begin. */
  readonly cursor: string;
  readonly count: number;
}

export interface ClaimPage {
  /** With the delivery count that this claim made. */
  readonly entries: readonly StreamEntry[];
  /** Of the next page; '0-0' after the last. Pages may be empty before that. */
  readonly cursor: string;
  /** Ids that were trimmed away while they were pending; the engine has dropped them from the pending list. */
  readonly lostIds: readonly string[];
}

/** Field names and values of a dead letter besides `payload` and `signature`, which are the original's own bytes. */
export type DeadLetterFields = Readonly<Record<string, string>>;

/** In front of the names of fields that the original had besides `payload` and `signature`: a peer's own entry. */
export const ORIGINAL_FIELD_PREFIX = 'original.';

export interface DeadLetterRequest {
  readonly stream: string;
  readonly group: string;
  readonly consumer: string;
  readonly entryId: string;
  readonly payload: Uint8Array;
  readonly signature: string;
  readonly deadLetterStream: string;
  readonly fields: DeadLetterFields;
  /** The oldest dead letters beyond this many go. */
  readonly maxLength: number;
  /**
   * The oldest go while the dead letters take more than this, as the engine counts; never the one that is stored. A 32nd
   * more than must may go, so that not each letter has to be cut for. Default 0: no bound.
   */
  readonly maxBytes?: number;
  /** Called with how many older letters went for this one. Must not throw. */
  readonly onCut?: (letters: number) => void;
  /**
   * One letter whichever groups give the entry up; the first one's fields stay. For entries that every group gets and
   * judges alike. Default: one for each group.
   */
  readonly oncePerEntry?: true;
}

/** An entry whose dead letter was stored within this time is not stored again, milliseconds: one day. */
export const DEAD_LETTER_DEDUP_MS = 86_400_000;

/** What dead letters are deduplicated by: one entry of one group has one, or one entry. */
export function deadLetterOrigin({ stream, group, entryId, oncePerEntry }: DeadLetterRequest): string {
  return oncePerEntry ? `${stream}\n${entryId}` : `${stream}\n${group}\n${entryId}`;
}

export interface StreamDepth {
  /** Entries on the stream, acknowledged ones too. */
  readonly length: number;
  /** The largest `lag + pending` over the groups; 0 without a group. */
  readonly depth: number;
  readonly groups: readonly GroupDepth[];
}

export interface DepthOptions extends CallOptions {
  /**
   * Takes what the engine told another host, or this one, so short a time ago, milliseconds; where counting took long,
   * twenty times as long ago. Default 0: counts now. Hosts that measure again and again give it, or N hosts cost N times
   * as much.
   */
  readonly maxAgeMs?: number;
}

export interface GroupDepth {
  readonly group: string;
  /** Entries that nobody of the group was given yet. `lagIsLowerBound` when there may be more than were counted. */
  readonly lag: number;
  readonly lagIsLowerBound: boolean;
  readonly pending: number;
}

export interface TrimRequest {
  readonly stream: string;
  /**
   * Entries older than this, that every group has acknowledged, are dropped, milliseconds; 0: none for their age. Without
   * a group nobody is waited for, and nothing counts as unread.
   */
  readonly ttlMs: number;
  /** Hard cap: beyond it the oldest are cut whoever still needs them; 0: none. */
  readonly maxLength: number;
}

export interface TrimResult {
  readonly removed: number;
  /** Of those the ones cut although a group had not acknowledged them (by `maxLength`); largest over the groups, of each part. */
  readonly cutUnread: number;
}

export interface ConsumerInfo {
  readonly consumer: string;
  readonly pending: number;
  /** Since its last read or claim, milliseconds. */
  readonly idleMs: number;
}

export interface RangeRequest {
  readonly stream: string;
  /** Entry id to begin with, exclusive; '' for the end that `newestFirst` says. */
  readonly after: string;
  readonly count: number;
  readonly newestFirst: boolean;
}

export interface WorkTransport extends PendingTransport, GuardTransport {
  /** Acknowledges those that are still owned. Returns their ids: a late answer of a former owner changes nothing. */
  acknowledgeOwned(request: OwnedEntries, options: CallOptions): Promise<readonly string[]>;
  /**
   * Hands owned entries to their owner once more: delivery count + 1, idle time 0. Ids trimmed away come back `lost` and
   * stay pending until they are acknowledged.
   */
  redeliver(request: OwnedEntries, options: CallOptions): Promise<readonly StreamEntry[]>;
  /** Idle time 0 for those still owned, delivery counts unchanged; returns their ids. */
  extendLease(request: OwnedEntries, options: CallOptions): Promise<readonly string[]>;
  claim(request: ClaimRequest, options: CallOptions): Promise<ClaimPage>;
  /**
   * Dead letter stored and entry acknowledged, once, or 'not-owned' and nothing. The content is the entry's own where
   * the engine still has it, else the request's: payload and signature, and up to 100 fields more, as `original.<name>`.
   */
  deadLetter(request: DeadLetterRequest, options: CallOptions): Promise<'moved' | 'not-owned'>;
  /** Where the engine cannot count, up to `countLimit` entries of each group are looked at (bounded XRANGE). */
  depth(stream: string, countLimit: number, options: DepthOptions): Promise<StreamDepth>;
  /** In parts, for half the deadline at most; what is left goes with the next call. */
  trim(request: TrimRequest, options: CallOptions): Promise<TrimResult>;
  consumers(stream: string, group: string, options: CallOptions): Promise<readonly ConsumerInfo[]>;
  /** Removes a consumer that has nothing pending; false when it has, or is not there. */
  removeConsumer(stream: string, group: string, consumer: string, options: CallOptions): Promise<boolean>;
  range(request: RangeRequest, options: CallOptions): Promise<readonly RawEntry[]>;
  remove(stream: string, entryIds: readonly string[], options: CallOptions): Promise<number>;
}
