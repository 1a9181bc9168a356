import { type Clock, systemClock } from '../../core/clock.ts';
import { errorCode, errorMessage, OptionError } from '../../core/errors.ts';
import { type Logger, silentLogger } from '../../core/logger.ts';
import { requireRange, resolveOptions } from '../../core/options.ts';
import { type Random, systemRandom } from '../../core/random.ts';
import { closedError, isTransportError } from '../errors.ts';
import { serverWarnings } from './redis-checks.ts';
import { RedisConnection } from './redis-connection.ts';
import { RedisReader } from './redis-reader.ts';
import { parseAppend, parseGroups, parseTime } from './redis-replies.ts';
import { RedisScript } from './redis-script.ts';
import { StreamTrimmer } from './redis-trimmer.ts';
import { parseRedisUrl, type RedisAddress } from './redis-url.ts';
import { wireText } from './redis-wire.ts';
import type {
  AppendRequest,
  AppendResult,
  BusTransport,
  CallOptions,
  GroupInfo,
  TransportReader,
} from './transport.ts';

export interface RedisTransportOptions {
  /** redis://[user:password@]host[:port][/db] or rediss://… The secret never reaches a log or an error. */
  readonly url: string;
  /** Bound on connecting until the server has answered, milliseconds, 10-60000. Default 2000. */
  readonly connectTimeoutMs?: number;
  /** A connection silent for this long is dropped when a call expires, milliseconds, 10-60000. Default 2000. */
  readonly stallMs?: number;
  /** How long a blocking read may outlast its block before its connection is dropped, 10-60000 ms. Default 1000. */
  readonly readSlackMs?: number;
  /** Upper bound of the first wait before reconnecting, milliseconds, 1-60000. Default 50. */
  readonly reconnectBaseMs?: number;
  /** Upper bound of every wait before reconnecting, milliseconds, 1-60000. Default 1000. */
  readonly reconnectCapMs?: number;
  /** First part of the clients' names in CLIENT LIST, no spaces. Default 'esper-oona'. */
  readonly connectionName?: string;
  readonly clock?: Clock;
  readonly random?: Random;
  readonly logger?: Logger;
}

const DEFAULTS: Required<RedisTransportOptions> = Object.freeze({
  url: '',
  connectTimeoutMs: 2000,
  stallMs: 2000,
  readSlackMs: 1000,
  reconnectBaseMs: 50,
  reconnectCapMs: 1000,
  connectionName: 'esper-oona',
  clock: systemClock,
  random: systemRandom,
  logger: silentLogger,
});

const appendScript = new RedisScript('append-2');

/** Before the dedup id. The key lies in the stream's hash slot, or one Lua call could not touch both on a Cluster. */
export function dedupPrefix(stream: string): string {
  const hasTag = /\{[^}]+\}/.test(stream);
  return `${hasTag ? stream : `{${stream}}`}:dedup:`;
}

class RedisTransport implements BusTransport {
  readonly kind = 'redis';
  readonly #options: Required<RedisTransportOptions>;
  readonly #address: RedisAddress;
  /** Appends only: nothing slow may stand before an emergency. */
  readonly #publisher: RedisConnection;
  readonly #control: RedisConnection;
  readonly #trimmer: StreamTrimmer;
  readonly #readers = new Set<RedisReader>();
  /** By stream. */
  readonly #keys = new Map<string, { readonly key: string; readonly dedupPrefix: string }>();
  #closed = false;
  #checked = false;

  constructor(options: Required<RedisTransportOptions>) {
    this.#options = options;
    this.#address = parseRedisUrl(options.url);
    this.#publisher = this.#connection('publisher', true);
    this.#control = this.#connection('control', true);
    this.#trimmer = new StreamTrimmer(this.#control, options.clock, options.logger);
  }

  get connected(): boolean {
    return this.#publisher.ready;
  }

