import type { EmergencyRecord } from '../signals/types.ts';
import { FAST_PATH_LEVEL } from '../tolaria/levels.ts';

/** A clear that came from another host: the emergency that it names first, and the others that it lowered. */
export interface RemoteClear {
  readonly clearedSignalId: string;
  readonly alsoCleared: readonly string[];
}

/**
 * The standing emergencies that a remote clear says nothing about. A flag is lowered as a whole, so a clear of one
 * emergency must not take another one along that its sender never heard of: A clears its own CONSERVATIVE while B
 * raises a HALT, and the HALT has to stand.
 *
 * Covered are the named emergencies, those that earlier clears named (`clearedBefore`), and levels that never leave
 * their host. Never what its id makes look older: two processes take their tickets in one order and raise in another.
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
      !clear.alsoCleared.includes(record.signalId) &&
      !clearedBefore(record.signalId),
  );
}
