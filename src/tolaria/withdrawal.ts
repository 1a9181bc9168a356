import { EmergencyLevel } from '../leyline/messages.ts';
import type { EmergencyRecord } from '../signals/types.ts';

/** As many ids as the reason of a record holds. */
const IDS_PER_RECORD = 6;
const WITHDRAWAL = /^withdrawn:((?: [0-9a-f-]{1,53})+)$/;

/**
 * Reasons of the NOTICE records by which a process says that its raises need no longer stand. With two that raised,
 * neither may clear the other's raise; the one that gets well last clears both.
 */
export function withdrawalReasons(signalIds: readonly string[]): string[] {
  const reasons: string[] = [];
  for (let i = 0; i < signalIds.length; i += IDS_PER_RECORD) {
    reasons.push(`withdrawn: ${signalIds.slice(i, i + IDS_PER_RECORD).join(' ')}`);
  }
  return reasons;
}

/** Those of `raises` that their own process has withdrawn, and the records that say so. */
export function withdrawnOf(raises: readonly EmergencyRecord[]): ReadonlySet<string> {
  const pidOf = new Map(raises.map(({ signalId, pid }) => [signalId, pid]));
  const withdrawn = new Set<string>();
  for (const { level, remote, reason, signalId, pid } of raises) {
    if (level !== EmergencyLevel.EMERGENCY_LEVEL_NOTICE || remote) continue;
    const ids = WITHDRAWAL.exec(reason)?.[1]?.trim().split(' ');
    if (ids === undefined) continue;
    withdrawn.add(signalId);
    for (const id of ids) if (pidOf.get(id) === pid) withdrawn.add(id);
  }
  return withdrawn;
}
