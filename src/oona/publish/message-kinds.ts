/**
 * What the bus must know of each message type: which stream it belongs to, and where the message itself has an id, a
 * time and a source. One row a type; a type without a row does not compile.
 */
import { type CodableType, isCodableType, type MessageInput } from '../../leyline/codec.ts';
import { BusMessageType } from '../../leyline/messages.ts';
import { type TimestampLike, wallMsFromTimestamp } from '../../leyline/timestamps.ts';
import { fromUint64, type Uint64Field } from '../../leyline/uint64.ts';
import type { StreamNames } from '../streams.ts';

/** Streams that messages are published to. */
export type PublishRole = Exclude<keyof StreamNames, 'deadLetter'>;

export interface MessageKind<T extends CodableType> {
  readonly role: PublishRole;
  /**
   * Unique per message among all types, so it is the event id when the caller gives none: `report:<report_id>`. ''
   * when the message has none, or the type.
   */
  readonly idOf: (message: MessageInput<T>) => string;
  /** When it was made, Unix milliseconds; undefined when it is not set or the type has none. */
  readonly issuedAtMsOf: (message: MessageInput<T>) => number | undefined;
  /** Who made it; '' when it is not set or the type has none. */
  readonly sourceOf: (message: MessageInput<T>) => string;
}

type Text = string | null | undefined;
type Time = TimestampLike | null | undefined;

const textOf = (value: Text): string => value ?? '';
const none = (): string => '';
const never = (): undefined => undefined;

/** Nanoseconds since 1970; 0 is a field that nobody set. */
function wallMsFromNs(field: Uint64Field | null | undefined): number | undefined {
  if (field === null || field === undefined) return undefined;
  // A number of our day is beyond what a double holds exactly, which fromUint64 refuses: here a microsecond will do.
  const ns = typeof field === 'number' ? field : Number(fromUint64(field));
  return ns === 0 ? undefined : ns / 1e6;
}

const time =
  <K extends string>(key: K) =>
  (message: { readonly [P in K]?: Time }): number | undefined =>
    wallMsFromTimestamp(message[key]);
const text =
  <K extends string>(key: K) =>
  (message: { readonly [P in K]?: Text }): string =>
    textOf(message[key]);

/** Two types may be on one stream with one id: a request and its answer, a command and the report on it. */
const id =
  <K extends string>(kind: string, key: K) =>
  (message: { readonly [P in K]?: Text }): string => {
    const own = textOf(message[key]);
    return own === '' ? '' : `${kind}:${own}`;
  };

/**
 * Why a row is as it is, where it could be otherwise:
 * - A rollback request is no emergency: the emergency that asks for it is one, and takes the fast path itself.
 * - The catalogue update goes where finished kernels are announced: it says the same of a blueprint that nobody asked
 *   for, to the same readers, and peers publish it there. It has no id of its own: two updates of one blueprint differ.
 * - The ids of emergencies and telemetry packets stand as they are: they are looked for under them in logs.
 * - A policy's id names the policy, which is updated more than once: it must not deduplicate its updates.
 */
export const MESSAGE_KINDS: { readonly [T in CodableType]: MessageKind<T> } = Object.freeze({
  [BusMessageType.BUS_MESSAGE_TYPE_SYSTEM_STATE]: {
    role: 'normal',
    idOf: id('state', 'packetId'),
    issuedAtMsOf: (message) => wallMsFromNs(message.timestampNs),
    sourceOf: text('sourceSubsystem'),
  },
  [BusMessageType.BUS_MESSAGE_TYPE_ADAPTATION_COMMAND]: {
    role: 'normal',
    idOf: id('command', 'commandId'),
    issuedAtMsOf: time('issuedAt'),
    sourceOf: text('issuedBy'),
  },
  [BusMessageType.BUS_MESSAGE_TYPE_FIELD_REPORT]: {
    role: 'normal',
    idOf: id('report', 'reportId'),
    issuedAtMsOf: time('issuedAt'),
    sourceOf: none,
  },
  [BusMessageType.BUS_MESSAGE_TYPE_TELEMETRY]: {
    role: 'telemetry',
    idOf: text('packetId'),
    issuedAtMsOf: time('timestamp'),
    sourceOf: text('sourceSubsystem'),
  },
  [BusMessageType.BUS_MESSAGE_TYPE_POLICY_UPDATE]: {
    role: 'policy',
    idOf: none,
    issuedAtMsOf: time('issuedAt'),
    sourceOf: none,
  },
  [BusMessageType.BUS_MESSAGE_TYPE_KERNEL_PREFETCH_REQUEST]: {
    role: 'kernelRequests',
    idOf: id('kernel-request', 'requestId'),
    issuedAtMsOf: time('issuedAt'),
    sourceOf: none,
  },
  [BusMessageType.BUS_MESSAGE_TYPE_KERNEL_PREFETCH_READY]: {
    role: 'kernelReady',
    idOf: id('kernel-ready', 'requestId'),
    issuedAtMsOf: never,
    sourceOf: none,
  },
  [BusMessageType.BUS_MESSAGE_TYPE_KERNEL_PREFETCH_ERROR]: {
    role: 'kernelErrors',
    idOf: id('kernel-error', 'requestId'),
    issuedAtMsOf: never,
    sourceOf: none,
  },
  [BusMessageType.BUS_MESSAGE_TYPE_KERNEL_CATALOG_UPDATE]: {
    role: 'kernelReady',
    idOf: none,
    issuedAtMsOf: never,
    sourceOf: none,
  },
  [BusMessageType.BUS_MESSAGE_TYPE_EMERGENCY_SIGNAL]: {
    role: 'emergency',
    idOf: text('signalId'),
    issuedAtMsOf: time('triggeredAt'),
    sourceOf: text('origin'),
  },
  [BusMessageType.BUS_MESSAGE_TYPE_ERROR_EVENT]: {
    role: 'telemetry',
    idOf: id('error', 'eventId'),
    issuedAtMsOf: time('occurredAt'),
    sourceOf: text('component'),
  },
  [BusMessageType.BUS_MESSAGE_TYPE_ROLLBACK_REQUEST]: {
    role: 'normal',
    idOf: id('rollback', 'requestId'),
    issuedAtMsOf: time('issuedAt'),
    sourceOf: text('origin'),
  },
} satisfies { readonly [T in CodableType]: MessageKind<T> });

/** The row of a type; undefined for types that have no message here (20-22 belong to peers). */
export function messageKind<T extends CodableType>(type: T): MessageKind<T>;
export function messageKind(type: number): MessageKind<CodableType> | undefined;
export function messageKind(type: number): unknown {
  return isCodableType(type) ? MESSAGE_KINDS[type] : undefined;
}
