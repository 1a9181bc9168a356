import { Redis } from 'ioredis';
import type { SignedEntry } from '../../src/leyline/envelope.ts';

/** A client with the options of the bus's own connections (src/oona/transport/redis-connection.ts), connected. */
export async function openBare(url: string): Promise<Redis> {
  const redis = new Redis(url, {
    protocol: 2,
    lazyConnect: true,
    enableOfflineQueue: false,
    enableReadyCheck: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: null,
    retryStrategy: null,
    disableClientInfo: true,
  });
  // Its end is noticed where its commands are awaited.
  redis.on('error', () => undefined);
  await redis.connect();
  return redis;
}

/** An entry of the bus by a bare XADD. */
export function bareXadd(
  redis: Redis,
  stream: string,
  { payload, signature }: SignedEntry,
): Promise<unknown> {
  return redis.xadd(stream, '*', 'payload', payload as Buffer, 'signature', signature);
}

export async function createGroup(
  redis: Redis,
  stream: string,
  group: string,
  startId: string,
): Promise<void> {
  await redis.xgroup('CREATE', stream, group, startId, 'MKSTREAM');
}

/** Id and fields, names and values in turn, as the client hands them out. */
export type BareEntry = readonly [id: Buffer, fields: readonly Buffer[]];

export interface BareRead {
  readonly stream: string;
  readonly group: string;
  readonly consumer: string;
  readonly count: number;
  /** 0 does not block. */
  readonly blockMs: number;
}

/** One XREADGROUP of new entries. */
export async function bareRead(redis: Redis, read: BareRead): Promise<readonly BareEntry[]> {
  const block = read.blockMs > 0 ? ['BLOCK', String(read.blockMs)] : [];
  const { group, consumer, count, stream } = read;
  const args = ['GROUP', group, consumer, 'COUNT', String(count), ...block, 'STREAMS', stream, '>'];
  const reply = (await redis.callBuffer('XREADGROUP', args)) as
    | readonly (readonly [Buffer, readonly BareEntry[]])[]
    | null;
  return reply?.[0]?.[1] ?? [];
}

/** Reads, blocked, hands over and acknowledges on the same connection, until it closes. */
export class BareReader {
  readonly #redis: Redis;
  readonly #read: BareRead;
  #closed = false;

  private constructor(redis: Redis, read: BareRead) {
    this.#redis = redis;
    this.#read = read;
  }

  static async start(url: string, read: BareRead, handler: (entry: BareEntry) => void): Promise<BareReader> {
    const redis = await openBare(url);
    await createGroup(redis, read.stream, read.group, '$').catch((error: Error) => {
      if (!error.message.startsWith('BUSYGROUP')) throw error;
    });
    const reader = new BareReader(redis, read);
    void reader.#run(handler);
    return reader;
  }

  close(): void {
    this.#closed = true;
    this.#redis.disconnect();
  }

  async #run(handler: (entry: BareEntry) => void): Promise<void> {
    const { stream, group } = this.#read;
    try {
      while (!this.#closed) {
        const entries = await bareRead(this.#redis, this.#read);
        for (const entry of entries) handler(entry);
        if (entries.length === 0) continue;
        // Travels with the next read; a failure of the one is a failure of the other.
        this.#redis.xack(stream, group, ...entries.map(([id]) => id)).catch(() => undefined);
      }
    } catch (error) {
      if (!this.#closed) console.error('bare reader:', error);
    }
  }
}
