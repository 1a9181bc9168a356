import type { EmergencyLevel } from '../leyline/messages.ts';
import { type NativeBatch, type NativeRecord, RecordKind } from '../native/contract.ts';
import type { EmergencyRecord, RollbackRecord, WatchEvent } from './types.ts';

export function toEmergencyRecord(record: NativeRecord): EmergencyRecord {
  const isClear = record.kind === RecordKind.clear;
  return Object.freeze({
    kind: isClear ? 'clear' : 'trigger',
    level: record.level as EmergencyLevel,
    signalId: record.signalId,
    ticket: record.ticket,
    generation: record.generation,
    pid: record.pid,
    origin: record.origin,
    reason: record.reason,
    reasonSizeBytes: record.reasonSizeBytes,
    runId: record.runId,
    step: Number(record.step),
    monotonicNs: record.monotonicNs,
    wallNs: record.wallNs,
    published: record.published,
    remote: record.remote,
    clearedSignalId: isClear ? record.subject : '',
    forced: record.forced,
    cleared: isClear
      ? Object.freeze({ generation: record.clearedGeneration, level: record.clearedLevel })
      : undefined,
  } satisfies EmergencyRecord);
}

/** Losses go first: they are older than the records of the same batch. */
export function toWatchEvents(batch: NativeBatch): WatchEvent[] {
  const events: WatchEvent[] = [];
  if (batch.overruns > 0) events.push({ type: 'overrun', count: batch.overruns });
  if (batch.holes > 0) events.push({ type: 'hole', count: batch.holes });
  for (const record of batch.records) events.push({ type: 'record', record: toEmergencyRecord(record) });
  return events;
}

const ROLLBACK_EXPIRED = 2;

export function toRollbackRecord(record: NativeRecord): RollbackRecord {
  const raised = record.level >= ROLLBACK_EXPIRED ? 'expired' : 'requested';
  return Object.freeze({
    kind: record.kind === RecordKind.clear ? 'settled' : raised,
    requestId: record.subject,
    ticket: record.ticket,
    generation: record.generation,
    step: Number(record.step),
    tier: record.tier,
    deadlineNs: record.deadlineNs,
    reason: record.reason,
    origin: record.origin,
    runId: record.runId,
    pid: record.pid,
    monotonicNs: record.monotonicNs,
  } satisfies RollbackRecord);
}
