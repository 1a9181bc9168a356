import type { DeadLetterFields, RawEntry } from './work.ts';

/** An entry of the memory engine. */
export interface StoredEntry {
  readonly id: string;
  readonly payload: Uint8Array;
  readonly signature: string;
  readonly fields: DeadLetterFields | undefined;
}

/** Bytes of its names and values. */
export function sizeOf({ payload, signature, fields }: StoredEntry): number {
  let bytes = 'payload'.length + payload.length + 'signature'.length + signature.length;
  if (fields === undefined) return bytes;
  for (const [name, value] of Object.entries(fields))
    bytes += Buffer.byteLength(name) + Buffer.byteLength(value);
  return bytes;
}

export function toRaw({ id, payload, signature, fields = {} }: StoredEntry): RawEntry {
  const all = new Map<string, Uint8Array>();
  all.set('payload', payload);
  all.set('signature', Buffer.from(signature, 'latin1'));
  for (const [name, value] of Object.entries(fields)) all.set(name, Buffer.from(value, 'utf8'));
  return { entryId: id, fields: all };
}
