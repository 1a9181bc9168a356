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
  const attribute = attributes[ENVELOPE_ATTRIBUTES.issuedAtMs] ?? '';
  if (/^\d{1,16}$/.test(attribute)) return Number(attribute);
  return sentAtMs ?? Number(entryId.split('-')[0]);
}
