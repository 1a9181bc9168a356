import { LUA_SCRIPTS } from './lua-scripts.ts';
import type { AppendResult, GroupInfo, RawEntry, StreamEntry } from './transport.ts';
import {
  type ClaimPage,
  type ConsumerInfo,
  type GroupDepth,
  ORIGINAL_FIELD_PREFIX,
  type StreamDepth,
  type TrimResult,
} from './work.ts';

const EMPTY = Buffer.alloc(0);
const PAYLOAD = Buffer.from('payload');
const SIGNATURE = Buffer.from('signature');
const APPEND = LUA_SCRIPTS['append-2'].codes;
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
  if (!Array.isArray(reply)) return { outcome: 'appended', entryId: asText(reply) };
  const [code, entryId] = reply;
  return { outcome: code === APPEND.moved ? 'moved' : 'duplicate', entryId: asText(entryId) };
}

export function parseGatedAppend(reply: unknown): AppendResult {
  const [code, entryId, depth] = asArray(reply);
  if (code === GATED.duplicate) return { outcome: 'duplicate', entryId: asText(entryId) };
  if (code === GATED.moved) return { outcome: 'moved', entryId: '' };
  const outcome = code === GATED.full ? 'full' : 'appended';
  return { outcome, entryId: asText(entryId), depthBefore: asNumber(depth) };
}

/** Fields are missing when the entry was trimmed away while it was pending; the third item is the delivery count. */
function parseEntry(stream: string, reply: unknown): StreamEntry {
  const [id, given, count = 1] = asArray(reply);
  const fields = asArray(given);
  const entryId = asText(id);
  const deliveryCount = asNumber(count);
  if (fields.length === 0) {
    return { stream, entryId, payload: EMPTY, signature: '', deliveryCount, lost: true };
  }
  // As we write them; of a peer that has more, or another order, the last of each name counts.
  const asOurs = fields.length === 4 && isNamed(fields[0], PAYLOAD) && isNamed(fields[2], SIGNATURE);
  const values = asOurs ? undefined : pairs(fields);
  const payload = values === undefined ? fields[1] : values.get('payload');
  return {
    stream,
    entryId,
    payload: Buffer.isBuffer(payload) ? payload : EMPTY,
    // One byte, one character: a signature that is not ASCII stays as it came and is refused when verified.
    signature: asText(values === undefined ? fields[3] : values.get('signature')),
    deliveryCount,
  };
}

function isNamed(field: unknown, name: Buffer): boolean {
  return Buffer.isBuffer(field) && field.length === name.length && name.compare(field) === 0;
}

export function parseEntries(stream: string, reply: unknown): StreamEntry[] {
  return asArray(reply).map((entry) => parseEntry(stream, entry));
}

/** Reply of XREADGROUP on one stream; null when the block ran out. */
export function parseRead(stream: string, reply: unknown): StreamEntry[] {
  const [, entries] = asArray(asArray(reply)[0]);
  return parseEntries(stream, entries);
}

export function parseCodes(reply: unknown): readonly number[] {
  return asArray(reply).map(asNumber);
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

/** `[entry id, consumer]` of each row of `XPENDING stream group from to count`. */
export function parsePendingOwner(reply: unknown): [string, string][] {
  return asArray(reply).map((row) => {
    const [id, consumer] = asArray(row);
    return [asText(id), asUtf8(consumer)];
  });
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

/** Of one call of several: whether there is more to drop. */
export function parseTrimPart(reply: unknown): TrimResult & { readonly more: boolean } {
  const [, , more] = asArray(reply);
  return { ...parseTrim(reply), more: more === 1 };
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

/** Most fields of a foreign entry that its dead letter has; as the Lua side. */
const MOST_FOREIGN_FIELDS = 100;

/** What the first entry of an XRANGE has besides payload and signature, name and value by turns, as its letter has it. */
export function parseForeignFields(reply: unknown): Uint8Array[] {
  const fields = asArray(asArray(asArray(reply)[0])[1]).filter((one) => Buffer.isBuffer(one));
  const result: Uint8Array[] = [];
  for (let i = 0; i + 1 < fields.length && result.length < 2 * MOST_FOREIGN_FIELDS; i += 2) {
    const [name = EMPTY, value = EMPTY] = fields.slice(i, i + 2);
    if (isNamed(name, PAYLOAD) || isNamed(name, SIGNATURE)) continue;
    result.push(Buffer.concat([Buffer.from(ORIGINAL_FIELD_PREFIX), name]), value);
  }
  return result;
}

/** Reply of TIME as Unix milliseconds. */
export function parseTime(reply: unknown): number {
  const [seconds, micros] = asArray(reply);
  return Number(asText(seconds)) * 1000 + Math.floor(Number(asText(micros)) / 1000);
}
