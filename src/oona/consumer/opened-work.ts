import { type CodableType, decodeMessage, type MessageOf } from '../../leyline/codec.ts';
import { type Attributes, ENVELOPE_ATTRIBUTES } from '../../leyline/envelope.ts';
import type { KeyRing } from '../../leyline/key-ring.ts';
import { BusMessageType } from '../../leyline/messages.ts';
import { type TimestampLike, wallMsFromTimestamp } from '../../leyline/timestamps.ts';
import { fromUint64, type Uint64Field } from '../../leyline/uint64.ts';
import { RejectionError } from '../errors.ts';
import { type FreshnessLimits, requireFresh } from '../freshness.ts';
import { issuedAtMs, openEntry } from '../open-entry.ts';
import type { StreamEntry } from '../transport/transport.ts';
import type { Delivery } from '../work-types.ts';
import type { Cancel } from './cancel.ts';
import type { Work } from './work.ts';

export interface WorkChecks extends FreshnessLimits {
  readonly keyRing: KeyRing | undefined;
  readonly limits: { readonly maxPayloadBytes: number };
  /** Undefined: all. */
  readonly types: ReadonlySet<number> | undefined;
  readonly acceptUnidentified: boolean;
}

export interface OpenedWork {
  readonly type: CodableType;
  readonly message: MessageOf<CodableType>;
  readonly attributes: Attributes;
  readonly keyId: string | undefined;
  readonly eventId: string;
  readonly issuedAtMs: number;
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
 * Verifies, decodes and dates an entry; notes on `work` what is known of it as soon as it is known. Undefined when its
 * type was not asked for. Throws SignatureError, LeylineError or RejectionError.
 */
export function openWork(work: Work, checks: WorkChecks, nowMs: number): OpenedWork | undefined {
  const { entry } = work;
  const { messageType, payload, attributes, keyId } = openEntry(entry, checks.keyRing, checks.limits);
  work.messageType = BusMessageType[messageType];
  const signedId = attributes[ENVELOPE_ATTRIBUTES.eventId];
  if (signedId) work.eventId = signedId;
  if (checks.types !== undefined && !checks.types.has(messageType)) return undefined;
  const type = messageType as CodableType;
  const message = decodeMessage(type, payload, checks.limits) as MessageOf<CodableType>;
  const { requestId } = message as Dated;
  const eventId = signedId || requestId;
  if (eventId) work.eventId = eventId;
  else if (!checks.acceptUnidentified) {
    throw new RejectionError('ESPER_OONA_UNIDENTIFIED', 'the message has neither event_id nor request_id');
  }
  const issued = issuedAtMs(attributes, sentAtMs(message as Dated), entry.entryId);
  if (!work.accepted) requireFresh(issued, nowMs, checks);
  work.accepted = true;
  work.issuedAtMs = issued;
  // The common one as it is: a key put together for each message costs as much as the rest of the guard.
  if (signedId) work.guardKey = signedId;
  else if (requestId) work.guardKey = `\u0000request:${messageType}:${requestId}`;
  return { type, message, attributes, keyId, eventId: eventId || entry.entryId, issuedAtMs: issued };
}

/** What a handler gets. The signal is made when it is asked for. */
class WorkDelivery {
  readonly type: CodableType;
  readonly message: MessageOf<CodableType>;
  readonly eventId: string;
  readonly attributes: Attributes;
  readonly stream: string;
  readonly entryId: string;
  readonly deliveryCount: number;
  readonly keyId: string | undefined;
  readonly issuedAtMs: number;
  readonly #cancel: Cancel;

  constructor(opened: OpenedWork, entry: StreamEntry, deliveryCount: number, cancel: Cancel) {
    this.type = opened.type;
    this.message = opened.message;
    this.eventId = opened.eventId;
    this.attributes = opened.attributes;
    this.stream = entry.stream;
    this.entryId = entry.entryId;
    this.deliveryCount = deliveryCount;
    this.keyId = opened.keyId;
    this.issuedAtMs = opened.issuedAtMs;
    this.#cancel = cancel;
  }

  get traceparent(): string | undefined {
    return this.attributes.traceparent;
  }

  get tracestate(): string | undefined {
    return this.attributes.tracestate;
  }

  get signal(): AbortSignal {
    return this.#cancel.signal;
  }
}

export function deliveryOf(opened: OpenedWork, work: Work, cancel: Cancel): Delivery {
  return new WorkDelivery(opened, work.entry, work.deliveryCount, cancel) as Delivery;
}
