/**
 * Messages to bytes and back, by BusMessageType. Fields that this version does not know survive: protobufjs keeps
 * them on the message (`$unknowns`) only if the reader is told to, and a detour through toObject would lose them.
 */
import type protobuf from 'protobufjs/minimal.js';
import { refuseUnknownKeys, requireRange } from '../core/options.ts';
import { LeylineError } from './errors.ts';
import {
  AdaptationCommand,
  BusMessageType,
  EmergencySignal,
  ErrorEvent,
  FieldReport,
  KernelArtifactError,
  KernelArtifactReady,
  KernelCatalogUpdate,
  KernelPrefetchRequest,
  PolicyUpdate,
  RollbackRequest,
  SystemStatePacket,
  TelemetryPacket,
} from './messages.ts';
import { readerOf } from './wire-reader.ts';
import { HEAD_ROOM, startWriting, takeBytes } from './wire-writer.ts';

/** The one list of what each message type carries; types without a row (20-22 belong to peers) cannot be decoded. */
const CODECS = Object.freeze({
  [BusMessageType.BUS_MESSAGE_TYPE_SYSTEM_STATE]: SystemStatePacket,
  [BusMessageType.BUS_MESSAGE_TYPE_ADAPTATION_COMMAND]: AdaptationCommand,
  [BusMessageType.BUS_MESSAGE_TYPE_FIELD_REPORT]: FieldReport,
  [BusMessageType.BUS_MESSAGE_TYPE_TELEMETRY]: TelemetryPacket,
  [BusMessageType.BUS_MESSAGE_TYPE_POLICY_UPDATE]: PolicyUpdate,
  [BusMessageType.BUS_MESSAGE_TYPE_KERNEL_PREFETCH_REQUEST]: KernelPrefetchRequest,
  [BusMessageType.BUS_MESSAGE_TYPE_KERNEL_PREFETCH_READY]: KernelArtifactReady,
  [BusMessageType.BUS_MESSAGE_TYPE_KERNEL_PREFETCH_ERROR]: KernelArtifactError,
  [BusMessageType.BUS_MESSAGE_TYPE_KERNEL_CATALOG_UPDATE]: KernelCatalogUpdate,
  [BusMessageType.BUS_MESSAGE_TYPE_EMERGENCY_SIGNAL]: EmergencySignal,
  [BusMessageType.BUS_MESSAGE_TYPE_ERROR_EVENT]: ErrorEvent,
  [BusMessageType.BUS_MESSAGE_TYPE_ROLLBACK_REQUEST]: RollbackRequest,
});

type Codecs = typeof CODECS;

/** Message types that `encodeMessage` and `decodeMessage` handle. */
export type CodableType = keyof Codecs;

/** What decodes from a message type: `MessageOf<BusMessageType>` is the union of all. */
export type MessageOf<T extends BusMessageType> = T extends CodableType ? InstanceType<Codecs[T]> : never;

/** What may be encoded as a message type: an instance, or a plain object with the same fields. */
export type MessageInput<T extends CodableType> = Parameters<Codecs[T]['encode']>[0];

export interface DecodeLimits {
  /** Longer input is refused before it is looked at, bytes, 1 to 512 MiB (Redis's own limit). Default 1 MiB. */
  readonly maxPayloadBytes?: number;
}

const LIMIT_KEYS: readonly (keyof DecodeLimits)[] = ['maxPayloadBytes'];
const DEFAULT_LIMIT = 1024 * 1024;
const LARGEST_LIMIT = 512 * 1024 * 1024;

/** What a generated class offers, whatever its fields. */
interface Codec {
  verify(message: object): string | null;
  encode(message: object, writer?: protobuf.Writer): protobuf.Writer;
  decode(reader: protobuf.Reader): object;
}

/** The same for look-ups: the keys of an object are text, and a number is made into text each time. */
const CODEC_OF: ReadonlyMap<number, Codec> = new Map(
  Object.entries(CODECS).map(([type, codec]) => [Number(type), codec as Codec]),
);

/**
 * Lone surrogates in strings are sent as U+FFFD.
 *
 * Throws `LeylineError`: ESPER_LEYLINE_UNKNOWN_TYPE, ESPER_LEYLINE_INVALID when a field has the wrong type,
 * ESPER_LEYLINE_EMPTY when no field is set.
 */