  append(request: AppendRequest, options: CallOptions): Promise<AppendResult> {
    const { stream, payload, signature, dedupId, dedupWindowMs, ttlMs } = request;
    const { deadlineMs, signal } = options;
    const bounds = { what: `append to ${stream}`, deadlineMs, signal };
    const { key, dedupPrefix } = this.#wireKeys(stream);
    // A signature is one byte per character, ASCII or not.
    const keysAndArgs = [
      key,
      dedupPrefix + wireText(dedupId),
      payload,
      signature,
      String(Math.ceil(dedupWindowMs)),
    ];
    return appendScript.run(this.#publisher, bounds, keysAndArgs, (reply) => {
      if (ttlMs > 0) this.#trimmer.trimLater(stream, ttlMs);
      return parseAppend(reply);
    });
  }

  async ensureGroup(stream: string, group: string, startId: string, options: CallOptions): Promise<void> {
    const what = `create group ${group} on ${stream}`;
    try {
      await this.#call(what, options, 'XGROUP', ['CREATE', stream, group, startId, 'MKSTREAM']);
    } catch (error) {
      if (!answered(error, 'BUSYGROUP')) throw error;
    }
  }

  openReader(): TransportReader {
    if (this.#closed) throw closedError('open a reader');
    const reader = new RedisReader(this.#connection('reader', false), this.#options.readSlackMs, () => {
      this.#readers.delete(reader);
    });
    this.#readers.add(reader);
    return reader;
  }

  async acknowledge(
    stream: string,
    group: string,
    entryIds: readonly string[],
    options: CallOptions,
  ): Promise<number> {
    if (entryIds.length === 0) return 0;
    return Number(
      await this.#call(`acknowledge on ${stream}`, options, 'XACK', [stream, group, ...entryIds]),
    );
  }

  async groups(stream: string, options: CallOptions): Promise<readonly GroupInfo[]> {
    try {
      return parseGroups(await this.#call(`list groups of ${stream}`, options, 'XINFO', ['GROUPS', stream]));
    } catch (error) {
      if (answered(error, 'no such key')) return [];
      throw error;
    }
  }

  async removeGroup(stream: string, group: string, options: CallOptions): Promise<void> {
    try {
      await this.#call(`remove group ${group} of ${stream}`, options, 'XGROUP', ['DESTROY', stream, group]);
    } catch (error) {
      if (!answered(error, 'requires the key to exist')) throw error;
    }
  }

  async timeMs(options: CallOptions): Promise<number> {
    return parseTime(await this.#call('read the time', options, 'TIME', []));
  }

  /** Also makes the server know the script, so that the first emergency of a run takes one round trip. */
  async ping(options: CallOptions): Promise<void> {
    await Promise.all([
      appendScript.load(this.#publisher, { what: 'ping', ...options }),
      this.#call('ping', options, 'PING', []),
    ]);
    if (this.#checked) return;
    this.#checked = true;
    await this.#checkServer(options);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#publisher.close();
    this.#control.close();
    await Promise.all([...this.#readers].map((reader) => reader.close()));
  }

  #wireKeys(stream: string): { readonly key: string; readonly dedupPrefix: string } {
    let keys = this.#keys.get(stream);
    if (keys === undefined) {
      keys = { key: wireText(stream), dedupPrefix: wireText(dedupPrefix(stream)) };
      this.#keys.set(stream, keys);
    }
    return keys;
  }

  /** Once, and only warned of: a user who may not run INFO must still be able to publish. */
  async #checkServer(options: CallOptions): Promise<void> {
    try {
      const info = await this.#call('check the server', options, 'INFO', []);
      for (const warning of serverWarnings(String(info))) {
        this.#options.logger.warn({ server: this.#address.masked }, warning);
      }
    } catch (error) {
      this.#options.logger.debug({ code: errorCode(error) }, `server not checked: ${errorMessage(error)}`);
    }
  }

  #call(what: string, options: CallOptions, command: string, args: readonly string[]): Promise<unknown> {
    return this.#control.run({ what, ...options }, (client) => client.callBuffer(command, [...args]));
  }

  #connection(role: string, eager: boolean): RedisConnection {
    const {
      connectTimeoutMs,
      stallMs,
      reconnectBaseMs,
      reconnectCapMs,
      connectionName,
      clock,
      random,
      logger,
    } = this.#options;
    return new RedisConnection({
      address: this.#address,
      name: `${connectionName}-${role}`,
      ...{ connectTimeoutMs, stallMs, reconnectBaseMs, reconnectCapMs, eager, clock, random, logger },
    });
  }
}

function answered(error: unknown, text: string): boolean {
  return isTransportError(error) && error.code === 'ESPER_OONA_REDIS' && error.message.includes(text);
}

/**
 * Streams in Redis 7 or later. Connects on first use; connections that break are made again in the background, and
 * calls fail fast meanwhile. Throws OptionError on a bad URL or option.
 */
export function createRedisTransport(options: RedisTransportOptions): BusTransport {
  const owner = 'createRedisTransport';
  const resolved = resolveOptions<Required<RedisTransportOptions>>(owner, DEFAULTS, options);
  requireRange(owner, 'connectTimeoutMs', resolved.connectTimeoutMs, 10, 60_000);
  requireRange(owner, 'stallMs', resolved.stallMs, 10, 60_000);
  requireRange(owner, 'readSlackMs', resolved.readSlackMs, 10, 60_000);
  requireRange(owner, 'reconnectBaseMs', resolved.reconnectBaseMs, 1, 60_000);
  requireRange(owner, 'reconnectCapMs', resolved.reconnectCapMs, 1, 60_000);
  if (!/^[\x21-\x7e]{1,64}$/.test(resolved.connectionName)) {
    throw new OptionError(`${owner}: connectionName must be 1-64 printable characters without spaces`);
  }
  return new RedisTransport(resolved);
}
