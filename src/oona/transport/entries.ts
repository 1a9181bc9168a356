/** What both halves of the transport contract speak of. */

export interface StreamEntry {
  readonly stream: string;
  readonly entryId: string;
  readonly payload: Uint8Array;
  readonly signature: string;
  /** How often the engine has handed out this entry, from 1. */
  readonly deliveryCount: number;
  /** True when the entry was trimmed away while it was pending: id only, nothing left to handle. */
  readonly lost?: boolean;
}

/** An entry as it is stored, fields and all. Values are bytes. */
export interface RawEntry {
  readonly entryId: string;
  readonly fields: ReadonlyMap<string, Uint8Array>;
}

export interface CallOptions {
  /** Bound on the whole call, milliseconds; a call past it rejects with ESPER_OONA_TIMEOUT. */
  readonly deadlineMs: number;
  readonly signal?: AbortSignal;
  /** Sent at once, whatever else this process sends in the same turn of its event loop. Default false. */
  readonly urgent?: boolean;
}

/** Order of two entry ids `<ms>-<seq>`; a bare `<ms>` means `<ms>-0`. Negative when a comes first. */
export function compareEntryIds(a: string, b: string): number {
  // Digits that stand at the same places: as they nearly always do; this is on the path of every acknowledgement.
  if (a.length === b.length && a.indexOf('-') === b.indexOf('-')) return a < b ? -1 : a > b ? 1 : 0;
  const [aMs = '0', aSeq = '0'] = a.split('-');
  const [bMs = '0', bSeq = '0'] = b.split('-');
  return Number(aMs) - Number(bMs) || Number(aSeq) - Number(bSeq);
}
