import { Redis } from 'ioredis';
import { ENVELOPE_ATTRIBUTES, openEnvelope } from '../../src/leyline/envelope.ts';

const PAYLOAD = Buffer.from('payload');

/** Reply of an XREAD: streams, each with its entries, each with its fields. */
type Entries = readonly (readonly [Buffer, readonly (readonly [Buffer, readonly Buffer[]])[]])[];

/** A third party blocked on the emergency stream: says when an emergency was there for others to read. */
export class StreamObserver {
  readonly #redis: Redis;
  readonly #stream: string;
  readonly #seenNs = new Map<string, bigint>();
  #closed = false;

  /** `lastId`: only entries after it are looked at. */
  constructor(redisUrl: string, stream: string, lastId: string) {
    this.#redis = new Redis(redisUrl, { maxRetriesPerRequest: null });
    this.#stream = stream;
    void this.#run(lastId);
  }

  /** CLOCK_MONOTONIC when the signal was first read from the stream; undefined until then. */
  seenNs(signalId: string): bigint | undefined {
    return this.#seenNs.get(signalId);
  }

  close(): void {
    this.#closed = true;
    this.#redis.disconnect();
  }

  async #run(startId: string): Promise<void> {
    let lastId: string | Buffer = startId;
    try {
      while (!this.#closed) {
        const reply: Entries | null = await this.#redis.xreadBuffer(
          'BLOCK',
          0,
          'STREAMS',
          this.#stream,
          lastId,
        );
        const nowNs = process.hrtime.bigint();
        for (const [id, fields] of reply?.[0]?.[1] ?? []) {
          lastId = id;
          this.#note(fields, nowNs);
        }
      }
    } catch (error) {
      if (!this.#closed) console.error('stream observer:', error);
    }
  }

  #note(fields: readonly Buffer[], nowNs: bigint): void {
    const payload = fields[fields.findIndex((field) => field.equals(PAYLOAD)) + 1];
    if (payload === undefined) return;
    const signalId = openEnvelope({ payload, signature: '' }, undefined).attributes[
      ENVELOPE_ATTRIBUTES.eventId
    ];
    if (signalId !== undefined && !this.#seenNs.has(signalId)) this.#seenNs.set(signalId, nowNs);
  }
}
