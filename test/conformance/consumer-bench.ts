import { randomUUID } from 'node:crypto';
import { systemClock } from '../../src/core/clock.ts';
import type { Logger } from '../../src/core/logger.ts';
import { Metrics } from '../../src/core/metrics.ts';
import { systemRandom } from '../../src/core/random.ts';
import { BusMessageType, type SignedEntry, sealMessage } from '../../src/leyline/index.ts';
import { openConsumer } from '../../src/oona/consumer/consumer.ts';
import type { ConsumerParts } from '../../src/oona/consumer/options.ts';
import type { WatchedConsumer } from '../../src/oona/consumer/watched.ts';
import { DEFAULT_STREAMS } from '../../src/oona/streams.ts';
import type { BusTransport } from '../../src/oona/transport/transport.ts';
import type { Consumer, ConsumerOptions, Delivery, DeliveryHandler } from '../../src/oona/work-types.ts';
import { appendRaw, keyRing } from '../helpers/oona-fixtures.ts';

export const calls = { deadlineMs: 10_000 };
export const FIELD_REPORT = BusMessageType.BUS_MESSAGE_TYPE_FIELD_REPORT;

export interface LoggedLine {
  readonly code: string | undefined;
  readonly message: string;
}

export interface Worker {
  readonly consumer: WatchedConsumer;
  readonly deliveries: Delivery[];
  readonly log: LoggedLine[];
  readonly metrics: Metrics;
}

export interface WorkerOptions {
  readonly handler?: DeliveryHandler;
  readonly options?: Partial<ConsumerOptions>;
  readonly parts?: Partial<ConsumerParts>;
}

/** A dead letter as text. */
export type Letter = Readonly<Record<string, string>>;

/** What a test of consumers works with: streams of its own, publishing by hand, consumers. */
export interface ConsumerBench {
  readonly transport: BusTransport;
  readonly stream: string;
  /** Signed, with its event id; resolves to the entry id. */
  publish(eventId?: string, attributes?: Record<string, string>): Promise<string>;
  append(entry: SignedEntry): Promise<string>;
  worker(options?: WorkerOptions): Worker;
  pending(): Promise<number>;
  letters(): Promise<readonly Letter[]>;
  close(): Promise<void>;
}

export const reportIdOf = ({ message }: Delivery): string =>
  (message as { reportId?: string }).reportId ?? '';

/** A field report as a publisher would seal it. */
export function report(
  eventId: string,
  stream: string,
  attributes: Record<string, string> = {},
  ring = keyRing,
): SignedEntry {
  const ours = { event_id: eventId, issued_at_ms: String(Date.now()), stream, source: 'test' };
  const message = { version: 1, reportId: eventId };
  return sealMessage({ messageType: FIELD_REPORT, message, attributes: { ...ours, ...attributes } }, ring);
}

/** `defaults` are those of its workers. */
export function openConsumerBench(
  transport: BusTransport,
  defaults: Partial<ConsumerOptions> = {},
): ConsumerBench {
  const id = randomUUID();
  const streams = { ...DEFAULT_STREAMS, normal: `test.${id}`, deadLetter: `dead.${id}` };
  const opened: Consumer[] = [];
  const worker = ({ handler, options, parts }: WorkerOptions = {}): Worker => {
    const deliveries: Delivery[] = [];
    const log: LoggedLine[] = [];
    const metrics = new Metrics();
    const write = (fields: object, message: string): void => {
      log.push({ code: (fields as { code?: string }).code, message });
    };
    const logger: Logger = { debug: () => undefined, info: write, warn: write, error: write };
    const all: ConsumerParts = {
      ...{ transport, keyRing, streams, hostId: 'host-a', maxAgeMs: 900_000, maxFutureSkewMs: 30_000 },
      ...{ maxPayloadBytes: 1024 * 1024, callDeadlineMs: 2000, deadLetterMaxLength: 1000 },
      ...{ clock: systemClock, random: systemRandom, logger, metrics },
      ...parts,
    };
    const pace = { blockMs: 100, claimIntervalMs: 50, retryBaseMs: 2, retryCapMs: 20, drainMs: 200 };
    const consumer = openConsumer(
      all,
      { stream: 'normal', group: 'g', ...pace, ...defaults, ...options },
      (delivery) => {
        deliveries.push(delivery);
        return handler?.(delivery);
      },
    );
    opened.push(consumer);
    return { consumer, deliveries, log, metrics };
  };
  const text = new TextDecoder('latin1');
  return {
    transport,
    stream: streams.normal,
    publish: (eventId = randomUUID(), attributes = {}) =>
      appendRaw(transport, streams.normal, report(eventId, streams.normal, attributes)),
    append: (entry) => appendRaw(transport, streams.normal, entry),
    worker,
    pending: async () => {
      const groups = await transport.groups(streams.normal, calls);
      return groups.find(({ group }) => group === 'g')?.pending ?? 0;
    },
    letters: async () => {
      const request = { stream: streams.deadLetter, after: '', count: 1000, newestFirst: false };
      const entries = await transport.range(request, calls);
      return entries.map(({ fields }) =>
        Object.fromEntries([...fields].map(([name, value]) => [name, text.decode(value)])),
      );
    },
    close: async () => {
      await Promise.all(opened.map((consumer) => consumer.stop()));
      await transport.close();
    },
  };
}

/** Every entry read ended as exactly one of these, or has not ended. */
export function accountsAreEven(consumer: Consumer): boolean {
  const { read, acknowledged, pending, deadLettered, takenOver, lost } = consumer.stats();
  return read === acknowledged + pending + deadLettered + takenOver + lost;
}
