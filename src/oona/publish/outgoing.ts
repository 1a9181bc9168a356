/** From a message and what the caller wants of it to what goes on a stream. Throws before anything is sent. */
import { randomUUID } from 'node:crypto';
import { OptionError } from '../../core/errors.ts';
import { refuseUnknownKeys, requireRange } from '../../core/options.ts';
import type { CodableType, DecodeLimits, MessageInput } from '../../leyline/codec.ts';
import { openEnvelope, type SignedEntry, sealEnvelope, sealMessage } from '../../leyline/envelope.ts';
import { LeylineError } from '../../leyline/errors.ts';
import type { KeyRing } from '../../leyline/key-ring.ts';
import { BusMessageType } from '../../leyline/messages.ts';
import type { StreamNames } from '../streams.ts';
import type { BusMessage, WorkPublishOptions } from '../work-types.ts';
import { messageKind } from './message-kinds.ts';
import { isPriority, type Route, routeOf } from './priority.ts';

/** For packets of this package that are about the emergency they would travel beside. */
export interface InternalPublishOptions extends WorkPublishOptions {
  /**
   * Always to the stream of its type, whatever its priority: if every host answered an emergency with an emergency, N
   * hosts would answer with N² deliveries and feed detection with themselves. Neither dropped for depth nor held back
   * by conservative mode.
   */
  readonly aboutEmergency?: boolean;
}

export interface TraceContext {
  readonly traceparent: string;
  readonly tracestate?: string;
}

export interface Outgoing {
  readonly route: Route;
  readonly stream: string;
  readonly dedupId: string;
  readonly entry: SignedEntry;
  /** Passes depth gate, conservative mode and an open breaker. */
  readonly isUrgent: boolean;
}

export interface OutgoingParts {
  readonly keyRing: KeyRing | undefined;
  readonly limits: DecodeLimits;
  readonly source: string;
  readonly streams: StreamNames;
  readonly wallMs: () => number;
  /** Of the active span, when there is one. */
  readonly activeTrace: (() => TraceContext | undefined) | undefined;
}

const OPTION_KEYS: readonly (keyof InternalPublishOptions)[] = [
  'deadlineMs',
  'signal',
  'priority',
  'eventId',
  'mayReroute',
  'attributes',
  'traceparent',
  'tracestate',
  'aboutEmergency',
];

/** Attributes that say what receivers rely on: a caller's may not stand in their place. */
const OWN_ATTRIBUTES: ReadonlySet<string> = new Set([
  'event_id',
  'issued_at_ms',
  'stream',
  'source',
  'key_id',
  'traceparent',
  'tracestate',
]);

const OWNER = 'publish';
const ID_LENGTH = 256;
const TRACESTATE_LENGTH = 512;
/** https://www.w3.org/TR/trace-context/#traceparent-header; an id of zeros is none. */
const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?$/;

/** Throws OptionError. */
export function checkOptions(options: InternalPublishOptions): void {
  if (typeof options !== 'object' || options === null)
    throw new OptionError(`${OWNER}: options must be an object`);
  refuseUnknownKeys(OWNER, options, OPTION_KEYS);
  const { deadlineMs, signal, priority, eventId, traceparent, tracestate } = options;
  if (deadlineMs !== undefined) requireRange(OWNER, 'deadlineMs', deadlineMs, 1, 600_000);
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw new OptionError(`${OWNER}: signal must be an AbortSignal`);
  }
  if (priority !== undefined && !isPriority(priority)) {
    throw new OptionError(`${OWNER}: priority must be a MessagePriority, got ${String(priority)}`);
  }
  if (eventId !== undefined) requireId('eventId', eventId);
  if (traceparent !== undefined && !TRACEPARENT.test(traceparent)) {
    throw new OptionError(`${OWNER}: traceparent is not one of W3C Trace Context`);
  }
  const isState = typeof tracestate === 'string' && tracestate.length <= TRACESTATE_LENGTH;
  if (tracestate !== undefined && !isState) {
    throw new OptionError(`${OWNER}: tracestate must be up to ${TRACESTATE_LENGTH} characters`);
  }
  for (const name of ['mayReroute', 'aboutEmergency'] as const) {
    const value = options[name];
    if (value !== undefined && typeof value !== 'boolean')
      throw new OptionError(`${OWNER}: ${name} must be true or false`);
  }
  const { attributes } = options;
  if (attributes === undefined) return;
  if (typeof attributes !== 'object' || attributes === null) {
    throw new OptionError(`${OWNER}: attributes must be an object of strings`);
  }
  for (const key of Object.keys(attributes)) {
    if (OWN_ATTRIBUTES.has(key)) throw new OptionError(`${OWNER}: attribute "${key}" is set by the bus`);
  }
}

