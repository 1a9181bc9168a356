import type { Clock } from '../../core/clock.ts';
import { errorCode, errorMessage } from '../../core/errors.ts';
import type { Logger } from '../../core/logger.ts';
import { HOST_GROUP_PREFIX } from '../streams.ts';
import { besideKey } from './redis-keys.ts';
import type { RedisLink } from './redis-link.ts';
import { parseTrim } from './redis-replies.ts';
import { RedisScript } from './redis-script.ts';
import { wireText } from './redis-wire.ts';
import { type AppendRequest, UNREAD_TTL_FACTOR } from './transport.ts';

const trimScript = new RedisScript('trim-2');
type TrimmingAppend = Pick<AppendRequest, 'stream' | 'ttlMs' | 'onCutUnread'>;

const DEADLINE_MS = 5000;
const LONGEST_INTERVAL_MS = 10_000;

/**
 * Trims streams after appends, at most every tenth of their time to live, all hosts together. Apart from the append:
 * reading the time and trimming along with it made the script take a third longer when an emergency comes alone.
 */
export class StreamTrimmer {
  readonly #connection: RedisLink;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #last = new Map<string, { readonly nextAtMs: number; readonly ttlMs: number }>();

  constructor(connection: RedisLink, clock: Clock, logger: Logger) {
    this.#connection = connection;
    this.#clock = clock;
    this.#logger = logger;
  }

  /** Returns at once. A trim that fails is made up for by the next. */
  trimLater(append: TrimmingAppend): void {
    const { stream, ttlMs } = append;
    const nowMs = this.#clock.monotonicMs();
    const last = this.#last.get(stream);
    if (last !== undefined && nowMs < last.nextAtMs && ttlMs >= last.ttlMs) return;
    const intervalMs = Math.min(ttlMs / 10, LONGEST_INTERVAL_MS);
    this.#last.set(stream, { nextAtMs: nowMs + intervalMs, ttlMs });
    this.#trim(append, intervalMs).catch((error: unknown) => {
      this.#logger.debug({ code: errorCode(error), stream }, `not trimmed: ${errorMessage(error)}`);
    });
  }

  async #trim({ stream, ttlMs, onCutUnread }: TrimmingAppend, intervalMs: number): Promise<void> {
    const bounds = { what: `trim ${stream}`, deadlineMs: DEADLINE_MS, key: stream };
    const times = [ttlMs, intervalMs, ttlMs * UNREAD_TTL_FACTOR].map((ms) => String(Math.ceil(ms)));
    const values = [wireText(stream), besideKey(stream, 'trim'), ...times, HOST_GROUP_PREFIX];
    const { cutUnread } = await trimScript.run(this.#connection, bounds, values, parseTrim);
    if (cutUnread === 0) return;
    const keptMs = ttlMs * UNREAD_TTL_FACTOR;
    this.#logger.warn(
      { stream, cutUnread, keptMs },
      'urgent work was trimmed that a group had not acknowledged',
    );
    onCutUnread?.(cutUnread, stream);
  }
}
