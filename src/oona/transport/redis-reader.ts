import type { Redis } from 'ioredis';
import type { RedisConnection, RunOptions } from './redis-connection.ts';
import { parseDeliveryCounts, parseRead } from './redis-replies.ts';
import type { ReadRequest, StreamEntry, TransportReader } from './transport.ts';

/**
 * Reads on a connection of its own. A read that outlives its block by `slackMs` rejects with ESPER_OONA_TIMEOUT and
 * drops the connection; entries may then have been handed out unseen, so the caller reads its pending ones again.
 */
export class RedisReader implements TransportReader {
  readonly #connection: RedisConnection;
  readonly #slackMs: number;
  readonly #onClose: () => void;

  constructor(connection: RedisConnection, slackMs: number, onClose: () => void) {
    this.#connection = connection;
    this.#slackMs = slackMs;
    this.#onClose = onClose;
  }

  read(request: ReadRequest, signal: AbortSignal): Promise<readonly StreamEntry[]> {
    const blockMs = request.which === 'new' ? request.blockMs : 0;
    const options: RunOptions = {
      what: `read ${request.stream} as ${request.group}`,
      deadlineMs: blockMs + this.#slackMs,
      signal,
      exclusive: true,
    };
    return this.#connection.run(options, (client) =>
      request.which === 'new' ? readNew(client, request) : readPending(client, request),
    );
  }

  async close(): Promise<void> {
    this.#connection.close();
    this.#onClose();
  }
}

async function readNew(client: Redis, request: ReadRequest): Promise<StreamEntry[]> {
  const { stream, group, consumer, count, blockMs } = request;
  // BLOCK 0 means for ever.
  const block = blockMs > 0 ? ['BLOCK', Math.ceil(blockMs)] : [];
  const args = ['GROUP', group, consumer, 'COUNT', count, ...block, 'STREAMS', stream, '>'];
  return parseRead(stream, await client.callBuffer('XREADGROUP', args));
}

async function readPending(client: Redis, request: ReadRequest): Promise<StreamEntry[]> {
  const { stream, group, consumer, count, afterId } = request;
  const args = ['GROUP', group, consumer, 'COUNT', count, 'STREAMS', stream, afterId];
  const entries = parseRead(stream, await client.callBuffer('XREADGROUP', args));
  const first = entries[0];
  const last = entries.at(-1);
  if (first === undefined || last === undefined) return [];
  const range = [stream, group, first.entryId, last.entryId, entries.length, consumer];
  const counts = parseDeliveryCounts(await client.callBuffer('XPENDING', range));
  return entries.map((entry) => ({
    ...entry,
    deliveryCount: counts.get(entry.entryId) ?? entry.deliveryCount,
  }));
}