export function encodeMessage<T extends CodableType>(type: T, message: MessageInput<T>): Uint8Array {
  const writer = startWriting();
  writeMessage(writer, type, message);
  return takeBytes(writer, HEAD_ROOM);
}

/**
 * The message keeps views into `bytes` (bytes fields, unknown fields): do not overwrite them while it is in use. Enum
 * values without a name are kept as numbers; whoever acts on one must check it.
 *
 * Throws `LeylineError`: ESPER_LEYLINE_EMPTY, _TOO_LARGE, _TRUNCATED or _UNKNOWN_TYPE.
 */
export function decodeMessage<T extends BusMessageType>(
  type: T,
  bytes: Uint8Array,
  limits?: DecodeLimits,
): MessageOf<T> {
  const codec = codecOf(type);
  checkSize(type, bytes, largestOf(limits));
  return decodeWith(codec, type, bytes) as MessageOf<T>;
}

/** True when `decodeMessage` has a message for this type. */
export function isCodableType(type: number): type is CodableType {
  return CODEC_OF.has(type);
}

/** Internal to this layer: `encodeMessage` into a writer, with the same errors. */
export function writeMessage<T extends CodableType>(
  writer: protobuf.Writer,
  type: T,
  message: MessageInput<T>,
): void {
  const codec = codecOf(type);
  const problem = codec.verify(message);
  if (problem !== null) throw new LeylineError('ESPER_LEYLINE_INVALID', `${nameOf(type)}: ${problem}`);
  const before = writer.pos;
  codec.encode(message, writer);
  if (writer.pos === before) {
    throw new LeylineError('ESPER_LEYLINE_EMPTY', `${nameOf(type)}: no field is set`);
  }
}

/** Internal to this layer: the limit in bytes. Throws `OptionError`. */
export function largestOf(limits: DecodeLimits | undefined): number {
  if (limits === undefined) return DEFAULT_LIMIT;
  refuseUnknownKeys('limits', limits, LIMIT_KEYS);
  const { maxPayloadBytes = DEFAULT_LIMIT } = limits;
  return requireRange('limits', 'maxPayloadBytes', maxPayloadBytes, 1, LARGEST_LIMIT);
}

/** What an error is about; a number is a BusMessageType, named only when there is one. */
type Subject = string | number;

/** Refuses no bytes at all and more than the limit, before anything is hashed or decoded. Throws `LeylineError`. */
export function checkSize(subject: Subject, bytes: Uint8Array, maxPayloadBytes: number): void {
  if (!(bytes instanceof Uint8Array))
    throw new LeylineError('ESPER_LEYLINE_INVALID', `${textOf(subject)}: not a Uint8Array`);
  if (bytes.length === 0) throw new LeylineError('ESPER_LEYLINE_EMPTY', `${textOf(subject)}: no bytes`);
  if (bytes.length > maxPayloadBytes) {
    throw new LeylineError(
      'ESPER_LEYLINE_TOO_LARGE',
      `${textOf(subject)}: ${bytes.length} bytes, maxPayloadBytes is ${maxPayloadBytes}`,
    );
  }
}

/** Internal to this layer: decodes and keeps unknown fields. */
export function decodeWith<T extends object>(
  codec: { decode(reader: protobuf.Reader): T },
  subject: Subject,
  bytes: Uint8Array,
): T {
  try {
    return codec.decode(readerOf(bytes));
  } catch (cause) {
    throw new LeylineError(
      'ESPER_LEYLINE_TRUNCATED',
      `${textOf(subject)}: ${bytes.length} bytes are not a whole message`,
      {
        cause,
      },
    );
  }
}

function codecOf(type: number): Codec {
  const codec = CODEC_OF.get(type);
  if (codec !== undefined) return codec;
  const name = nameOf(type);
  throw new LeylineError('ESPER_LEYLINE_UNKNOWN_TYPE', `no message for bus message type ${type} (${name})`);
}

function textOf(subject: Subject): string {
  return typeof subject === 'number' ? nameOf(subject) : subject;
}

function nameOf(type: number): string {
  return BusMessageType[type] ?? 'unknown';
}
