/** Bus entries: a message in a BusEnvelope, and the signature over the envelope's bytes. */
import type protobuf from 'protobufjs/minimal.js';
import {
  bytesOf,
  type CodableType,
  checkSize,
  createWriter,
  type DecodeLimits,
  decodeWith,
  largestOf,
  type MessageInput,
  writeMessage,
} from './codec.ts';
import { LeylineError } from './errors.ts';
import type { KeyRing } from './key-ring.ts';
import { BusEnvelope, BusMessageType } from './messages.ts';

/** Names of the envelope attributes that this package and its peers use. */
export const ENVELOPE_ATTRIBUTES = Object.freeze({
  /** Unique per message. */
  eventId: 'event_id',
  /** Wall clock of the publisher, Unix milliseconds. */
  issuedAtMs: 'issued_at_ms',
  /** The stream it was published to. */
  stream: 'stream',
  /** Publishing subsystem. */
  source: 'source',
  /** Which secret signed it. A claim like every attribute: `OpenedEnvelope.keyId` is what was verified. */
  keyId: 'key_id',
  /** On emergencies. */
  origin: 'origin',
  reason: 'reason',
  level: 'level',
});

export type Attributes = Readonly<Record<string, string>>;

/** Attributes by those names. */
export type EnvelopeAttributes = Readonly<
  Partial<Record<(typeof ENVELOPE_ATTRIBUTES)[keyof typeof ENVELOPE_ATTRIBUTES], string>>
>;

/** What an entry of the bus holds. */
export interface SignedEntry {
  /** Serialized BusEnvelope. */
  readonly payload: Uint8Array;
  /** base64 HMAC-SHA256 over `payload`; '' on an unsigned bus. */
  readonly signature: string;
}

export interface EnvelopeContent {
  readonly messageType: BusMessageType;
  /** The serialized message. */
  readonly payload: Uint8Array;
  /** Default none. `key_id` is set by sealing. */
  readonly attributes?: Attributes;
}

export interface MessageContent<T extends CodableType> {
  readonly messageType: T;
  readonly message: MessageInput<T>;
  /** As EnvelopeContent's. */
  readonly attributes?: Attributes;
}

export interface OpenedEnvelope {
  readonly messageType: BusMessageType;
  /** A view into the entry's bytes. */
  readonly payload: Uint8Array;
  /** As they were sent, frozen. Trustworthy only when `keyId` is set. */
  readonly attributes: Attributes;
  /** The key that verified the entry; undefined when it was opened without a key ring. */
  readonly keyId: string | undefined;
}

/** Of BusEnvelope.payload, the one field that is not written by generated code: field 2, length-delimited. */
const PAYLOAD_TAG = (2 << 3) | 2;

/** Own properties of these names are harmless here, but code that copies them with `=` loses or shadows them. */
const REFUSED_KEYS: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype']);

/**
 * Packs a message and, with a key ring, signs it and names the key in attribute `key_id`.
 *
 * Throws `LeylineError`: ESPER_LEYLINE_UNKNOWN_TYPE, _EMPTY (payload), _INVALID (an attribute that is not a string or
 * is called `__proto__`, `constructor` or `prototype`), _TOO_LARGE (receivers with the same limit would refuse it).
 */
export function sealEnvelope(
  content: EnvelopeContent,
  keyRing: KeyRing | undefined,
  limits?: DecodeLimits,
): SignedEntry {
  const largest = largestOf(limits);
  requireKnownType(content.messageType);
  checkSize('message in envelope', content.payload, largest);
  const { messageType, payload } = content;
  const writer = BusEnvelope.encode({ messageType, payload }, createWriter());
  return finish(writer, content.attributes, keyRing, largest);
}

/** `sealEnvelope` with what `encodeMessage` returns: the same bytes and errors, without a copy in between. */
export function sealMessage<T extends CodableType>(
  content: MessageContent<T>,
  keyRing: KeyRing | undefined,
  limits?: DecodeLimits,
): SignedEntry {
  const largest = largestOf(limits);
  const { messageType } = content;
  const writer = BusEnvelope.encode({ messageType }, createWriter());
  writer.uint32(PAYLOAD_TAG).fork();
  writeMessage(writer, messageType, content.message);
  return finish(writer.ldelim(), content.attributes, keyRing, largest);
}

function finish(
  writer: protobuf.Writer,
  attributes: Attributes | undefined,
  keyRing: KeyRing | undefined,
  largest: number,
): SignedEntry {
  if (attributes !== undefined) {
    requireAttributes('envelope', attributes);
    BusEnvelope.encode({ attributes }, writer);
  }
  // One more entry of the same map: of two with one key receivers take the last.
  if (keyRing !== undefined) BusEnvelope.encode({ attributes: { key_id: keyRing.currentKeyId } }, writer);
  const payload = bytesOf(writer);
  checkSize('envelope', payload, largest);
  return { payload, signature: keyRing === undefined ? '' : keyRing.sign(payload) };
}

/**
 * Checks size, then signature, then decodes: in this order, so that a stranger's bytes are never decoded. Without a
 * key ring the signature is not looked at.
 *
 * Throws `SignatureError` (ESPER_LEYLINE_SIGNATURE_MISSING, _MALFORMED, _MISMATCH) or `LeylineError`
 * (ESPER_LEYLINE_EMPTY, _TOO_LARGE, _TRUNCATED, _UNKNOWN_TYPE).
 */
export function openEnvelope(
  entry: SignedEntry,
  keyRing: KeyRing | undefined,
  limits?: DecodeLimits,
): OpenedEnvelope {
  checkSize('envelope', entry.payload, largestOf(limits));
  const keyId = keyRing?.verify(entry.payload, entry.signature);
  const envelope = decodeWith(BusEnvelope, 'envelope', entry.payload);
  requireKnownType(envelope.messageType);
  // Spread and freeze define own properties: a key `__proto__` stays a key.
  const attributes = Object.freeze({ ...envelope.attributes });
  return Object.freeze({ messageType: envelope.messageType, payload: envelope.payload, attributes, keyId });
}

/** A copy of `attributes` that is safe to send. Throws `LeylineError` ESPER_LEYLINE_INVALID. */
export function checkedAttributes(owner: string, attributes: Attributes): Record<string, string> {
  requireAttributes(owner, attributes);
  return { ...attributes };
}

/** Throws `LeylineError` ESPER_LEYLINE_INVALID. */
function requireAttributes(owner: string, attributes: Attributes): void {
  for (const key of Object.keys(attributes)) {
    if (REFUSED_KEYS.has(key)) {
      throw new LeylineError('ESPER_LEYLINE_INVALID', `${owner}: attribute key "${key}" is not allowed`);
    }
    const type = typeof attributes[key];
    if (type !== 'string') {
      throw new LeylineError(
        'ESPER_LEYLINE_INVALID',
        `${owner}: attribute "${key}" must be a string, got ${type}`,
      );
    }
  }
}

function requireKnownType(type: BusMessageType): void {
  // The type first: an enum object answers to names as well. 0 is a type that nobody set.
  if (typeof type === 'number' && type !== 0 && BusMessageType[type] !== undefined) return;
  throw new LeylineError('ESPER_LEYLINE_UNKNOWN_TYPE', `bus message type ${String(type)} is unknown`);
}
