import { type BackoffOptions, backoffDelayMs } from '../core/backoff.ts';
import type { Clock } from '../core/clock.ts';
import { errorCode, errorMessage } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import type { Random } from '../core/random.ts';
import type { EmergencyBurials } from './emergency-burials.ts';
import type { EmergencyInbox } from './emergency-inbox.ts';
import { type EmergencyCounters, type EmergencyReaderStats, isPowerOfTwo } from './emergency-stats.ts';
import { closedError } from './errors.ts';
import type { HostGroupCleaner } from './host-groups.ts';
import type { RetryList } from './retry-list.ts';
import type { BusTransport, ReadRequest, StreamEntry, TransportReader } from './transport/transport.ts';

export interface EmergencyReader {
  /**
   * Begins to read. Resolves once the host's group exists or the first attempt failed; the reader goes on trying
   * either way. Emergencies of the last `maxAgeMs` are delivered too.
   */
  start(): Promise<void>;
  /** Ends after the handler that runs, acknowledges what was handled, closes the connection. Idempotent. */
  stop(): Promise<void>;
  stats(): EmergencyReaderStats;
}

/** What one look at the backlog holds in memory at most; the rest of a longer one is handed out unseen. */
const MAX_BACKLOG_BYTES = 32 * 1024 * 1024;
const ENTRY_OVERHEAD_BYTES = 512;

export interface ReaderLoopOptions {
  readonly transport: BusTransport;
  readonly stream: string;
  readonly group: string;
  readonly consumer: string;
  /** A new group starts this far back, milliseconds: a fresh host must not obey last week's HALT. */
  readonly maxAgeMs: number;
  readonly blockMs: number;
  readonly batchSize: number;
  /** Bound on each call but the blocking read, milliseconds. */
  readonly callDeadlineMs: number;
  readonly backoff: BackoffOptions;
  readonly burials: EmergencyBurials;
  readonly inbox: EmergencyInbox;
  readonly retries: RetryList;
  readonly counters: EmergencyCounters;
  readonly cleaner: HostGroupCleaner;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** One host's loop over the emergency stream. */
export class GroupEmergencyReader implements EmergencyReader {
  readonly #options: ReaderLoopOptions;
  readonly #stopping = new AbortController();
  readonly #onStopped: () => void;
  #reader: TransportReader | undefined;
  #state: EmergencyReaderStats['state'] = 'idle';
  #attached: Promise<void> | undefined;
  #loop: Promise<void> | undefined;
  #cleaning: Promise<void> | undefined;
  #failures = 0;

  constructor(options: ReaderLoopOptions, onStopped: () => void) {
    this.#options = options;
    this.#onStopped = onStopped;
  }

