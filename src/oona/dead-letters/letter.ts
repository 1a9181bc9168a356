/**
 * The format of a dead letter: what an entry of the dead-letter stream holds. `payload` and `signature` are the
 * original entry's own bytes, never changed; the fields below say where it came from and why it lies here.
 */
import { isUtf8 } from 'node:buffer';
import { BusMessageType } from '../../leyline/messages.ts';
import { type DeadLetterFields, ORIGINAL_FIELD_PREFIX, type RawEntry } from '../transport/work.ts';

/** Names of the stored fields besides `payload` and `signature`. */
export const DEAD_LETTER_FIELDS = Object.freeze({
  /** Stable code, `ESPER_…`. */
  reason: 'reason',
  /** What the code meant this time, for people. */
  error: 'error',
  originStream: 'origin_stream',
  originId: 'origin_id',
  group: 'group',
  consumer: 'consumer',
  deliveryCount: 'delivery_count',
  /** First and last time that the entry was handed out, Unix milliseconds. */
  firstAtMs: 'first_at_ms',
  lastAtMs: 'last_at_ms',
  /** Number of the BusMessageType; '' (or no such field) when the envelope could not be read. */
  messageType: 'message_type',
  /** '' (or no such field) when it is not known. */
  eventId: 'event_id',
});

/** The reason of a letter whose cause has no stable code of its own, a handler's plain Error mostly. */
export const HANDLER_FAILED = 'ESPER_OONA_HANDLER_FAILED';

/** Longer texts are cut, characters: who sends a long one must not fill the stream with it. */
export const LONGEST_ERROR = 1024;
const LONGEST_ID = 512;
const CODE = /^[A-Z][A-Z0-9_]{0,127}$/;
const ENTRY_ID = /^\d{1,20}-\d{1,20}$/;

export interface DeadLetterInput {
  /** Stream and id of the original entry. */
  readonly stream: string;
  readonly entryId: string;
  readonly group: string;
  readonly consumer: string;
  /** As the engine counted. */
  readonly deliveryCount: number;
  /** Stable code; one that is none (a library's 'ENOENT: …') is stored as ESPER_OONA_HANDLER_FAILED. */
  readonly reason: string;
  /** For people. Cut after 1024 characters; credentials in URLs are masked. */
  readonly error: string;
  /** First time it was handed out, Unix milliseconds. Default: the time in `entryId`. */
  readonly firstAtMs?: number;
  /** Last time it was handed out, or now, Unix milliseconds. */
  readonly lastAtMs: number;
  /** Of the envelope, where it could be read. */
  readonly messageType?: number | undefined;
  readonly eventId?: string | undefined;
}

/** A dead letter as it was found. */
export interface DeadLetter {
  /** Id of the entry on the dead-letter stream. */
  readonly letterId: string;
  readonly reason: string;
  readonly error: string;
  readonly originStream: string;
  readonly originId: string;
  readonly group: string;
  readonly consumer: string;
  readonly deliveryCount: number;
  readonly firstAtMs: number;
  readonly lastAtMs: number;
  readonly messageType: number | undefined;
  readonly eventId: string;
  readonly payload: Uint8Array;
  readonly signature: string;
  /**
   * What the original had besides payload and signature, by the names that it gave them: of a peer that writes entries
   * of another kind. Text; `base64:…` where it is none. Replays do not carry them.
   */
  readonly originalFields: Readonly<Record<string, string>>;
  /** Fields that are missing or make no sense; empty for a sound letter. Those have '' or 0 above. */
  readonly damaged: readonly string[];
}

/** The fields of a dead letter. Never throws: whatever went wrong must not keep the letter from being written. */
export function deadLetterFields(input: DeadLetterInput): DeadLetterFields {
  const { entryId, lastAtMs, firstAtMs = timeOfEntryId(entryId), messageType } = input;
  return {
    reason: CODE.test(input.reason) ? input.reason : HANDLER_FAILED,
    error: cut(withoutCredentials(String(input.error)), LONGEST_ERROR),
    origin_stream: cut(input.stream, LONGEST_ID),
    origin_id: entryId,
    group: cut(input.group, LONGEST_ID),
    consumer: cut(input.consumer, LONGEST_ID),
    delivery_count: wholeText(input.deliveryCount),
    first_at_ms: wholeText(firstAtMs),
    last_at_ms: wholeText(lastAtMs),
    message_type: messageType === undefined ? '' : String(messageType),
    event_id: cut(input.eventId ?? '', LONGEST_ID),
  };
}

