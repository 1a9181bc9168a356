import type { EmergencyRecord } from '../signals/types.ts';
import { FAST_PATH_LEVEL } from '../tolaria/levels.ts';

/** A clear that came from another host: its own id and the id of the emergency that it names. */
export interface RemoteClear {
  readonly signalId: string;
  readonly clearedSignalId: string;
}

/**
 * The standing emergencies that a remote clear says nothing about. A flag is lowered as a whole, so a clear of one
 * emergency must not take another one along that its sender never heard of: A clears its own CONSERVATIVE while B
 * raises a HALT, and the HALT has to stand.
 *
 * Covered are the named emergency, those that earlier clears named (`clearedBefore`), those of the sender's own
 * segment from before the clear (its clear lowered them too, and a message names only the last one), and levels that
 * never leave their host.
 */
export function uncovered(
  records: readonly EmergencyRecord[],
  clear: RemoteClear,
  clearedBefore: (signalId: string) => boolean,
): EmergencyRecord[] {
  return records.filter(
    (record) =>
      record.level >= FAST_PATH_LEVEL &&
      record.signalId !== clear.clearedSignalId &&
      !clearedBefore(record.signalId) &&
      !precedes(record.signalId, clear.signalId),
  );
}

/** `<32 hex digits of the segment>-<ticket in hex>`, as the native core makes them. */
const SEGMENT_ID = /^([0-9a-f]{32})-([0-9a-f]{1,16})$/;

/** True when both ids were made by one segment and `earlier` has the lower ticket. False when that is unknown. */
export function precedes(earlier: string, later: string): boolean {
  const a = SEGMENT_ID.exec(earlier);
  const b = SEGMENT_ID.exec(later);
  if (a?.[2] === undefined || b?.[2] === undefined || a[1] !== b[1]) return false;
  return BigInt(`0x${a[2]}`) < BigInt(`0x${b[2]}`);
}
