/** From a message and what the caller wants of it to what goes on a stream. Throws before anything is sent. */
import { randomUUID } from 'node:crypto';
import { OptionError } from '../../core/errors.ts';
import type { CodableType, DecodeLimits, MessageInput } from '../../leyline/codec.ts';
import { openEnvelope, type SignedEntry, sealEnvelope, sealMessage } from '../../leyline/envelope.ts';
import { LeylineError } from '../../leyline/errors.ts';
import type { KeyRing } from '../../leyline/key-ring.ts';
import { BusMessageType } from '../../leyline/messages.ts';
import type { StreamNames } from '../streams.ts';
import type { BusMessage, WorkPublishOptions } from '../work-types.ts';
import { PUBLISH_CALL_OPTIONS } from './call-options.ts';
import { messageKind } from './message-kinds.ts';
import { type Route, routeOf } from './priority.ts';

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

const OWNER = 'publish';
const ID_LENGTH = 256;

/** Throws OptionError. */
export function checkOptions(options: InternalPublishOptions): void {
  if (typeof options !== 'object' || options === null)
    throw new OptionError(`${OWNER}: options must be an object`);
  if (!('aboutEmergency' in options)) {
    PUBLISH_CALL_OPTIONS.check(options);
    return;
  }
  const { aboutEmergency, ...others } = options;
  if (aboutEmergency !== undefined && typeof aboutEmergency !== 'boolean') {
    throw new OptionError(`${OWNER}: aboutEmergency must be true or false`);
  }
  PUBLISH_CALL_OPTIONS.check(others);
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
export function sealedFor(stream: string, entry: SignedEntry, parts: OutgoingParts): SignedEntry {
  const { keyRing, limits } = parts;
  const { messageType, payload, attributes } = openEnvelope(entry, keyRing, limits);
  const { key_id: _, ...others } = attributes;
  return sealEnvelope({ messageType, payload, attributes: { ...others, stream } }, keyRing, limits);
}

/** Instead of where its type belongs. */
export function rerouted(outgoing: Outgoing, parts: OutgoingParts): Outgoing {
  const { emergency: stream } = parts.streams;
  const entry = sealedFor(stream, outgoing.entry, parts);
  return { ...outgoing, route: { own: outgoing.route.own, to: 'emergency' }, stream, entry };
}
