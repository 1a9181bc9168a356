/** The calls of GuardTransport on Redis: one string for each event, one Lua call for each batch. */
import { compareEntryIds } from './entries.ts';
import type { GuardedEvent, HandledRequest, Reservation, ReserveRequest } from './guard.ts';
import { LUA_SCRIPTS } from './lua-scripts.ts';
import { guardPrefix } from './redis-keys.ts';
import type { RedisLink } from './redis-link.ts';
import { parseCodes, parseIds } from './redis-replies.ts';
import { RedisScript } from './redis-script.ts';
import { wireText } from './redis-wire.ts';
import type { CallOptions } from './transport.ts';

const reserveScript = new RedisScript('reserve-events-1');
const handledScript = new RedisScript('acknowledge-handled-1');

const RESERVATIONS = new Map<number, Reservation>(
  (Object.entries(LUA_SCRIPTS['reserve-events-1'].eachCodes) as [Reservation, number][]).map(
    ([name, code]) => [code, name],
  ),
);

/** The stream and its guards. */
function keysOf(stream: string, group: string, events: readonly GuardedEvent[]): string[] {
  const prefix = wireText(guardPrefix(stream, group));
  return [wireText(stream), ...events.map(({ key }) => prefix + wireText(key))];
}

export async function reserve(
  link: RedisLink,
  { stream, group, windowMs, events }: ReserveRequest,
  options: CallOptions,
): Promise<readonly Reservation[]> {
  if (events.length === 0) return [];
  const keys = keysOf(stream, group, events);
  const args = [wireText(group), String(Math.ceil(windowMs)), ...events.map(({ entryId }) => entryId)];
  const bounds = { what: `reserve events of ${stream}`, key: stream, ...options };
  // Of an answer that says less than was asked, nothing is let through.
  return await reserveScript.run(
    link,
    bounds,
    [...keys, ...args],
    (reply) => {
      const codes = parseCodes(reply);
      return events.map((_, i) => RESERVATIONS.get(codes[i] ?? -1) ?? 'busy');
    },
    keys.length,
  );
}

export async function acknowledgeHandled(
  link: RedisLink,
  { stream, group, consumer, windowMs, events }: HandledRequest,
  options: CallOptions,
): Promise<readonly string[]> {
  if (events.length === 0) return [];
  const inOrder = [...events].sort((a, b) => compareEntryIds(a.entryId, b.entryId));
  const keys = keysOf(stream, group, inOrder);
  const ids = inOrder.map(({ entryId }) => entryId);
  const args = [wireText(group), wireText(consumer), String(Math.ceil(windowMs)), ...ids];
  const bounds = { what: `acknowledge on ${stream}`, key: stream, ...options };
  return await handledScript.run(
    link,
    bounds,
    [...keys, ...args],
    (reply) => {
      const done = new Set(parseIds(reply));
      return events.flatMap(({ entryId }) => (done.delete(entryId) ? entryId : []));
    },
    keys.length,
  );
}
