import type { AppendResult, GroupInfo, StreamEntry } from './transport.ts';

/** Return codes of lua/append-2.lua. */
export const APPEND_CODE = Object.freeze({ duplicate: 0, appended: 1 });

const EMPTY = Buffer.alloc(0);

function asArray(reply: unknown): readonly unknown[] {
  return Array.isArray(reply) ? reply : [];
}

function asText(reply: unknown): string {
  return Buffer.isBuffer(reply) ? reply.toString('latin1') : String(reply ?? '');
}

function asUtf8(reply: unknown): string {
  return Buffer.isBuffer(reply) ? reply.toString('utf8') : String(reply ?? '');
}

/** `[field, value, field, value …]` as a lookup by field name. */
function pairs(reply: unknown): Map<string, unknown> {
  const flat = asArray(reply);
  const result = new Map<string, unknown>();
  for (let i = 0; i + 1 < flat.length; i += 2) result.set(asText(flat[i]), flat[i + 1]);
  return result;
}

export function parseAppend(reply: unknown): AppendResult {
  const [code, entryId] = asArray(reply);
  return { outcome: code === APPEND_CODE.appended ? 'appended' : 'duplicate', entryId: asText(entryId) };
}

/** Fields are null when the entry was trimmed away while it was pending. */
function parseEntry(stream: string, reply: unknown): StreamEntry {
  const [id, fields] = asArray(reply);
  const values = pairs(fields);
  const payload = values.get('payload');
  return {
    stream,
    entryId: asText(id),
    payload: Buffer.isBuffer(payload) ? payload : EMPTY,
    // One byte, one character: a signature that is not ASCII stays as it came and is refused when verified.
    signature: asText(values.get('signature')),
    deliveryCount: 1,
    ...(asArray(fields).length === 0 ? { lost: true } : {}),
  };
}

/** Reply of XREADGROUP on one stream; null when the block ran out. */
export function parseRead(stream: string, reply: unknown): StreamEntry[] {
  const [, entries] = asArray(asArray(reply)[0]);
  return asArray(entries).map((entry) => parseEntry(stream, entry));
}

/** Delivery counts by entry id of `XPENDING stream group from to count consumer`. */
export function parseDeliveryCounts(reply: unknown): Map<string, number> {
  const result = new Map<string, number>();
  for (const row of asArray(reply)) {
    const [id, , , count] = asArray(row);
    result.set(asText(id), Number(count));
  }
  return result;
}

export function parseGroups(reply: unknown): GroupInfo[] {
  return asArray(reply).map((row) => {
    const values = pairs(row);
    return {
      group: asUtf8(values.get('name')),
      pending: Number(asText(values.get('pending'))),
      lastDeliveredId: asText(values.get('last-delivered-id')),
    };
  });
}

/** Reply of TIME as Unix milliseconds. */
export function parseTime(reply: unknown): number {
  const [seconds, micros] = asArray(reply);
  return Number(asText(seconds)) * 1000 + Math.floor(Number(asText(micros)) / 1000);
}
