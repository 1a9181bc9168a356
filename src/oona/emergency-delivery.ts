import { decodeMessage } from '../leyline/codec.ts';
import { readEmergencySignal } from '../leyline/emergency.ts';
import { ENVELOPE_ATTRIBUTES } from '../leyline/envelope.ts';
import type { KeyRing } from '../leyline/key-ring.ts';
import { BusMessageType, type EmergencySignal } from '../leyline/messages.ts';
import { type FreshnessLimits, requireFresh } from './freshness.ts';
import { issuedAtMs, openEntry } from './open-entry.ts';
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

/**
 * Verifies, decodes and dates one entry of the emergency stream. Undefined when it carries something else than an
 * emergency, which is for other readers. Throws SignatureError, LeylineError or RejectionError on a bad one.
 */
export function openDelivery(entry: StreamEntry, checks: DeliveryChecks): OpenedDelivery | undefined {
  const limits = { maxPayloadBytes: checks.maxPayloadBytes };
  const { messageType, payload, attributes, keyId } = openEntry(entry, checks.keyRing, limits);
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
