import type { CallOptions, StreamEntry } from './entries.ts';
import type { WorkTransport } from './work.ts';

export type { CallOptions, RawEntry, StreamEntry } from './entries.ts';

/**
 * The contract between Oona and an engine that keeps streams. Two implementations (memory, redis) pass one suite,
 * test/conformance/transport.ts. The memory engine lives in one process and keeps nothing after it.
 */

export interface AppendRequest {
  readonly stream: string;
  /** Serialized BusEnvelope. */
  readonly payload: Uint8Array;
  /** base64 HMAC; '' when the bus runs unsigned. */
  readonly signature: string;
  /** The same id within `dedupWindowMs` is stored once; also across client re-sends. */
  readonly dedupId: string;
  readonly dedupWindowMs: number;
  /**
   * Entries older than this may be trimmed from the stream, milliseconds; 0 = never. For emergencies: groups of hosts
   * (`host:…`) pin nothing; what another group has not acknowledged stays, up to UNREAD_TTL_FACTOR times as long.
   * Streams whose unread entries must stay whatever their age are trimmed by `trim`.
   */
  readonly ttlMs: number;
  /** Hears of entries that a trim after an append of this process cut although such a group had not acknowledged them. */
  readonly onCutUnread?: (count: number, stream: string) => void;
  /** Not stored when the stream is this deep already (see StreamDepth); Infinity measures only. Default: no look. */
  readonly depthLimit?: number;
  /**
   * A message that is not stored for `depthLimit`, with the stream less deep than this, goes to another stream: for
   * `dedupWindowMs` every append of its id here is answered 'moved', so that a retry by whichever process, with room here
   * again, goes there too. Default 0: it does not.
   */
  readonly moveBelow?: number;
}

/** How many times `ttlMs` an emergency stream keeps what a group that is no host's has not acknowledged. */
export const UNREAD_TTL_FACTOR = 8;

export interface AppendResult {
  /** 'full': nothing was stored, the stream is `depthLimit` deep · 'moved': nothing was stored, see `moveBelow`. */
  readonly outcome: 'appended' | 'duplicate' | 'full' | 'moved';
  /** Entry id; of the first entry when it is a duplicate; '' when it was not stored. */
  readonly entryId: string;
  /**
   * Depth before this append, when `depthLimit` was given and it is neither a duplicate nor moved. When it was appended: never too small,
   * up to 100 ms old; too large where the engine cannot count and there is much. 'full' rests on a count: at least so many.
   * Where counting takes long both are older, up to twenty times as long as it took.
   */
  readonly depthBefore?: number;
}

export interface ReadRequest {
  readonly stream: string;
  readonly group: string;
  readonly consumer: string;
  /** 'new' blocks up to `blockMs`; 'pending' walks this consumer's own unacknowledged entries after `afterId`. */
  readonly which: 'new' | 'pending';
  readonly afterId: string;
  readonly count: number;
  readonly blockMs: number;
}

export interface BusTransport extends WorkTransport {
  readonly kind: 'memory' | 'redis';
  /** True while calls are expected to work. */
  readonly connected: boolean;
  /** Stores the entry once. Rejects with TransportError; never hangs past the deadline. */
  append(request: AppendRequest, options: CallOptions): Promise<AppendResult>;
  /** Creates the group if it is missing. `startId`: '0' for everything, or an entry id to start after. */
  ensureGroup(stream: string, group: string, startId: string, options: CallOptions): Promise<void>;
  /** Entries, or [] when nothing came within blockMs. Rejects with TransportError code ESPER_OONA_NO_GROUP when the group is gone. */
  openReader(): TransportReader;
  acknowledge(
    stream: string,
    group: string,
    entryIds: readonly string[],
    options: CallOptions,
  ): Promise<number>;
  /** Groups of a stream with the time, in engine ms, of their last delivery where known. */
  groups(stream: string, options: CallOptions): Promise<readonly GroupInfo[]>;
  removeGroup(stream: string, group: string, options: CallOptions): Promise<void>;
  /** Engine time in Unix milliseconds: entry ids are made from it. */
  timeMs(options: CallOptions): Promise<number>;
  ping(options: CallOptions): Promise<void>;
  /** Closes every connection; idempotent; nothing is left that keeps the process alive. */
  close(): Promise<void>;
}

export interface GroupInfo {
  readonly group: string;
  readonly pending: number;
  readonly lastDeliveredId: string;
}

/** One loop's own connection: a blocking read freezes everything else on its client. */
export interface TransportReader {
  read(request: ReadRequest, signal: AbortSignal): Promise<readonly StreamEntry[]>;
  close(): Promise<void>;
}
