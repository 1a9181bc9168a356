import { backoffDelayMs } from '../../core/backoff.ts';
import { errorCode, errorMessage } from '../../core/errors.ts';
import { isPowerOfTwo } from '../emergency-stats.ts';
import type { CallOptions } from '../transport/transport.ts';
import type { OwnedEntries } from '../transport/work.ts';
import type { ConsumerCounters } from './counters.ts';
import type { ConsumerParts, ResolvedConsumerOptions } from './options.ts';
import type { Work } from './work.ts';

/** What every part of one consumer works with. */
export class ConsumerContext {
  readonly parts: ConsumerParts;
  readonly options: ResolvedConsumerOptions;
  readonly counters: ConsumerCounters;
  /** For every call that is no blocking read. Not under a signal: what was decided is told although we stop. */
  readonly call: CallOptions;

  constructor(parts: ConsumerParts, options: ResolvedConsumerOptions, counters: ConsumerCounters) {
    this.parts = parts;
    this.options = options;
    this.counters = counters;
    this.call = Object.freeze({ deadlineMs: parts.callDeadlineMs });
  }

  /**
   * How long the group's shared guard remembers, milliseconds: as long as a copy of a message could still be accepted,
   * by a consumer whose clock may differ from that of the one which handled it as much as a publisher's may.
   */
  get guardWindowMs(): number {
    return this.options.maxAgeMs + 2 * this.parts.maxFutureSkewMs;
  }

  nowMs(): number {
    return this.parts.clock.monotonicMs();
  }

  owned(works: readonly Work[]): OwnedEntries {
    const { stream, group, consumer } = this.options;
    return { stream, group, consumer, entryIds: works.map(({ id }) => id) };
  }

  /** Trouble that is no fault of an entry. Logged the 1st, 2nd, 4th, 8th … time. */
  trouble(code: string, text: string, fields: object = {}): void {
    this.counters.error(code);
    const times = this.counters.times(`${code} ${text.slice(0, 32)}`);
    if (!isPowerOfTwo(times)) return;
    const { stream, group, consumer } = this.options;
    this.parts.logger.warn({ code, stream, group, consumer, times, ...fields }, text);
  }

  failed(what: string, error: unknown): void {
    this.trouble(errorCode(error) ?? 'ESPER_OONA_UNEXPECTED', `${what}: ${errorMessage(error)}`);
  }

  /** Sleeps with exponential back-off; returns at once when `signal` is aborted. */
  async backOff(failures: number, signal: AbortSignal): Promise<void> {
    const { clock, random } = this.parts;
    const delayMs = backoffDelayMs(failures, { baseMs: 50, capMs: 2000 }, random);
    await clock.sleep(Math.max(1, delayMs), signal, { keepAlive: true }).catch(() => undefined);
  }
}