/** Where it goes. Throws OptionError, LeylineError. */
export function requireRoute(message: BusMessage, options: InternalPublishOptions): Route {
  if (typeof message?.message !== 'object' || message.message === null) {
    throw new OptionError(`${OWNER}: message must be { type, message }`);
  }
  const route = routeOf(message, options.priority);
  if (route !== undefined) return options.aboutEmergency === true ? ownRoute(message) : route;
  const type = String(message.type);
  throw new LeylineError('ESPER_LEYLINE_UNKNOWN_TYPE', `${OWNER}: no message for bus message type ${type}`);
}

/** To the stream of its type, whatever its priority. Throws OptionError for an emergency, which has no other way. */
export function ownRoute(message: BusMessage): Route {
  const { role } = messageKind(message.type);
  if (role !== 'emergency') return { own: role, to: role };
  throw new OptionError(`${OWNER}: aboutEmergency is not for emergencies themselves`);
}

/** Throws OptionError, LeylineError. */
export function makeOutgoing(
  { type, message }: BusMessage,
  route: Route,
  options: InternalPublishOptions,
  parts: OutgoingParts,
): Outgoing {
  const stream = parts.streams[route.to];
  const dedupId = options.eventId ?? ownId(type, message);
  const attributes: Record<string, string> = {
    event_id: dedupId,
    issued_at_ms: String(Math.floor(parts.wallMs())),
    stream,
    source: parts.source,
  };
  if (options.attributes !== undefined) Object.assign(attributes, options.attributes);
  addTrace(attributes, options, parts);
  const entry = sealMessage<CodableType>(
    { messageType: type, message, attributes },
    parts.keyRing,
    parts.limits,
  );
  return {
    route,
    stream,
    dedupId,
    entry,
    isUrgent: route.to === 'emergency' || options.aboutEmergency === true,
  };
}

function ownId(type: CodableType, message: MessageInput<CodableType>): string {
  const id = messageKind(type).idOf(message);
  if (id === '' || id === undefined) return randomUUID();
  requireId(BusMessageType[type] ?? 'message', id);
  return id;
}

function requireId(what: string, id: unknown): void {
  if (typeof id === 'string' && id.length > 0 && id.length <= ID_LENGTH) return;
  throw new OptionError(`${OWNER}: ${what}: an id must be a string of 1-${ID_LENGTH} characters`);
}

function addTrace(
  attributes: Record<string, string>,
  { traceparent, tracestate }: InternalPublishOptions,
  { activeTrace }: OutgoingParts,
): void {
  if (traceparent === undefined && activeTrace === undefined) return;
  const trace = traceparent === undefined ? activeTrace?.() : { traceparent, tracestate };
  if (trace === undefined) return;
  attributes.traceparent = trace.traceparent;
  if (trace.tracestate !== undefined && trace.tracestate !== '') attributes.tracestate = trace.tracestate;
}

/**
 * The same message on its way to another stream, which is signed with it. Not encoded anew from what the caller may have
 * changed.
 */
export function movedTo(outgoing: Outgoing, to: Route['to'], parts: OutgoingParts): Outgoing {
  const { keyRing, limits, streams } = parts;
  const stream = streams[to];
  const { messageType, payload, attributes } = openEnvelope(outgoing.entry, keyRing, limits);
  const { key_id: _, ...others } = attributes;
  const moved = { messageType, payload, attributes: { ...others, stream } };
  const entry = sealEnvelope(moved, keyRing, limits);
  return { ...outgoing, route: { own: outgoing.route.own, to }, stream, entry };
}
