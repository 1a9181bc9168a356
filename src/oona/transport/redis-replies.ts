import { LUA_SCRIPTS } from './lua-scripts.ts';
import type { AppendResult, GroupInfo, RawEntry, StreamEntry } from './transport.ts';
import type { ClaimPage, ConsumerInfo, GroupDepth, StreamDepth, TrimResult } from './work.ts';

const EMPTY = Buffer.alloc(0);
const GATED = LUA_SCRIPTS['append-gated-4'].codes;

function asArray(reply: unknown): readonly unknown[] {
  return Array.isArray(reply) ? reply : [];
}

function asText(reply: unknown): string {
  return Buffer.isBuffer(reply) ? reply.toString('latin1') : String(reply ?? '');
}

function asUtf8(reply: unknown): string {
  return Buffer.isBuffer(reply) ? reply.toString('utf8') : String(reply ?? '');
}

function asNumber(reply: unknown): number {
  return typeof reply === 'number' ? reply : Number(asText(reply));
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
  const { appended } = LUA_SCRIPTS['append-2'].codes;
  return { outcome: code === appended ? 'appended' : 'duplicate', entryId: asText(entryId) };
}

export function parseGatedAppend(reply: unknown): AppendResult {
  const [code, entryId, depth] = asArray(reply);
  if (code === GATED.duplicate) return { outcome: 'duplicate', entryId: asText(entryId) };
  const outcome = code === GATED.full ? 'full' : 'appended';
  return { outcome, entryId: asText(entryId), depthBefore: asNumber(depth) };
}

/** Fields are missing when the entry was trimmed away while it was pending; the third item is the delivery count. */
function parseEntry(stream: string, reply: unknown): StreamEntry {
  const [id, fields, count = 1] = asArray(reply);
  const values = pairs(fields);
  const payload = values.get('payload');
  return {
    stream,
    entryId: asText(id),
    payload: Buffer.isBuffer(payload) ? payload : EMPTY,
    // One byte, one character: a signature that is not ASCII stays as it came and is refused when verified.
    signature: asText(values.get('signature')),
    deliveryCount: asNumber(count),
    ...(asArray(fields).length === 0 ? { lost: true } : {}),
  };
}

export function parseEntries(stream: string, reply: unknown): StreamEntry[] {
  return asArray(reply).map((entry) => parseEntry(stream, entry));
}

/** Reply of XREADGROUP on one stream; null when the block ran out. */
export function parseRead(stream: string, reply: unknown): StreamEntry[] {
  const [, entries] = asArray(asArray(reply)[0]);
  return parseEntries(stream, entries);
}

export function parseIds(reply: unknown): string[] {
  return asArray(reply).map(asText);
}

export function parseClaim(stream: string, reply: unknown): ClaimPage {
  const [cursor, entries, lostIds] = asArray(reply);
  return { cursor: asText(cursor), entries: parseEntries(stream, entries), lostIds: parseIds(lostIds) };
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
      pending: asNumber(values.get('pending')),
      lastDeliveredId: asText(values.get('last-delivered-id')),
    };
  });
}

export function parseDepth(reply: unknown): StreamDepth {
  const [length, rows] = asArray(reply);
  const groups = asArray(rows).map((row): GroupDepth => {
    const [group, lag, isLowerBound, pending] = asArray(row);
    return {
      group: asUtf8(group),
      lag: asNumber(lag),
      lagIsLowerBound: isLowerBound === 1,
      pending: asNumber(pending),
    };
  });
  const depth = Math.max(0, ...groups.map(({ lag, pending }) => lag + pending));
  return { length: asNumber(length), depth, groups };
}

export function parseTrim(reply: unknown): TrimResult {
  const [removed, cutUnread] = asArray(reply);
  return { removed: asNumber(removed), cutUnread: asNumber(cutUnread) };
}

export function parseConsumers(reply: unknown): ConsumerInfo[] {
  return asArray(reply).map((row) => {
    const values = pairs(row);
    return {
      consumer: asUtf8(values.get('name')),
      pending: asNumber(values.get('pending')),
      idleMs: asNumber(values.get('idle')),
    };
  });
}

/** Reply of XRANGE and XREVRANGE, fields and all. */
export function parseRange(reply: unknown): RawEntry[] {
  return asArray(reply).map((row) => {
    const [id, flat] = asArray(row);
    const values = asArray(flat);
    const fields = new Map<string, Uint8Array>();
    for (let i = 0; i + 1 < values.length; i += 2) {
      const value = values[i + 1];
      fields.set(asUtf8(values[i]), Buffer.isBuffer(value) ? value : EMPTY);
    }
    return { entryId: asText(id), fields };
  });
}

/** Reply of TIME as Unix milliseconds. */
export function parseTime(reply: unknown): number {
  const [seconds, micros] = asArray(reply);
  return Number(asText(seconds)) * 1000 + Math.floor(Number(asText(micros)) / 1000);
}
