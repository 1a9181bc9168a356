import { randomUUID } from 'node:crypto';
import { type Clock, systemClock } from '../../src/core/clock.ts';
import { silentLogger } from '../../src/core/logger.ts';
import { Metrics } from '../../src/core/metrics.ts';
import { encodeMessage } from '../../src/leyline/codec.ts';
import { type SignedEntry, sealEnvelope } from '../../src/leyline/envelope.ts';
import type { KeyRing } from '../../src/leyline/key-ring.ts';
import { BusMessageType, SystemStatePacket } from '../../src/leyline/messages.ts';
import { createDeadLetters } from '../../src/oona/dead-letters/dead-letters.ts';
import {
  type DeadLetter,
  type DeadLetterInput,
  deadLetterFields,
} from '../../src/oona/dead-letters/letter.ts';
import type { DeadLetters, DeadLettersOptions } from '../../src/oona/dead-letters/types.ts';
import { resolveStreams, type StreamNames } from '../../src/oona/streams.ts';
import type { BusTransport, StreamEntry } from '../../src/oona/transport/transport.ts';
import { appendRaw, keyRing } from './oona-fixtures.ts';

export const calls = { deadlineMs: 10_000 };
const never = new AbortController().signal;
export const STATE = BusMessageType.BUS_MESSAGE_TYPE_SYSTEM_STATE;

/** Streams of one test alone. */
export function ownStreams(tag: string = randomUUID()): StreamNames {
  const name = (what: string): string => `test.${tag}.${what}`;
  return resolveStreams({
    ...{ normal: name('normal'), emergency: name('emergency'), telemetry: name('telemetry') },
    ...{ policy: name('policy'), kernelRequests: name('requests'), kernelReady: name('ready') },
    ...{ kernelErrors: name('errors'), deadLetter: name('dead') },
  });
}

/** A state packet as a publisher would seal it. */
export function sealedState(
  stream: string,
  attributes: Record<string, string> = {},
  ring: KeyRing | undefined = keyRing,
): SignedEntry {
  const message = SystemStatePacket.create({
    version: 1,
    packetId: randomUUID(),
    currentEpoch: 3,
    timestampNs: 5,
  });
  const payload = encodeMessage(STATE, message);
  const issued = String(Math.floor(systemClock.wallMs()));
  const all = { event_id: randomUUID(), issued_at_ms: issued, stream, ...attributes };
  return sealEnvelope({ messageType: STATE, payload, attributes: all }, ring);
}

export interface Burial extends Partial<DeadLetterInput> {
  readonly maxLength?: number;
}

export interface LetterBench {
  readonly transport: BusTransport;
  readonly streams: StreamNames;
  readonly metrics: Metrics;
  readonly deadLetters: DeadLetters;
  /** Another one on the same streams. */
  more(options: Partial<DeadLettersOptions>): DeadLetters;
  /** Publishes the entry, has a consumer read it and give it up. Returns the letter's id. */
  bury(entry: SignedEntry, more?: Burial): Promise<string>;
  /** What the stream hands out to a group of its own, from its beginning. */
  read(stream: string): Promise<readonly StreamEntry[]>;
  all(): Promise<DeadLetter[]>;
}

/** The transport, everything as it is but what `more` replaces. */
export function withCalls(transport: BusTransport, more: Partial<BusTransport>): BusTransport {
  return new Proxy(transport, {
    get(target, name) {
      const own = Reflect.get(more, name);
      if (own !== undefined) return own;
      const value: unknown = Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

export function openLetterBench(
  transport: BusTransport,
  clock: Clock = systemClock,
  streams = ownStreams(),
): LetterBench {
  const metrics = new Metrics();
  const parts = { transport, keyRing, streams, clock, metrics, logger: silentLogger, callDeadlineMs: 10_000 };
  const deadLetters = createDeadLetters(parts);
  const reader = transport.openReader();
  const read = async (stream: string, group: string): Promise<readonly StreamEntry[]> => {
    await transport.ensureGroup(stream, group, '0', calls);
    const request = { stream, group, consumer: 'c1', afterId: '0', count: 1000, blockMs: 1 };
    return reader.read({ ...request, which: 'new' }, never);
  };
  return {
    transport,
    streams,
    metrics,
    deadLetters,
    more: (options) => createDeadLetters({ ...parts, ...options }),
    async bury(entry, { maxLength = 1000, ...more } = {}) {
      const stream = more.stream ?? streams.normal;
      const entryId = await appendRaw(transport, stream, entry);
      await read(stream, 'workers');
      const known = await transport.range(
        { stream: streams.deadLetter, after: '', count: 1, newestFirst: true },
        calls,
      );
      const fields = deadLetterFields({
        ...{ stream, entryId, group: 'workers', consumer: 'c1', deliveryCount: 3 },
        ...{ reason: 'ESPER_OONA_DELIVERIES_EXHAUSTED', error: 'the handler threw', lastAtMs: Date.now() },
        ...more,
      });
      const request = {
        stream,
        group: 'workers',
        consumer: 'c1',
        entryId,
        deadLetterStream: streams.deadLetter,
      };
      const outcome = await transport.deadLetter({ ...request, ...entry, fields, maxLength }, calls);
      const [newest] = await transport.range(
        { stream: streams.deadLetter, after: '', count: 1, newestFirst: true },
        calls,
      );
      if (outcome !== 'moved' || newest === undefined || newest.entryId === known[0]?.entryId) {
        throw new Error(`the entry was not dead-lettered: ${outcome}`);
      }
      return newest.entryId;
    },
    read: (stream) => read(stream, randomUUID()),
    all: () => collect(deadLetters.list({ limit: 100_000, newestFirst: false })),
  };
}
