import { errorCode } from '../../core/errors.ts';
import type { TransportReader } from '../transport/transport.ts';
import type { ConsumerInfo } from '../transport/work.ts';
import type { ConsumerContext } from './context.ts';

/** Between a consumer's name and the mark of one process that uses it; no name has it. */
const MARK = '~';
/** Consumers without pending entries that did nothing for so many leases are removed, but not sooner than this. */
const IDLE_LEASES = 10;
const LEAST_IDLE_MS = 300_000;
/** Two clocks and a round trip lie between a touch and its being read, milliseconds. */
const MARGIN_MS = 100;

/**
 * Removes consumers that are gone and have nothing pending, and notices when somebody else uses this consumer's name.
 * For that each process with a name of the user's choice keeps a second consumer, `<name>~<random>`, which never takes
 * an entry: a mark of another process that was touched after we began means that both live.
 */
export class Housekeeper {
  readonly #context: ConsumerContext;
  readonly #mark: string | undefined;
  #startedAtMs = 0;
  #reader: TransportReader | undefined;

  constructor(context: ConsumerContext) {
    this.#context = context;
    const { options, parts } = context;
    const random = Math.floor(parts.random() * 2 ** 48).toString(16);
    this.#mark = options.named ? `${options.consumer}${MARK}${random}` : undefined;
  }

  async run(signal: AbortSignal): Promise<void> {
    const { parts, options } = this.#context;
    this.#startedAtMs = this.#context.nowMs();
    while (!signal.aborted) {
      try {
        await this.#keep(signal);
      } catch (error) {
        const code = errorCode(error);
        if (signal.aborted || code === 'ESPER_OONA_CLOSED') break;
        // The read loop makes the group again.
        if (code !== 'ESPER_OONA_NO_GROUP') this.#context.failed('housekeeping', error);
      }
      await parts.clock.sleep(options.leaseMs, signal).catch(() => undefined);
    }
  }

  /** Takes this consumer's names out of the group, unless something is pending. */
  async leave(): Promise<void> {
    const { parts, options, call } = this.#context;
    const names = this.#mark === undefined ? [options.consumer] : [options.consumer, this.#mark];
    try {
      await this.#reader?.close();
      for (const name of names) {
        await parts.transport.removeConsumer(options.stream, options.group, name, call);
      }
    } catch (error) {
      if (errorCode(error) !== 'ESPER_OONA_CLOSED') this.#context.failed('leave the group', error);
    }
  }

  async #keep(signal: AbortSignal): Promise<void> {
    const { parts, options, call } = this.#context;
    const { stream, group } = options;
    await this.#touchMark(signal);
    const consumers = await parts.transport.consumers(stream, group, call);
    this.#lookForNamesake(consumers);
    const idleMs = Math.max(options.leaseMs * IDLE_LEASES, LEAST_IDLE_MS);
    for (const { consumer, pending, idleMs: idle } of consumers) {
      if (pending > 0 || idle < idleMs || consumer === options.consumer || consumer === this.#mark) continue;
      if (await parts.transport.removeConsumer(stream, group, consumer, call)) {
        parts.logger.info({ stream, group, consumer, idleMs: idle }, 'idle consumer removed');
      }
    }
  }

  /** Reading one's own pending entries is what touches a consumer and hands out nothing. */
  async #touchMark(signal: AbortSignal): Promise<void> {
    if (this.#mark === undefined) return;
    const { parts, options } = this.#context;
    const { stream, group } = options;
    this.#reader ??= parts.transport.openReader();
    const request = { stream, group, consumer: this.#mark, afterId: '0', count: 1, blockMs: 0 };
    await this.#reader.read({ ...request, which: 'pending' }, signal);
  }

  #lookForNamesake(consumers: readonly ConsumerInfo[]): void {
    if (this.#mark === undefined) return;
    const prefix = `${this.#context.options.consumer}${MARK}`;
    const livedMs = this.#context.nowMs() - this.#startedAtMs;
    const others = consumers.filter(
      ({ consumer, idleMs }) =>
        consumer.startsWith(prefix) && consumer !== this.#mark && idleMs + MARGIN_MS < livedMs,
    );
    if (others.length === 0) return;
    const text = `${others.length} other live consumer(s) have this name: both work on the same pending entries`;
    this.#context.trouble('ESPER_OONA_CONSUMER_NAME_TAKEN', text);
    this.#context.counters.gauge('name_taken', others.length);
  }
}
