/**
 * The part of the transport contract for looking at pending lists without changing them, and for what a consumer that
 * stops, or whose group is gone, does with what it has. "Owned" means the same as in work.ts.
 */
import type { CallOptions } from './entries.ts';
import type { DeadLetterRequest } from './work.ts';

export interface PendingRow {
  readonly entryId: string;
  readonly deliveryCount: number;
}

export interface OwnPendingRequest {
  readonly stream: string;
  readonly group: string;
  readonly consumer: string;
  /** Entry id to begin after; '0' for all. */
  readonly afterId: string;
  readonly count: number;
}

export interface GiveBackRequest {
  readonly stream: string;
  readonly group: string;
  readonly consumer: string;
  /** With the delivery count that each is to have from now on: sent twice, this changes nothing more. */
  readonly entries: readonly PendingRow[];
}

/** What is given back counts as untouched for this long, milliseconds: longer than any lease. */
export const GIVEN_BACK_IDLE_MS = 86_400_000;

export interface PendingTransport {
  /** What is pending under this consumer's name, in order. A look: counts and idle times stay. */
  ownPending(request: OwnPendingRequest, options: CallOptions): Promise<readonly PendingRow[]>;
  /** The consumer that has each of those that are pending in the group, by entry id; a look. */
  ownersOf(
    stream: string,
    group: string,
    entryIds: readonly string[],
    options: CallOptions,
  ): Promise<ReadonlyMap<string, string>>;
  /**
   * Owned entries stay pending, and whoever claims next gets them at once. Ids trimmed away stay as they are. Returns
   * the ids that were owned.
   */
  giveBack(request: GiveBackRequest, options: CallOptions): Promise<readonly string[]>;
  /** A dead letter from the request's own bytes, once, without an acknowledgement: for an entry that nobody has. */
  storeLetter(request: DeadLetterRequest, options: CallOptions): Promise<void>;
}
