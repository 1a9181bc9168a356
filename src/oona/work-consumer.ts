import type { CodableType } from '../leyline/codec.ts';
import { openConsumer } from './consumer/consumer.ts';
import type { ConsumerParts } from './consumer/options.ts';
import { MESSAGE_KINDS } from './publish/message-kinds.ts';
import type { BusTracer } from './trace.ts';
import type { Consumer, ConsumerOptions, ConsumerStats, DeliveryHandler, WorkStream } from './work-types.ts';

const ALL_TYPES = Object.keys(MESSAGE_KINDS).map(Number) as CodableType[];

/** Counts of ConsumerStats: those of both streams are added up. */
const COUNTS = [
  'read',
  'acknowledged',
  'pending',
  'requeued',
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
class TwoStreamConsumer implements Consumer {
  readonly stream: string;
  readonly group: string;
  readonly consumer: string;
  readonly #home: Consumer;
  readonly #urgent: Consumer;

  constructor(home: Consumer, urgent: Consumer) {
    ({ stream: this.stream, group: this.group, consumer: this.consumer } = home);
    this.#home = home;
    this.#urgent = urgent;
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

  async stop(): Promise<void> {
    await Promise.all([this.#home.stop(), this.#urgent.stop()]);
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
): Consumer {
  const { emergencyStream = true, ...rest } = options;
  const traced: DeliveryHandler =
    typeof handler !== 'function'
      ? handler
      : (delivery) => tracer.handle(home.group, home.consumer, delivery, handler);
  const home = openConsumer(parts, rest, traced);
  if (!emergencyStream) return home;
  return new TwoStreamConsumer(home, openUrgent(parts, rest, home, traced));
}

/** The same options but for what it is: nothing urgent waits for conservative mode to end. */
function openUrgent(
  parts: ConsumerParts,
  options: ConsumerOptions,
  home: Consumer,
  handler: DeliveryHandler,
): Consumer {
  const role: WorkStream = options.stream;
  const streams = { ...parts.streams, [role]: parts.streams.emergency };
  const types = (options.types ?? ALL_TYPES).filter((type) => MESSAGE_KINDS[type].role === role);
  const { consumer } = home;
  // It stops with the other one.
  const { onStopped: _, ...own } = parts;
  // One group may consume several streams: what is urgent of each is for the consumers of that stream.
  const group = `${role}:${options.group}`;
  const urgent = { ...options, group, consumer, types, pauseInConservativeMode: false };
  return openConsumer({ ...own, streams }, urgent, handler);
}
