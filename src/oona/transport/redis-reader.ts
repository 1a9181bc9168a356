import { EntryTap } from './redis-entry-tap.ts';
import type { RedisCaller, RedisLink, RunOptions } from './redis-link.ts';
import { parseDeliveryCounts, parseRead } from './redis-replies.ts';
import { encodeCommand, wireText } from './redis-wire.ts';
import type { ReadRequest, StreamEntry, TransportReader } from './transport.ts';

const LAST_ID = '18446744073709551615-18446744073709551614';

/**
 * Reads on a connection of its own. A read that outlives its block by `slackMs` rejects with ESPER_OONA_TIMEOUT and
 * drops the connection; entries may then have been handed out unseen, so the caller reads its pending ones again.
 */
export class RedisReader implements TransportReader {
  readonly #connection: RedisLink;
  readonly #slackMs: number;
  readonly #onClose: () => void;
  /** Whose last read for new entries found none. */
  #inVain: string | undefined;
  /** On a Cluster there is a client to each node. */
  readonly #taps = new WeakMap<RedisCaller, EntryTap | undefined>();

  constructor(connection: RedisLink, slackMs: number, onClose: () => void) {
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
      key: request.stream,
      exclusive: true,
    };
    if (request.which === 'pending')
      return this.#connection.run(options, (client) => readPending(client, request));
    return this.#readNew(request, options);
  }

  #readNew(request: ReadRequest, options: RunOptions): Promise<readonly StreamEntry[]> {
    const { stream, group, consumer } = request;
    const who = `${stream}\n${group}\n${consumer}`;
    let tap: EntryTap | undefined;
    const beforeSend = (client: RedisCaller): void => {
      if (this.#inVain === who) showLife(client, request);
      tap = this.#tapOf(client);
      tap?.expect(stream);
    };
    return this.#connection
      .send({ ...options, beforeSend }, 'xreadgroup', encodeRead(request))
      .then((reply) => {
        const entries = tap?.take() ?? parseRead(stream, reply);
        this.#inVain = entries.length === 0 ? who : undefined;
        return entries;
      });
  }

  #tapOf(client: RedisCaller): EntryTap | undefined {
    if (!this.#taps.has(client)) this.#taps.set(client, EntryTap.on(client));
    return this.#taps.get(client);
  }

  async close(): Promise<void> {
    this.#connection.close();
    this.#onClose();
  }
}

/**
 * Before Redis 7.2 a read that finds nothing leaves the consumer's idle time as it is, and a reader of a quiet stream
 * would look as one that is gone. A look past its last pending entry counts. It travels with the read that follows.
 */
function showLife(client: RedisCaller, { stream, group, consumer }: ReadRequest): void {
  const args = ['GROUP', group, consumer, 'COUNT', 1, 'STREAMS', stream, LAST_ID];
  client.callBuffer('XREADGROUP', args).catch(() => undefined);
}

function encodeRead({ stream, group, consumer, count, blockMs }: ReadRequest): Buffer {
  // BLOCK 0 means for ever.
  const block = blockMs > 0 ? ['BLOCK', String(Math.ceil(blockMs))] : [];
  const who = ['XREADGROUP', 'GROUP', wireText(group), wireText(consumer)];
  return encodeCommand([...who, 'COUNT', String(count), ...block, 'STREAMS', wireText(stream), '>']);
}

async function readPending(client: RedisCaller, request: ReadRequest): Promise<StreamEntry[]> {
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
