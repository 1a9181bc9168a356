/**
 * W3C Trace Context (level 1 and 2) as text: what envelope attributes `traceparent` and `tracestate` carry. Checking
 * allocates nothing that outlives it, so that messages without tracing pay for a look at an absent attribute only.
 */
import { OptionError } from '../core/errors.ts';

/** Names of the envelope attributes. */
export const TRACE_ATTRIBUTES = Object.freeze({ traceparent: 'traceparent', tracestate: 'tracestate' });

export interface TraceParent {
  /** 32 lower-case hex digits, not all 0. */
  readonly traceId: string;
  /** 16 lower-case hex digits, not all 0. */
  readonly spanId: string;
  /** Bits 0 (sampled) and 1 (random trace id, level 2); others are not known and dropped. */
  readonly flags: number;
}

export interface TraceStateMember {
  readonly key: string;
  readonly value: string;
}

const KNOWN_FLAGS = 0b11;
/** Of version 00. */
const TRACEPARENT_LENGTH = 55;
/** A later version may append fields; beyond this nobody knows what it is. */
const MAX_TRACEPARENT_LENGTH = 512;
const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:$|-)/;

const MAX_MEMBERS = 32;
/** What is carried of a `tracestate`, at most; the least that the recommendation asks for. */
export const MAX_TRACESTATE_LENGTH = 512;
/** Members longer than this go first when a `tracestate` is too long. */
const LARGE_MEMBER_LENGTH = 128;
/** Longer ones are not even looked at: 32 members of the longest key and value, with some space. */
const MAX_READ_LENGTH = 32 * (256 + 1 + 256 + 3);
const KEY = /^[a-z0-9][a-z0-9_\-*/@]{0,255}$/;
const VALUE = /^[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]$/;

/** True when it can be read as a `traceparent`: of version 00, or of a later one that begins like it. */
export function isTraceparent(text: string): boolean {
  if (text.length < TRACEPARENT_LENGTH || text.length > MAX_TRACEPARENT_LENGTH) return false;
  if (text.length > TRACEPARENT_LENGTH && text.startsWith('00')) return false;
  return TRACEPARENT.test(text);
}

/** undefined when it is none; the trace is then begun anew. */
export function parseTraceparent(text: string): TraceParent | undefined {
  if (!isTraceparent(text)) return undefined;
  return Object.freeze({
    traceId: text.slice(3, 35),
    spanId: text.slice(36, 52),
    flags: Number.parseInt(text.slice(53, 55), 16) & KNOWN_FLAGS,
  });
}

/** Always version 00. Throws OptionError on ids that no `traceparent` may have. */
export function formatTraceparent({ traceId, spanId, flags }: TraceParent): string {
  const text = `00-${traceId}-${spanId}-${(flags & KNOWN_FLAGS).toString(16).padStart(2, '0')}`;
  if (!isTraceparent(text)) {
    throw new OptionError('traceparent: traceId must be 32 and spanId 16 lower-case hex digits, not all 0');
  }
  return text;
}

/**
 * Members in their order, without empty ones; undefined when it is malformed, names a key twice or has more than 32
 * members: then all of it is dropped, and `traceparent` stays.
 */
export function parseTracestate(text: string): readonly TraceStateMember[] | undefined {
  if (text.length > MAX_READ_LENGTH) return undefined;
  const members: TraceStateMember[] = [];
  const keys = new Set<string>();
  let count = 0;
  for (const part of text.split(',')) {
    const member = part.replace(/^[ \t]+|[ \t]+$/g, '');
    count += 1;
    // Empty ones are allowed and count.
    if (count > MAX_MEMBERS) return undefined;
    if (member === '') continue;
    const at = member.indexOf('=');
    const key = member.slice(0, Math.max(0, at));
    const value = member.slice(at + 1);
    if (!KEY.test(key) || !VALUE.test(value) || keys.has(key)) return undefined;
    keys.add(key);
    members.push(Object.freeze({ key, value }));
  }
  return Object.freeze(members);
}

/**
 * As text of at most 512 characters. Whole members go until it fits: first those longer than 128 characters, then from
 * the end. '' when nothing is left. Throws OptionError on members that no `tracestate` may have.
 */
export function formatTracestate(members: readonly TraceStateMember[]): string {
  const texts = members.map(({ key, value }) => `${key}=${value}`);
  if (texts.length > 0 && parseTracestate(texts.join(',')) === undefined) {
    throw new OptionError(
      'tracestate: up to 32 members with different keys; see W3C Trace Context for their form',
    );
  }
  let length = texts.reduce((sum, each) => sum + each.length + 1, -1);
  const removeLast = (which: (text: string) => boolean): boolean => {
    const at = texts.findLastIndex(which);
    if (at === -1) return false;
    length -= (texts[at]?.length ?? 0) + 1;
    texts.splice(at, 1);
    return true;
  };
  while (length > MAX_TRACESTATE_LENGTH && removeLast((each) => each.length > LARGE_MEMBER_LENGTH));
  while (length > MAX_TRACESTATE_LENGTH && removeLast(() => true));
  return texts.join(',');
}

/** What travels with a message. */
export interface CarriedTrace {
  readonly traceparent: string;
  /** Absent when empty or malformed. */
  readonly tracestate?: string;
}

/** What was received, checked: undefined without a `traceparent` that can be read. Never throws. */
export function receivedTrace(
  traceparent: string | undefined,
  tracestate: string | undefined,
): CarriedTrace | undefined {
  if (traceparent === undefined || !isTraceparent(traceparent)) return undefined;
  const members = tracestate === undefined ? undefined : parseTracestate(tracestate);
  if (members === undefined || members.length === 0) return { traceparent };
  return { traceparent, tracestate: formatTracestate(members) };
}

/**
 * What a caller gave to be carried. Throws OptionError when it is malformed: the caller would look for its trace in
 * vain.
 */
export function givenTrace(
  traceparent: string | undefined,
  tracestate: string | undefined,
): CarriedTrace | undefined {
  if (traceparent === undefined) {
    if (tracestate === undefined) return undefined;
    throw new OptionError('publish: tracestate needs a traceparent');
  }
  const carried = receivedTrace(traceparent, tracestate);
  if (carried === undefined) throw new OptionError('publish: traceparent is not one of W3C Trace Context');
  if (tracestate !== undefined && parseTracestate(tracestate) === undefined) {
    throw new OptionError('publish: tracestate is not one of W3C Trace Context');
  }
  return carried;
}
