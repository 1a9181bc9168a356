import type { DecodeLimits } from '../leyline/codec.ts';
import {
  type Attributes,
  ENVELOPE_ATTRIBUTES,
  type OpenedEnvelope,
  openEnvelope,
} from '../leyline/envelope.ts';
import type { KeyRing } from '../leyline/key-ring.ts';
import { RejectionError } from './errors.ts';
import type { StreamEntry } from './transport/transport.ts';

/**
 * Verifies an entry and takes its envelope out. Throws SignatureError, LeylineError, or RejectionError
 * ESPER_OONA_WRONG_STREAM: a signature says who wrote a message, not where it belongs.
 */
export function openEntry(
  entry: StreamEntry,
  keyRing: KeyRing | undefined,
  limits: DecodeLimits,
): OpenedEnvelope {
  const opened = openEnvelope(entry, keyRing, limits);
  const stream = opened.attributes[ENVELOPE_ATTRIBUTES.stream];
  if (stream !== undefined && stream !== entry.stream) {
    throw new RejectionError('ESPER_OONA_WRONG_STREAM', `published to ${stream}, found on ${entry.stream}`);
  }
  return opened;
}

/** A peer that sets none of our attributes is dated by its message, else by the entry's id. Unix milliseconds. */
export function issuedAtMs(attributes: Attributes, sentAtMs: number | undefined, entryId: string): number {
  return stampedAtMs(attributes) ?? sentAtMs ?? entryMs(entryId);
}

const LONGEST_STAMP = 16;

/** Unix milliseconds of the publisher's attribute; undefined when it is none. */
export function stampedAtMs(attributes: Attributes): number | undefined {
  const text = attributes[ENVELOPE_ATTRIBUTES.issuedAtMs];
  if (text === undefined || text.length === 0 || text.length > LONGEST_STAMP) return undefined;
  let ms = 0;
  // Digits only: Number() would take "1e12", " 12 " and "0x10" as well.
  for (let i = 0; i < text.length; i++) {
    const digit = text.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9) return undefined;
    ms = ms * 10 + digit;
  }
  return ms;
}

/** The engine's time in an entry's id, Unix milliseconds. */
export function entryMs(entryId: string): number {
  return Number(entryId.split('-')[0]);
}