  start(): Promise<void> {
    if (this.#stopping.signal.aborted) return Promise.reject(closedError('start the emergency reader'));
    this.#attached ??= new Promise((resolve) => {
      this.#loop = this.#run(resolve);
      this.#cleaning = this.#options.cleaner.run(this.#stopping.signal);
    });
    return this.#attached;
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.all([this.#loop, this.#cleaning, this.#options.burials.stop()]);
    await this.#reader?.close();
    this.#state = 'stopped';
    this.#onStopped();
  }

  stats(): EmergencyReaderStats {
    return this.#options.counters.snapshot(this.#state, this.#options.retries.size);
  }

  async #run(attempted: () => void): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      try {
        this.#state = 'connecting';
        await this.#attach(signal);
        attempted();
        await this.#takeBacklog(signal);
        this.#state = 'reading';
        await this.#takeNew(signal);
      } catch (error) {
        attempted();
        if (signal.aborted || errorCode(error) === 'ESPER_OONA_CLOSED') break;
        await this.#backOff(error, signal);
      }
    }
    attempted();
    this.#state = 'stopped';
  }

  /** Before every round of reading, not once: the group goes with FLUSHALL, a failover, a restart without a disk. */
  async #attach(signal: AbortSignal): Promise<void> {
    const { transport, stream, group, maxAgeMs, callDeadlineMs } = this.#options;
    this.#reader ??= transport.openReader();
    const call = { deadlineMs: callDeadlineMs, signal };
    const nowMs = await transport.timeMs(call);
    await transport.ensureGroup(stream, group, String(Math.max(0, Math.floor(nowMs - maxAgeMs))), call);
  }

  /**
   * Entries that were handed to this host and never acknowledged: by a process that died, or by a read whose answer
   * was lost with its connection. They come first and are older than anything new.
   */
  async *#ownPending(signal: AbortSignal): AsyncGenerator<StreamEntry[]> {
    const { retries, burials } = this.#options;
    let afterId = '0';
    for (;;) {
      const entries = await this.#read('pending', afterId, 0, signal);
      const last = entries.at(-1);
      if (last === undefined) return;
      yield entries.filter(({ entryId }) => !retries.has(entryId) && !burials.has(entryId));
      afterId = last.entryId;
    }
  }

  async *#backlog(signal: AbortSignal): AsyncGenerator<readonly StreamEntry[]> {
    yield* this.#ownPending(signal);
    while (!signal.aborted) {
      const entries = await this.#read('new', '0', 0, signal);
      if (entries.length === 0) return;
      yield entries;
    }
  }

  /** Looked at as a whole before any of it is handed out: a HALT in it may have been cleared further on. */
  async #takeBacklog(signal: AbortSignal): Promise<void> {
    const { inbox, batchSize } = this.#options;
    const waiting: StreamEntry[] = [];
    let sizeBytes = 0;
    for await (const entries of this.#backlog(signal)) {
      waiting.push(...entries);
      for (const { payload } of entries) sizeBytes += payload.length + ENTRY_OVERHEAD_BYTES;
      if (sizeBytes > MAX_BACKLOG_BYTES) break;
    }
    inbox.preview(waiting);
    for (let i = 0; i < waiting.length; i += batchSize) {
      await this.#take(waiting.slice(i, i + batchSize), signal);
    }
  }

  async #takeOwnPending(signal: AbortSignal): Promise<void> {
    for await (const entries of this.#ownPending(signal)) await this.#take(entries, signal);
  }

  async #takeNew(signal: AbortSignal): Promise<void> {
    const { retries, burials, clock, blockMs } = this.#options;
    while (!signal.aborted) {
      const waitMs = Math.max(1, Math.min(blockMs, retries.nextDueInMs(clock.monotonicMs())));
      const entries = await this.#read('new', '0', waitMs, signal);
      this.#failures = 0;
      await this.#take(entries, signal);
      await this.#take(retries.due(clock.monotonicMs()), signal);
      if (retries.takeOverflow() || burials.takeOverflow()) await this.#takeOwnPending(signal);
    }
  }

  #read(
    which: ReadRequest['which'],
    afterId: string,
    blockMs: number,
    signal: AbortSignal,
  ): Promise<readonly StreamEntry[]> {
    const { stream, group, consumer, batchSize } = this.#options;
    this.#reader ??= this.#options.transport.openReader();
    return this.#reader.read({ stream, group, consumer, which, afterId, count: batchSize, blockMs }, signal);
  }

  async #take(entries: readonly StreamEntry[], signal: AbortSignal): Promise<void> {
    const { transport, stream, group, inbox, burials, callDeadlineMs } = this.#options;
    const done: string[] = [];
    for (const entry of entries) {
      // What is left stays pending and comes again at the next start.
      if (signal.aborted) break;
      const taken = await inbox.take(entry);
      if (taken === 'done') done.push(entry.entryId);
      else if (taken !== 'later') burials.add(entry, taken.refused);
    }
    // Not under the signal: what was handled is acknowledged although the reader stops.
    if (done.length > 0) await transport.acknowledge(stream, group, done, { deadlineMs: callDeadlineMs });
  }

  async #backOff(error: unknown, signal: AbortSignal): Promise<void> {
    const { backoff, random, clock, counters, logger, stream, group } = this.#options;
    const code = errorCode(error) ?? 'ESPER_OONA_UNEXPECTED';
    counters.error(code);
    this.#failures += 1;
    if (isPowerOfTwo(this.#failures)) {
      logger.warn(
        { code, stream, group, failures: this.#failures },
        `emergency stream: ${errorMessage(error)}`,
      );
    }
    this.#state = 'backing-off';
    const delayMs = backoffDelayMs(this.#failures, backoff, random);
    await clock.sleep(delayMs, signal, { keepAlive: true }).catch(() => undefined);
  }
}
