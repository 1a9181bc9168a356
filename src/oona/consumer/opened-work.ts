import { type CodableType, decodeMessage, type MessageOf } from '../../leyline/codec.ts';
import { ENVELOPE_ATTRIBUTES } from '../../leyline/envelope.ts';
import type { KeyRing } from '../../leyline/key-ring.ts';
import { type TimestampLike, wallMsFromTimestamp } from '../../leyline/timestamps.ts';
import { fromUint64, type Uint64Field } from '../../leyline/uint64.ts';
import { REPLAY_ATTRIBUTES } from '../dead-letters/replay.ts';
import { RejectionError } from '../errors.ts';
import { type FreshnessLimits, requireFresh } from '../freshness.ts';
import { entryMs, openEntry, stampedAtMs } from '../open-entry.ts';
import type { Work } from './work.ts';
import { WorkDelivery } from './work-delivery.ts';

export interface WorkChecks extends FreshnessLimits {
  readonly keyRing: KeyRing | undefined;
  readonly limits: { readonly maxPayloadBytes: number };
  /** Undefined: all. */
  readonly types: ReadonlySet<number> | undefined;
  readonly acceptUnidentified: boolean;
  /** Of this consumer. */
  readonly group: string;
}

/** The fields that some messages have and by which a message without our attributes is told and dated. */
interface Dated {
  readonly requestId?: string;
  readonly issuedAt?: TimestampLike | null;
  readonly timestamp?: TimestampLike | null;
  readonly occurredAt?: TimestampLike | null;
  readonly triggeredAt?: TimestampLike | null;
  readonly timestampNs?: Uint64Field | null;
}

function sentAtMs(message: Dated): number | undefined {
  const { issuedAt, timestamp, occurredAt, triggeredAt, timestampNs } = message;
  const stamp = wallMsFromTimestamp(issuedAt ?? timestamp ?? occurredAt ?? triggeredAt);
  if (stamp !== undefined || timestampNs === undefined) return stamp;
  const ns = fromUint64(timestampNs);
  return ns === 0n ? undefined : Number(ns) / 1e6;
}

/**
 * Verifies, decodes and dates an entry; notes on `work` what is known of it as soon as it is known. Undefined when it is
 * not for this consumer: a type that was not asked for, or a dead letter that another group gave up and that was brought
 * back for it. Throws SignatureError, LeylineError or RejectionError.
 */
export function openWork(work: Work, checks: WorkChecks, nowMs: number): WorkDelivery | undefined {
  const { entry } = work;
  const opened = openEntry(entry, checks.keyRing, checks.limits);
  const { messageType, attributes } = opened;
  work.type = messageType;
  const signedId = attributes[ENVELOPE_ATTRIBUTES.eventId];
  if (signedId) work.eventId = signedId;
  if (checks.types !== undefined && !checks.types.has(messageType)) return undefined;
  const replayGroup = attributes[REPLAY_ATTRIBUTES.replayGroup];
  if (replayGroup !== undefined && replayGroup !== checks.group) return undefined;
  const type = messageType as CodableType;
  const message = decodeMessage(type, opened.payload, checks.limits) as MessageOf<CodableType>;
  const { requestId } = message as Dated;
  if (!signedId && requestId) work.eventId = requestId;
  if (!work.eventId && !checks.acceptUnidentified) {
    throw new RejectionError('ESPER_OONA_UNIDENTIFIED', 'the message has neither event_id nor request_id');
  }
  const issued = stampedAtMs(attributes) ?? sentAtMs(message as Dated) ?? entryMs(entry.entryId);
  if (!work.accepted) requireFresh(issued, nowMs, checks);
  work.accepted = true;
  // The common one as it is: a key put together for each message costs as much as the rest of the guard.
  if (signedId) work.guardKey = signedId;
  else if (requestId) work.guardKey = `\u0000request:${messageType}:${requestId}`;
  return new WorkDelivery(work, opened, message, issued);
}
