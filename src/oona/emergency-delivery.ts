import { decodeMessage } from '../leyline/codec.ts';
import { readEmergencySignal } from '../leyline/emergency.ts';
import { type Attributes, ENVELOPE_ATTRIBUTES, openEnvelope } from '../leyline/envelope.ts';
import type { KeyRing } from '../leyline/key-ring.ts';
import { BusMessageType, type EmergencySignal } from '../leyline/messages.ts';
import { RejectionError } from './errors.ts';
import { type FreshnessLimits, requireFresh } from './freshness.ts';
import type { StreamEntry } from './transport/transport.ts';
import type { EmergencyDelivery } from './types.ts';

export interface DeliveryChecks extends FreshnessLimits {
  readonly keyRing: KeyRing | undefined;
  readonly maxPayloadBytes: number;
  /** Now, Unix milliseconds. */
  readonly nowMs: number;
}

export interface OpenedDelivery {
  readonly delivery: EmergencyDelivery;
  /** One emergency, one id, however many entries carry it. */
  readonly eventId: string;
}

/** A peer that sets none of our attributes is dated by its message, else by the entry's id. */
function issuedAtMs(attributes: Attributes, sentAtMs: number | undefined, entryId: string): number {
  const attribute = attributes[ENVELOPE_ATTRIBUTES.issuedAtMs] ?? '';
  if (/^\d{1,16}$/.test(attribute)) return Number(attribute);
  return sentAtMs ?? Number(entryId.split('-')[0]);
}

/**
 * Verifies, decodes and dates one entry of the emergency stream. Undefined when it carries something else than an
 * emergency, which is for other readers. Throws SignatureError, LeylineError or RejectionError on a bad one.
 */
export function openDelivery(entry: StreamEntry, checks: DeliveryChecks): OpenedDelivery | undefined {
  const limits = { maxPayloadBytes: checks.maxPayloadBytes };
  const { messageType, payload, attributes, keyId } = openEnvelope(entry, checks.keyRing, limits);
  const stream = attributes[ENVELOPE_ATTRIBUTES.stream];
  if (stream !== undefined && stream !== entry.stream) {
    throw new RejectionError('ESPER_OONA_WRONG_STREAM', `published to ${stream}, found on ${entry.stream}`);
  }
  if (messageType !== BusMessageType.BUS_MESSAGE_TYPE_EMERGENCY_SIGNAL) return undefined;
  const message: EmergencySignal = decodeMessage(
    BusMessageType.BUS_MESSAGE_TYPE_EMERGENCY_SIGNAL,
    payload,
    limits,
  );
  const fields = readEmergencySignal(message);
  requireFresh(issuedAtMs(attributes, fields.wallMs, entry.entryId), checks.nowMs, checks);
  const eventId = attributes[ENVELOPE_ATTRIBUTES.eventId] || fields.signalId || entry.entryId;
  const { entryId, deliveryCount } = entry;
  return { delivery: { message, attributes, stream: entry.stream, entryId, deliveryCount, keyId }, eventId };
}
