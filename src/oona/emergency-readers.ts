import { OptionError } from '../core/errors.ts';
import { EmergencyBurials } from './emergency-burials.ts';
import { EmergencyInbox } from './emergency-inbox.ts';
import { type EmergencyReader, GroupEmergencyReader } from './emergency-reader.ts';
import { EmergencyCounters } from './emergency-stats.ts';
import { HostGroupCleaner } from './host-groups.ts';
import type { ResolvedOonaOptions } from './options.ts';
import { EMERGENCY_READER_OPTIONS, type EmergencyReaderOptions } from './reader-options.ts';
import { RetryList } from './retry-list.ts';
import { SeenSet } from './seen-set.ts';
import { hostGroup } from './streams.ts';
import type { BusTracer } from './trace.ts';
import { tracedHandler } from './traced-emergency.ts';
import type { EmergencyHandler } from './types.ts';

/** Failing entries kept in memory at a time; more stay in the engine's pending list until there is room. */
const RETRY_CAPACITY = 256;

/** The emergency readers of a bus: puts each together of its parts, and stops them all. */
export class EmergencyReaders {
  readonly #options: ResolvedOonaOptions;
  readonly #tracer: BusTracer;
  readonly #onLettersCut: (letters: number) => void;
  readonly #open = new Set<EmergencyReader>();

  constructor(options: ResolvedOonaOptions, tracer: BusTracer, onLettersCut: (letters: number) => void) {
    this.#options = options;
    this.#tracer = tracer;
    this.#onLettersCut = onLettersCut;
  }

  /** Throws OptionError. */
  open(handler: EmergencyHandler, options: EmergencyReaderOptions): EmergencyReader {
    if (typeof handler !== 'function') throw new OptionError('emergencyReader: handler must be a function');
    const resolved = EMERGENCY_READER_OPTIONS.resolve(options);
    const { readerId, onBacklog, onRejected, onHostGone } = resolved;
    const { transport, streams, clock, random, logger, metrics, hostId, maxAgeMs } = this.#options;
    const { publishDeadlineMs: callDeadlineMs, deadLetterMaxLength, deadLetterMaxBytes } = this.#options;
    const { handlerTimeoutMs, blockMs, batchSize } = resolved;
    const backoff = { baseMs: resolved.retryBaseMs, capMs: resolved.retryCapMs };
    const counters = new EmergencyCounters(metrics);
    const retries = new RetryList({ ...backoff, capacity: RETRY_CAPACITY, random });
    const seen = new SeenSet(resolved.seenCapacity);
    const place = { stream: streams.emergency, group: hostGroup(hostId, readerId), consumer: hostId };
    const traced = tracedHandler(handler, this.#tracer, place);
    const working = { handler: traced, onBacklog, onRejected, handlerTimeoutMs, seen, retries, counters };
    const inbox = new EmergencyInbox({ ...this.#options, ...working });
    const common = { transport, callDeadlineMs, clock, random, logger };
    const gone = { ttlMs: maxAgeMs, onRemoved: onHostGone, metrics };
    const cleaner = new HostGroupCleaner({ ...place, ...common, ...gone });
    const bounds = {
      maxLength: deadLetterMaxLength,
      maxBytes: deadLetterMaxBytes,
      onCut: this.#onLettersCut,
    };
    const letters = { deadLetterStream: streams.deadLetter, ...bounds, backoff, metrics };
    const burials = new EmergencyBurials({ ...place, ...common, ...letters });
    const pace = { maxAgeMs, blockMs, batchSize, backoff };
    const parts = { ...place, ...common, ...pace, burials, inbox, retries, counters, cleaner };
    const reader = new GroupEmergencyReader(parts, () => this.#open.delete(reader));
    this.#open.add(reader);
    return reader;
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#open].map((reader) => reader.stop()));
  }
}
