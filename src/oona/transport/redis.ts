import { errorCode, errorMessage } from '../../core/errors.ts';
import { closedError, isTransportError } from '../errors.ts';
import { checkServers } from './redis-checks.ts';
import { type StreamKeys, streamKeys } from './redis-keys.ts';
import type { RedisLink } from './redis-link.ts';
import { openRedisLinks, type RedisLinks } from './redis-links.ts';
import {
  type RedisTransportOptions,
  type RedisTuning,
  type ResolvedRedisOptions,
  resolveRedisOptions,
} from './redis-options.ts';
import { RedisReader } from './redis-reader.ts';
import { parseAppend, parseGatedAppend, parseGroups, parseTime } from './redis-replies.ts';
import { RedisScript } from './redis-script.ts';
import { StreamTrimmer } from './redis-trimmer.ts';
import { wireText } from './redis-wire.ts';
import { RedisWork } from './redis-work.ts';
import type {
  AppendRequest,
  AppendResult,
  BusTransport,
  CallOptions,
  GroupInfo,
  TransportReader,
} from './transport.ts';

export type { RedisTransportOptions } from './redis-options.ts';

const appendScript = new RedisScript('append-2');
const gatedScript = new RedisScript('append-gated-4');
/** What Lua takes for "no limit": it measures all the same. */
const NO_LIMIT = '1e308';

class RedisTransport extends RedisWork implements BusTransport {
  readonly kind = 'redis';
  readonly #options: RedisTuning;
  readonly #links: RedisLinks;
  /** Appends only: nothing slow may stand before an emergency. */
  readonly #publisher: RedisLink;
  readonly #control: RedisLink;
  readonly #trimmer: StreamTrimmer;
  readonly #readers = new Set<RedisReader>();
  /** By stream. */
  readonly #keys = new Map<string, StreamKeys>();
  #closed = false;
  #checked = false;

  constructor({ target, tuning }: ResolvedRedisOptions) {
    const links = openRedisLinks({ target, ...tuning });
    const control = links.open('control', true);
    super(control, tuning);
    this.#options = tuning;
    this.#links = links;
    this.#control = control;
    this.#publisher = links.open('publisher', true);
    this.#trimmer = new StreamTrimmer(control, tuning.clock, tuning.logger);
  }

  get connected(): boolean {
    return this.#publisher.ready;
  }

  append(request: AppendRequest, options: CallOptions): Promise<AppendResult> {
    const { stream, payload, signature, dedupId, dedupWindowMs, ttlMs, depthLimit, moveBelow = 0 } = request;
    const { deadlineMs, signal, urgent = false } = options;
    const { waitReplicas: replicas } = this.#options;
    const keys = this.#wireKeys(stream);
    const bounds = { what: keys.what, deadlineMs, signal, key: stream, replicas, urgent };
    const dedup = keys.dedupPrefix + wireText(dedupId);
    const windowMs = String(Math.ceil(dedupWindowMs));
    // A signature is one byte per character, ASCII or not.
    if (depthLimit === undefined) {
      const values = [keys.stream, dedup, payload, signature, windowMs];
      return appendScript.run(this.#publisher, bounds, values, (reply) => {
        if (ttlMs > 0) this.#trimmer.trimLater(request);
        return parseAppend(reply);
      });
    }
    const depths = [luaLimit(depthLimit), luaLimit(moveBelow)];
    const values = [keys.stream, dedup, keys.depth, keys.full, payload, signature, windowMs, ...depths];
    return gatedScript.run(this.#publisher, bounds, values, (reply) => {
      if (ttlMs > 0) this.#trimmer.trimLater(request);
      return parseGatedAppend(reply);
    });
  }

  async ensureGroup(stream: string, group: string, startId: string, options: CallOptions): Promise<void> {
    const what = `create group ${group} on ${stream}`;
    try {
      await this.#call(what, { ...options, key: stream }, 'XGROUP', [
        'CREATE',
        stream,
        group,
        startId,
        'MKSTREAM',
      ]);
    } catch (error) {
      if (!answered(error, 'BUSYGROUP')) throw error;
    }
  }

  openReader(): TransportReader {
    if (this.#closed) throw closedError('open a reader');
    const reader = new RedisReader(this.#links.open('reader', false), this.#options.readSlackMs, () => {
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
      await this.#call(`acknowledge on ${stream}`, { ...options, key: stream }, 'XACK', [
        stream,
        group,
        ...entryIds,
      ]),
    );
  }

  async groups(stream: string, options: CallOptions): Promise<readonly GroupInfo[]> {
    try {
      return parseGroups(
        await this.#call(`list groups of ${stream}`, { ...options, key: stream }, 'XINFO', [
          'GROUPS',
          stream,
        ]),
      );
    } catch (error) {
      if (answered(error, 'no such key')) return [];
      throw error;
    }
  }

  async removeGroup(stream: string, group: string, options: CallOptions): Promise<void> {
    try {
      await this.#call(`remove group ${group} of ${stream}`, { ...options, key: stream }, 'XGROUP', [
        'DESTROY',
        stream,
        group,
      ]);
    } catch (error) {
      if (!answered(error, 'requires the key to exist')) throw error;
    }
  }

  async timeMs(options: CallOptions): Promise<number> {
    return parseTime(await this.#call('read the time', options, 'TIME', []));
  }

  /** Also makes the server know the script, so that the first emergency of a run takes one round trip. */
  async ping(options: CallOptions): Promise<void> {
    const bounds = { what: 'ping', ...options };
    await Promise.all([
      appendScript.load(this.#publisher, bounds),
      gatedScript.load(this.#publisher, bounds),
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
    this.#links.close();
  }

  #wireKeys(stream: string): StreamKeys {
    let keys = this.#keys.get(stream);
    if (keys === undefined) {
      keys = streamKeys(stream);
      this.#keys.set(stream, keys);
    }
    return keys;
  }

  /** Once, and only warned of: a user who may not run INFO must still be able to publish. */
  async #checkServer(options: CallOptions): Promise<void> {
    try {
      for (const warning of await checkServers(this.#control, { what: 'check the server', ...options })) {
        this.#options.logger.warn({ server: this.#links.masked }, warning);
      }
    } catch (error) {
      this.#options.logger.debug({ code: errorCode(error) }, `server not checked: ${errorMessage(error)}`);
    }
  }

  #call(
    what: string,
    options: CallOptions & { readonly key?: string },
    command: string,
    args: readonly string[],
  ): Promise<unknown> {
    return this.#control.run({ what, ...options }, (client) => client.callBuffer(command, [...args]));
  }
}

function luaLimit(depth: number): string {
  return Number.isFinite(depth) ? String(Math.ceil(depth)) : NO_LIMIT;
}

function answered(error: unknown, text: string): boolean {
  return isTransportError(error) && error.code === 'ESPER_OONA_REDIS' && error.message.includes(text);
}

/**
 * Streams in Redis 7 or later. Connects on first use; connections that break are made again in the background, and
 * calls fail fast meanwhile. Throws OptionError on a bad URL or option.
 */
export function createRedisTransport(options: RedisTransportOptions): BusTransport {
  return new RedisTransport(resolveRedisOptions('createRedisTransport', options));
}