/** Never throws: what is missing or makes no sense is named in `damaged`. */
export function parseDeadLetter({ entryId: letterId, fields }: RawEntry): DeadLetter {
  const damaged: string[] = [];
  const text = (name: string, valid: (value: string) => boolean): string => {
    const bytes = fields.get(name);
    const value = bytes === undefined ? undefined : Buffer.from(bytes).toString('utf8');
    if (value !== undefined && valid(value)) return value;
    damaged.push(name);
    return '';
  };
  const whole = (name: string): number => Number(text(name, isWhole));
  const bytesOf = (name: string): Uint8Array => {
    const bytes = fields.get(name);
    if (bytes === undefined) damaged.push(name);
    return bytes ?? new Uint8Array(0);
  };
  const optional = (name: string, valid: (value: string) => boolean): string =>
    fields.has(name) ? text(name, (value) => value === '' || valid(value)) : '';
  const names = DEAD_LETTER_FIELDS;
  return {
    letterId,
    reason: text(names.reason, (value) => CODE.test(value)),
    error: text(names.error, isAnything),
    originStream: text(names.originStream, isNotEmpty),
    originId: text(names.originId, (value) => ENTRY_ID.test(value)),
    group: text(names.group, isNotEmpty),
    consumer: text(names.consumer, isNotEmpty),
    deliveryCount: whole(names.deliveryCount),
    firstAtMs: whole(names.firstAtMs),
    lastAtMs: whole(names.lastAtMs),
    messageType: typeNumber(optional(names.messageType, (value) => typeNumber(value) !== undefined)),
    eventId: optional(names.eventId, isAnything),
    payload: bytesOf('payload'),
    // One character per byte, as transports read signatures: what is no ASCII must stay what it was.
    signature: Buffer.from(bytesOf('signature')).toString('latin1'),
    originalFields: originalFields(fields),
    damaged,
  };
}

function originalFields(fields: RawEntry['fields']): Record<string, string> {
  const theirs = [...fields].filter(([name]) => name.startsWith(ORIGINAL_FIELD_PREFIX));
  return Object.fromEntries(
    theirs.map(([name, value]) => [name.slice(ORIGINAL_FIELD_PREFIX.length), textOrBase64(value)]),
  );
}

function textOrBase64(value: Uint8Array): string {
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  return isUtf8(bytes) ? bytes.toString('utf8') : `base64:${bytes.toString('base64')}`;
}

/** The engine's time in an entry id, Unix milliseconds; 0 when it is none. */
export function timeOfEntryId(entryId: string): number {
  return ENTRY_ID.test(entryId) ? Number(entryId.split('-')[0]) : 0;
}

/** A letter may name the type instead. */
function typeNumber(text: string): number | undefined {
  if (isWhole(text)) return Number(text);
  const named: unknown = Object.hasOwn(BusMessageType, text) ? Reflect.get(BusMessageType, text) : undefined;
  return typeof named === 'number' ? named : undefined;
}

const isAnything = (): boolean => true;
const isNotEmpty = (value: string): boolean => value !== '';
const isWhole = (value: string): boolean => /^\d{1,16}$/.test(value);

function wholeText(value: number): string {
  return String(Number.isFinite(value) ? Math.max(0, Math.floor(value)) : 0);
}

/** Not inside a surrogate pair. */
function cut(text: string, longest: number): string {
  return (text.length <= longest ? text : `${text.slice(0, longest - 1)}…`).toWellFormed();
}

/** A handler's error may quote the URL that it could not reach. */
export function withoutCredentials(text: string): string {
  return text.replace(/([a-z][a-z0-9+.-]*:\/\/)\S*@/gi, '$1***@');
}
