/** The calls of PendingTransport on Redis. */
import { compareEntryIds } from './entries.ts';
import type { CallBounds } from './in-flight.ts';
import {
  GIVEN_BACK_IDLE_MS,
  type GiveBackRequest,
  type OwnPendingRequest,
  type PendingRow,
} from './pending.ts';
import type { RedisLink } from './redis-link.ts';
import { parseDeliveryCounts, parseIds, parsePendingOwner } from './redis-replies.ts';
import { RedisScript } from './redis-script.ts';
import { wireText } from './redis-wire.ts';
import type { CallOptions } from './transport.ts';

const giveBackScript = new RedisScript('give-back-1');

function bounds(what: string, stream: string, options: CallOptions): CallBounds & { readonly key: string } {
  return { what: `${what} ${stream}`, key: stream, ...options };
}

export async function ownPending(
  link: RedisLink,
  { stream, group, consumer, afterId, count }: OwnPendingRequest,
  options: CallOptions,
): Promise<readonly PendingRow[]> {
  const args = [stream, group, `(${afterId}`, '+', count, consumer];
  const rows = await link.run(bounds('list own pending of', stream, options), (client) =>
    client.callBuffer('XPENDING', args),
  );
  return [...parseDeliveryCounts(rows)].map(([entryId, deliveryCount]) => ({ entryId, deliveryCount }));
}

/** One look for each, sent together: they may lie far apart. */
export async function ownersOf(
  link: RedisLink,
  stream: string,
  group: string,
  entryIds: readonly string[],
  options: CallOptions,
): Promise<ReadonlyMap<string, string>> {
  if (entryIds.length === 0) return new Map();
  const replies = await link.run(bounds('look for owners on', stream, options), (client) =>
    Promise.all(entryIds.map((id) => client.callBuffer('XPENDING', [stream, group, id, id, 1]))),
  );
  return new Map(replies.flatMap((rows) => parsePendingOwner(rows)));
}

export async function giveBack(
  link: RedisLink,
  { stream, group, consumer, entries }: GiveBackRequest,
  options: CallOptions,
): Promise<readonly string[]> {
  if (entries.length === 0) return [];
  const inOrder = [...entries].sort((a, b) => compareEntryIds(a.entryId, b.entryId));
  const rows = inOrder.flatMap(({ entryId, deliveryCount }) => [entryId, String(deliveryCount)]);
  const values = [wireText(stream), wireText(group), wireText(consumer), String(GIVEN_BACK_IDLE_MS), ...rows];
  return await giveBackScript.run(link, bounds('give back on', stream, options), values, (reply) => {
    const owned = new Set(parseIds(reply));
    return entries.flatMap(({ entryId }) => (owned.has(entryId) ? entryId : []));
  });
}
