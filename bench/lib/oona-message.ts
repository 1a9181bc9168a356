import { encodeMessage } from '../../src/leyline/codec.ts';
import { buildEmergencySignal } from '../../src/leyline/emergency.ts';
import { BusMessageType, EmergencyLevel, FieldReportOutcome } from '../../src/leyline/messages.ts';
import type { EmergencySignalMessage } from '../../src/oona/index.ts';
import type { BusMessage } from '../../src/oona/work-types.ts';

const TYPE = BusMessageType.BUS_MESSAGE_TYPE_FIELD_REPORT;
const SEQ_DIGITS = 9;

export type ReportMessage = Extract<BusMessage, { readonly type: typeof TYPE }>;

const idOf = (label: string, seq: number): string => `${label}-${String(seq).padStart(SEQ_DIGITS, '0')}`;

/** Number of a message by its id; the label in front keeps ids of one phase apart from those of another. */
export function seqOf(id: string): number {
  return Number(id.slice(-SEQ_DIGITS));
}

/** Field reports of one size. */
export interface MessageMaker {
  /** Of the serialized message, without envelope and signature. */
  readonly sizeBytes: number;
  /** Equal for every label of this length: what peers get as text. */
  readonly notes: string;
  /** Id of the report, which becomes the event id. */
  idOf(seq: number): string;
  make(seq: number): ReportMessage;
  /** The same object each time, under another id: for a sender that is done with it when `publish` returns. */
  renewed(seq: number): ReportMessage;
}

/** Field reports whose serialized message has exactly `sizeBytes`; the rest of it is text. */
export function messageMaker(label: string, sizeBytes: number): MessageMaker {
  const base = {
    version: 1,
    commandId: 'command-1',
    trainingRunId: 'bench-run',
    seedId: 'seed-1',
    outcome: FieldReportOutcome.FIELD_REPORT_OUTCOME_SUCCESS,
    metrics: { loss: 0.25, accuracy: 0.75 },
  };
  const sizeWith = (length: number): number =>
    encodeMessage(TYPE, { ...base, reportId: idOf(label, 0), notes: 'n'.repeat(length) }).length;
  let length = sizeBytes - sizeWith(0);
  while (length > 0 && sizeWith(length) > sizeBytes) length -= 1;
  if (length <= 0 || sizeWith(length) !== sizeBytes) throw new Error(`no message of ${sizeBytes} bytes`);
  const notes = 'n'.repeat(length);
  const make = (seq: number): ReportMessage => ({
    type: TYPE,
    message: { ...base, reportId: idOf(label, seq), notes },
  });
  const fields = { ...base, reportId: '', notes };
  const same: ReportMessage = { type: TYPE, message: fields };
  const renewed = (seq: number): ReportMessage => {
    fields.reportId = idOf(label, seq);
    return same;
  };
  return { sizeBytes, notes, idOf: (seq) => idOf(label, seq), make, renewed };
}

/** A HALT, which no bucket of tokens holds back. */
export function emergency(label: string, seq: number): EmergencySignalMessage {
  return buildEmergencySignal({
    level: EmergencyLevel.EMERGENCY_LEVEL_HALT,
    reason: 'loss is not a number',
    origin: 'bench',
    runId: 'bench-run',
    step: seq,
    signalId: idOf(label, seq),
    bootId: 'bench-boot',
    monotonicNs: process.hrtime.bigint(),
    wallMs: Date.now(),
    attributes: { host: 'bench' },
  });
}
