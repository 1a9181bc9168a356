/** Bus entries: a message in a BusEnvelope, and the signature over the envelope's bytes. */
import type { Attributes } from './attributes.ts';
import {
  type CodableType,
  checkSize,
  type DecodeLimits,
  decodeWith,
  largestOf,
  type MessageInput,
  writeMessage,
} from './codec.ts';
import { decodeUsualEnvelope, writeAttribute, writeHead } from './envelope-wire.ts';
import { LeylineError } from './errors.ts';
import type { KeyRing } from './key-ring.ts';
import { BusEnvelope, BusMessageType } from './messages.ts';
import { startWriting, takeBytes, type WireWriter } from './wire-writer.ts';

export { type Attributes, ENVELOPE_ATTRIBUTES, type EnvelopeAttributes } from './attributes.ts';

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
  const writer = startWriting();
  writer.raw(content.payload);
  return finish(writer, content, keyRing, largest);
}

/** `sealEnvelope` with what `encodeMessage` returns: the same bytes and errors, without a copy in between. */
export function sealMessage<T extends CodableType>(
  content: MessageContent<T>,
  keyRing: KeyRing | undefined,
  limits?: DecodeLimits,
): SignedEntry {
  const largest = largestOf(limits);
  const writer = startWriting();
  writeMessage(writer, content.messageType, content.message);
  return finish(writer, content, keyRing, largest);
}

/** Around the message that stands in the writer. */
function finish(
  writer: WireWriter,
  { messageType, attributes }: { readonly messageType: BusMessageType; readonly attributes?: Attributes },
  keyRing: KeyRing | undefined,
  largest: number,
): SignedEntry {
  const start = writeHead(writer, messageType);
  if (attributes !== undefined) writeAttributes(writer, attributes);
  // One more entry of the same map: of two with one key receivers take the last.
  if (keyRing !== undefined) writeAttribute(writer, 'key_id', keyRing.currentKeyId);
  const payload = takeBytes(writer, start);
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
  const { messageType, payload, attributes } = decodeEnvelope(entry.payload);
  requireKnownType(messageType);
  return Object.freeze({ messageType, payload, attributes: Object.freeze(attributes), keyId });
}

function decodeEnvelope(bytes: Uint8Array): Omit<OpenedEnvelope, 'keyId'> {
  const usual = decodeUsualEnvelope(bytes);
  if (usual !== undefined) return usual;
  const { messageType, payload, attributes } = decodeWith(BusEnvelope, 'envelope', bytes);
  // A spread defines own properties: a key `__proto__` stays a key.
  return { messageType, payload, attributes: { ...attributes } };
}

/** A copy of `attributes` that is safe to send. Throws `LeylineError` ESPER_LEYLINE_INVALID. */
export function checkedAttributes(owner: string, attributes: Attributes): Record<string, string> {
  requireAttributes(owner, attributes);
  return { ...attributes };
}

/** Throws `LeylineError` ESPER_LEYLINE_INVALID. */
function requireAttributes(owner: string, attributes: Attributes): void {
  for (const key of Object.keys(attributes)) requireAttribute(owner, key, attributes[key]);
}

function writeAttributes(writer: WireWriter, attributes: Attributes): void {
  for (const key of Object.keys(attributes)) {
    const value = attributes[key];
    requireAttribute('envelope', key, value);
    writeAttribute(writer, key, value);
  }
}

function requireAttribute(owner: string, key: string, value: unknown): asserts value is string {
  if (REFUSED_KEYS.has(key)) {
    throw new LeylineError('ESPER_LEYLINE_INVALID', `${owner}: attribute key "${key}" is not allowed`);
  }
  if (typeof value !== 'string') {
    throw new LeylineError(
      'ESPER_LEYLINE_INVALID',
      `${owner}: attribute "${key}" must be a string, got ${typeof value}`,
    );
  }
}

function requireKnownType(type: BusMessageType): void {
  // The type first: an enum object answers to names as well. 0 is a type that nobody set.
  if (typeof type === 'number' && type !== 0 && BusMessageType[type] !== undefined) return;
  throw new LeylineError('ESPER_LEYLINE_UNKNOWN_TYPE', `bus message type ${String(type)} is unknown`);
}
