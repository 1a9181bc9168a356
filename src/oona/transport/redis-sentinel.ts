import { Redis } from 'ioredis';
import { backoffDelayMs } from '../../core/backoff.ts';
import type { RedisParts } from './redis-links.ts';
import type { RedisNode } from './redis-url.ts';

const CHANNEL = '+switch-master';
/** A sentinel that is away is looked for at most so often, milliseconds. */
const LONGEST_PAUSE_MS = 5000;

/**
 * Hears from every sentinel when there is another primary. A primary that was well when it was replaced (SENTINEL
 * FAILOVER) takes writes for some ten seconds more, until a sentinel demotes it, and all of them are lost: whoever is
 * connected to it must leave at once. One subscription a sentinel for all links of a transport.
 */
export class SentinelWatch {
  readonly #parts: RedisParts;
  readonly #listeners = new Set<(primary: RedisNode) => void>();
  #clients: Redis[] | undefined;
  #closed = false;

  constructor(parts: RedisParts) {
    this.#parts = parts;
  }

  onSwitch(listener: (primary: RedisNode) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Idempotent. What a sentinel that cannot be reached would tell is missed; then READONLY tells it, later. */
  start(): void {
    if (this.#clients !== undefined || this.#closed) return;
    this.#clients = this.#parts.target.nodes.map((node) => this.#subscribe(node));
  }

  close(): void {
    this.#closed = true;
    for (const client of this.#clients ?? []) {
      client.disconnect(false);
      client.stream?.destroy();
    }
  }

  #subscribe({ host, port }: RedisNode): Redis {
    const { target, connectTimeoutMs, connectionName, reconnectBaseMs: baseMs, random } = this.#parts;
    const { sentinel, tls } = target;
    const client = new Redis({
      ...{ host, port, connectTimeout: connectTimeoutMs, connectionName: `${connectionName}-watch` },
      ...(sentinel?.username === undefined ? {} : { username: sentinel.username }),
      ...(sentinel?.password === undefined ? {} : { password: sentinel.password }),
      ...(tls === undefined ? {} : { tls }),
      ...{ protocol: 2, disableClientInfo: true, enableReadyCheck: false, maxRetriesPerRequest: null },
      // Here ioredis may reconnect and subscribe again by itself: nobody waits for an answer.
      retryStrategy: (times) =>
        Math.max(1, backoffDelayMs(times, { baseMs, capMs: LONGEST_PAUSE_MS }, random)),
    });
    client.on('error', () => undefined);
    client.on('message', (_channel: string, text: string) => this.#heard(text));
    client.subscribe(CHANNEL).catch(() => undefined);
    return client;
  }

  /** `<name> <old host> <old port> <new host> <new port>` */
  #heard(text: string): void {
    const [name, , , host = '', port = ''] = text.split(' ');
    if (name !== this.#parts.target.sentinel?.name) return;
    for (const listener of this.#listeners) listener({ host, port: Number(port) });
  }
}
