import type { Clock } from '../../core/clock.ts';
import { errorCode, errorMessage } from '../../core/errors.ts';
import type { Logger } from '../../core/logger.ts';
import type { RedisLink } from './redis-link.ts';
import { RedisScript } from './redis-script.ts';
import { wireText } from './redis-wire.ts';

const trimScript = new RedisScript('trim-1');
const DEADLINE_MS = 5000;
const LONGEST_INTERVAL_MS = 10_000;

/**
 * Trims streams after appends, at most every tenth of their time to live. Apart from the append: reading
 * the time and trimming along with it made the script take a third longer when an emergency comes alone.
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
  trimLater(stream: string, ttlMs: number): void {
    const nowMs = this.#clock.monotonicMs();
    const last = this.#last.get(stream);
    if (last !== undefined && nowMs < last.nextAtMs && ttlMs >= last.ttlMs) return;
    this.#last.set(stream, { nextAtMs: nowMs + Math.min(ttlMs / 10, LONGEST_INTERVAL_MS), ttlMs });
    const bounds = { what: `trim ${stream}`, deadlineMs: DEADLINE_MS, key: stream };
    trimScript
      .run(this.#connection, bounds, [wireText(stream), String(Math.ceil(ttlMs))], () => undefined)
      .catch((error: unknown) => {
        this.#logger.debug({ code: errorCode(error), stream }, `not trimmed: ${errorMessage(error)}`);
      });
  }
}
