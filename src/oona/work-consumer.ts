import type { BreakerState } from '../core/circuit-breaker.ts';
import type { CodableType } from '../leyline/codec.ts';
import { openConsumer } from './consumer/consumer.ts';
import type { ConsumerParts } from './consumer/options.ts';
import type { WatchedConsumer } from './consumer/watched.ts';
import { MESSAGE_KINDS } from './publish/message-kinds.ts';
import type { BusTracer } from './trace.ts';
import type { ConsumerOptions, ConsumerStats, DeliveryHandler, WorkStream } from './work-types.ts';

const ALL_TYPES = Object.keys(MESSAGE_KINDS).map(Number) as CodableType[];

/** Counts of ConsumerStats: those of both streams are added up. */
const COUNTS = [
  'read',
  'acknowledged',
  'pending',
  'deadLettered',
  'takenOver',
  'lost',
  'handled',
  'skipped',
  'redelivered',
  'inFlight',
  'retrying',
  'handlerFailures',
  'readErrors',
] as const satisfies readonly (keyof ConsumerStats)[];

/**
 * A consumer of a stream and of what is urgent of its kinds: HIGH and CRITICAL messages travel on the emergency stream,
 * where a group of the stream's and the group's name divides them among the same consumers (docs/decisions/0012).
 */
class TwoStreamConsumer implements WatchedConsumer {
  readonly stream: string;
  readonly group: string;
  readonly consumer: string;
  readonly #home: WatchedConsumer;
  readonly #urgent: WatchedConsumer;
  readonly #onStopped: (() => void) | undefined;
  #stopped: Promise<void> | undefined;

  constructor(home: WatchedConsumer, urgent: WatchedConsumer, onStopped: (() => void) | undefined) {
    ({ stream: this.stream, group: this.group, consumer: this.consumer } = home);
    this.#home = home;
    this.#urgent = urgent;
    this.#onStopped = onStopped;
  }

  async start(): Promise<void> {
    await Promise.all([this.#home.start(), this.#urgent.start()]);
  }

  pause(): void {
    this.#home.pause();
    this.#urgent.pause();
  }

  resume(): void {
    this.#home.resume();
    this.#urgent.resume();
  }

  stop(): Promise<void> {
    this.#stopped ??= Promise.all([this.#home.stop(), this.#urgent.stop()]).then(() => this.#onStopped?.());
    return this.#stopped;
  }

  get breakerState(): BreakerState {
    return this.#home.breakerState === 'closed' ? this.#urgent.breakerState : this.#home.breakerState;
  }

  oldestPendingMs(): number {
    return Math.max(this.#home.oldestPendingMs(), this.#urgent.oldestPendingMs());
  }

  stats(): ConsumerStats {
    const [home, urgent] = [this.#home.stats(), this.#urgent.stats()];
    const counts = Object.fromEntries(COUNTS.map((name) => [name, home[name] + urgent[name]]));
    const byCode = { ...home.deadLetteredByCode };
    for (const [code, count] of Object.entries(urgent.deadLetteredByCode)) {
      byCode[code] = (byCode[code] ?? 0) + count;
    }
    return Object.freeze({
      ...home,
      ...counts,
      deadLetteredByCode: Object.freeze(byCode),
      lastErrorCode: home.lastErrorCode ?? urgent.lastErrorCode,
    });
  }
}

/** Throws OptionError. */
export function openWorkConsumer(
  parts: ConsumerParts,
  options: ConsumerOptions,
  handler: DeliveryHandler,
  tracer: BusTracer,
): WatchedConsumer {
  const { emergencyStream = true } = options;
  const traced: DeliveryHandler =
    typeof handler !== 'function'
      ? handler
      : (delivery) => tracer.handle(home.group, home.consumer, delivery, handler);
  // What is no list at all is refused where the options are read.
  const asked = Array.isArray(options.types) ? (options.types as readonly CodableType[]) : ALL_TYPES;
  const types = asked.filter((type) => MESSAGE_KINDS[type]?.role === options.stream);
  // Of the stream's own kinds none was asked for: nothing urgent is for this consumer.
  const alone = !emergencyStream || types.length === 0;
  // The bus waits for both halves.
  const { onStopped, ...halves } = parts;
  const home = openConsumer(alone ? parts : halves, options, traced);
  if (alone) return home;
  return new TwoStreamConsumer(home, openUrgent(halves, { ...options, types }, home, traced), onStopped);
}

/** The same options but for what it is: nothing urgent waits for conservative mode to end. */
function openUrgent(
  parts: ConsumerParts,
  options: ConsumerOptions,
  home: WatchedConsumer,
  handler: DeliveryHandler,
): WatchedConsumer {
  const role: WorkStream = options.stream;
  const streams = { ...parts.streams, [role]: parts.streams.emergency };
  // One group may consume several streams: what is urgent of each is for the consumers of that stream.
  const more = { streams, generatedName: home.consumer, groupPrefix: `${role}:` };
  return openConsumer({ ...parts, ...more }, { ...options, pauseInConservativeMode: false }, handler);
}
