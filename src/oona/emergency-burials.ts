import { type BackoffOptions, backoffDelayMs } from '../core/backoff.ts';
import type { Clock } from '../core/clock.ts';
import { errorCode, errorMessage } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import type { Metrics } from '../core/metrics.ts';
import type { Random } from '../core/random.ts';
import { deadLetterFields } from './dead-letters/letter.ts';
import type { Refusal } from './emergency-inbox.ts';
import { isPowerOfTwo } from './emergency-stats.ts';
import type { BusTransport, StreamEntry } from './transport/transport.ts';

export interface BurialOptions {
  readonly transport: BusTransport;
  readonly stream: string;
  readonly group: string;
  readonly consumer: string;
  readonly deadLetterStream: string;
  /** The oldest letters beyond this many go. */
  readonly maxLength: number;
  /** And beyond what they take together; 0: no bound. */
  readonly maxBytes: number;
  /** Told how many letters went for a newer one. */
  readonly onCut: (letters: number) => void;
  /** Bound on each call, milliseconds. */
  readonly callDeadlineMs: number;
  readonly backoff: BackoffOptions;
  readonly clock: Clock;
  readonly random: Random;
  readonly metrics: Metrics;
  readonly logger: Logger;
}

interface Burial extends Refusal {
  readonly entry: StreamEntry;
}

const FAILED = 'oona.emergency.dead_letter_failures_total';
/** Letters on their way at once: a flood of bad entries must not take a round trip each, one after the other. */
const TOGETHER = 16;
/** What waits in memory at most; more stay in the pending list until there is room. */
const CAPACITY = 1024;
const CAPACITY_BYTES = 64 * 1024 * 1024;

/**
 * Brings refused emergencies to the dead letters, beside the reading: a dead-letter stream that cannot be written must
 * never keep the HALT behind a bad entry from being heard. What fails stays pending and is tried again.
 */
export class EmergencyBurials {
  readonly #options: BurialOptions;
  /** In the order in which they were refused. */
  readonly #waiting = new Map<string, Burial>();
  #sizeBytes = 0;
  #overflowed = false;
  #failures = 0;
  #working: Promise<void> | undefined;
  readonly #stopping = new AbortController();

  constructor(options: BurialOptions) {
    this.#options = options;
  }

  /** True while the entry waits here: it was refused and counted already. */
  has(entryId: string): boolean {
    return this.#waiting.has(entryId);
  }

  add(entry: StreamEntry, refusal: Refusal): void {
    const { length } = entry.payload;
    const isFull = this.#waiting.size >= CAPACITY || this.#sizeBytes + length > CAPACITY_BYTES;
    // One that is larger than all of the room is taken when it is the only one.
    if (isFull && this.#waiting.size > 0) {
      this.#overflowed = true;
      return;
    }
    this.#waiting.set(entry.entryId, { entry, ...refusal });
    this.#sizeBytes += length;
    this.#working ??= this.#work();
  }

  /** True once after entries were turned away and room is there again: then the pending list must be read. */
  takeOverflow(): boolean {
    if (!this.#overflowed || this.#waiting.size > 0) return false;
    this.#overflowed = false;
    return true;
  }

  /** Ends after the letters under way; the others stay pending. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#working;
  }

  async #work(): Promise<void> {
    const { signal } = this.#stopping;
    while (this.#waiting.size > 0 && !signal.aborted) {
      const some = [...this.#waiting.values()].slice(0, TOGETHER);
      const buried = await Promise.all(some.map((one) => this.#bury(one)));
      if (buried.includes(true)) this.#failures = 0;
      else await this.#backOff(signal);
    }
    this.#working = undefined;
  }

  /** One letter for all hosts: each of them refuses the same entry. */
  async #bury({ entry, code, reason }: Burial): Promise<boolean> {
    const { transport, stream, group, consumer, deadLetterStream } = this.#options;
    const { maxLength, maxBytes, onCut } = this.#options;
    const { entryId, payload, signature, deliveryCount } = entry;
    const place = { stream, entryId, group, consumer };
    const why = { reason: code, error: reason, deliveryCount, lastAtMs: this.#options.clock.wallMs() };
    const letter = { payload, signature, fields: deadLetterFields({ ...place, ...why }) };
    const call = { deadlineMs: this.#options.callDeadlineMs };
    try {
      await transport.deadLetter(
        { ...place, ...letter, deadLetterStream, maxLength, maxBytes, onCut, oncePerEntry: true },
        call,
      );
    } catch (error) {
      this.#failed(entryId, error);
      return false;
    }
    this.#waiting.delete(entryId);
    this.#sizeBytes -= payload.length;
    return true;
  }

  #failed(entryId: string, error: unknown): void {
    const { metrics, logger, deadLetterStream } = this.#options;
    metrics.increment(FAILED);
    const times = metrics.value(FAILED);
    if (!isPowerOfTwo(times)) return;
    const fields = { code: errorCode(error), entryId, deadLetterStream, times };
    logger.error(fields, `a refused emergency is not among the dead letters yet: ${errorMessage(error)}`);
  }

  async #backOff(signal: AbortSignal): Promise<void> {
    const { clock, backoff, random } = this.#options;
    this.#failures += 1;
    const delayMs = backoffDelayMs(this.#failures, backoff, random);
    await clock.sleep(delayMs, signal).catch(() => undefined);
  }
}
