/**
 * BusEnvelope's bytes, written and read without the generated class: every entry of the bus is one, and the class takes
 * about twice as long. Its three fields are fixed (`message_type` 1, `payload` 2, `attributes` 3); tests hold this
 * against the generated class byte for byte.
 */
import { ENVELOPE_ATTRIBUTES } from './attributes.ts';
import { textAt } from './wire-reader.ts';
import { HEAD_ROOM, type WireWriter } from './wire-writer.ts';

const MESSAGE_TYPE_TAG = 1 << 3;
const PAYLOAD_TAG = (2 << 3) | 2;
const ATTRIBUTE_TAG = (3 << 3) | 2;
const KEY_TAG = (1 << 3) | 2;
const VALUE_TAG = (2 << 3) | 2;
/** A varint below this is one byte. */
const CONTINUES = 0x80;

/** Type and length, in front of the message that begins at HEAD_ROOM. Returns where the envelope begins. */
export function writeHead(writer: WireWriter, messageType: number): number {
  const { pos: end } = writer;
  const length = end - HEAD_ROOM;
  const start = HEAD_ROOM - 2 - varintSize(messageType) - varintSize(length);
  writer.pos = start;
  writer.uint32(MESSAGE_TYPE_TAG).uint32(messageType).uint32(PAYLOAD_TAG).uint32(length);
  writer.pos = end;
  return start;
}

function varintSize(value: number): number {
  let size = 1;
  for (let rest = value; rest >= CONTINUES; rest = Math.floor(rest / CONTINUES)) size++;
  return size;
}

/** An attribute that is the same in one message after another, as the bytes of its map entry. */
interface Repeated {
  value: string;
  /** Undefined until the value was seen twice. */
  bytes: Buffer | undefined;
}

const REPEATED: ReadonlyMap<string, Repeated> = new Map(
  [ENVELOPE_ATTRIBUTES.stream, ENVELOPE_ATTRIBUTES.source, ENVELOPE_ATTRIBUTES.keyId].map((key) => [
    key,
    { value: '', bytes: undefined },
  ]),
);

export function writeAttribute(writer: WireWriter, key: string, value: string): void {
  const repeated = REPEATED.get(key);
  if (repeated?.bytes !== undefined && repeated.value === value) {
    writer.raw(repeated.bytes);
    return;
  }
  const { pos: start } = writer;
  writer.uint32(ATTRIBUTE_TAG).fork().uint32(KEY_TAG).string(key).uint32(VALUE_TAG).string(value).ldelim();
  // A long one is not kept.
  if (repeated === undefined || value.length >= CONTINUES) return;
  repeated.bytes = repeated.value === value ? Buffer.from(writer.buf.subarray(start, writer.pos)) : undefined;
  repeated.value = value;
}

export interface UsualEnvelope {
  readonly messageType: number;
  /** A view into the bytes. */
  readonly payload: Buffer;
  readonly attributes: Record<string, string>;
}

/**
 * An envelope as this package and its peers write it: each field once, in order, attributes of less than 128 bytes.
 * Undefined for all else, sound or not: the generated class is asked then.
 */
export function decodeUsualEnvelope(bytes: Uint8Array): UsualEnvelope | undefined {
  if (!Buffer.isBuffer(bytes) || bytes.length < 4) return undefined;
  const messageType = bytes[1] as number;
  if (bytes[0] !== MESSAGE_TYPE_TAG || messageType === 0 || messageType >= CONTINUES) return undefined;
  if (bytes[2] !== PAYLOAD_TAG) return undefined;
  let at = 3;
  let length = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[at++];
    if (byte === undefined || shift > 21) return undefined;
    length |= (byte & 0x7f) << shift;
    if (byte < CONTINUES) break;
  }
  const end = at + length;
  if (end > bytes.length) return undefined;
  const attributes = decodeUsualAttributes(bytes, end);
  if (attributes === undefined) return undefined;
  return { messageType, payload: bytes.subarray(at, end), attributes };
}

function decodeUsualAttributes(bytes: Buffer, from: number): Record<string, string> | undefined {
  const attributes: Record<string, string> = {};
  let at = from;
  while (at < bytes.length) {
    const keyStart = at + 4;
    const size = bytes[at + 1] ?? CONTINUES;
    const keyEnd = keyStart + (bytes[at + 3] ?? CONTINUES);
    const valueStart = keyEnd + 2;
    const valueEnd = valueStart + (bytes[keyEnd + 1] ?? CONTINUES);
    if (bytes[at] !== ATTRIBUTE_TAG || bytes[at + 2] !== KEY_TAG || bytes[keyEnd] !== VALUE_TAG)
      return undefined;
    if (size >= CONTINUES || valueEnd !== at + 2 + size || valueEnd > bytes.length) return undefined;
    const name = nameAt(bytes, keyStart, keyEnd);
    const value = name === undefined ? undefined : valueAt(bytes, valueStart, valueEnd, name);
    if (name === undefined || value === undefined) return undefined;
    attributes[name.key] = value;
    at = valueEnd;
  }
  return attributes;
}

/** A name that is not made anew for each message. */
interface Name {
  readonly key: string;
  readonly bytes: Uint8Array;
  /** What stood under it last, when that is the same in one message after another: comparing is less than a string. */
  readonly last: { text: string; bytes: Uint8Array } | undefined;
}

const NO_BYTES = new Uint8Array();

/** By length: most lengths have one or two. */
const KNOWN_NAMES: readonly (readonly Name[])[] = byLength([
  ...Object.values(ENVELOPE_ATTRIBUTES),
  'traceparent',
  'tracestate',
]);

function byLength(keys: readonly string[]): readonly (readonly Name[])[] {
  const names: Name[][] = Array.from({ length: CONTINUES }, () => []);
  for (const key of keys) {
    const last = REPEATED.has(key) ? { text: '', bytes: NO_BYTES } : undefined;
    names[key.length]?.push({ key, bytes: new Uint8Array(Buffer.from(key)), last });
  }
  return names;
}

/** Undefined also for the one key that an assignment would lose. */
function nameAt(bytes: Uint8Array, start: number, end: number): Name | undefined {
  for (const name of KNOWN_NAMES[end - start] ?? []) if (standsAt(bytes, start, name.bytes)) return name;
  const key = textAt(bytes as Buffer, start, end);
  return key === undefined || key === '__proto__' ? undefined : { key, bytes: NO_BYTES, last: undefined };
}

function valueAt(bytes: Buffer, start: number, end: number, { last }: Name): string | undefined {
  if (last === undefined) return textAt(bytes, start, end);
  if (end - start === last.bytes.length && standsAt(bytes, start, last.bytes)) return last.text;
  const value = textAt(bytes, start, end);
  if (value !== undefined) {
    last.text = value;
    last.bytes = new Uint8Array(bytes.subarray(start, end));
  }
  return value;
}

function standsAt(bytes: Uint8Array, start: number, expected: Uint8Array): boolean {
  for (let i = 0; i < expected.length; i++) if (bytes[start + i] !== expected[i]) return false;
  return true;
}
