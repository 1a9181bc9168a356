import type { BackoffOptions } from '../../core/backoff.ts';
import type { Clock } from '../../core/clock.ts';
import { OptionError } from '../../core/errors.ts';
import type { Logger } from '../../core/logger.ts';
import type { Metrics } from '../../core/metrics.ts';
import { requireRange, resolveOptions } from '../../core/options.ts';
import type { Random } from '../../core/random.ts';
import { type CodableType, isCodableType } from '../../leyline/codec.ts';
import type { KeyRing } from '../../leyline/key-ring.ts';
import type { StreamNames } from '../streams.ts';
import type { BusTransport } from '../transport/transport.ts';
import type { ConsumerOptions, WorkStream } from '../work-types.ts';
import type { ConservativeMode, ConsumerObserver } from './observer.ts';

/** What the bus gives each of its consumers. */
export interface ConsumerParts {
  readonly transport: BusTransport;
  /** Undefined on an unsigned bus. */
  readonly keyRing: KeyRing | undefined;
  readonly streams: StreamNames;
  readonly hostId: string;
  readonly maxAgeMs: number;
  readonly maxFutureSkewMs: number;
  readonly maxPayloadBytes: number;
  /** Bound on each call but the blocking read, milliseconds. */
  readonly callDeadlineMs: number;
  /** The oldest dead letters beyond this many go. */
  readonly deadLetterMaxLength: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Default: never conservative. */
  readonly conservative?: ConservativeMode;
  readonly observer?: ConsumerObserver;
  /** Take messages with neither event id nor request id, which the replay guard cannot tell apart. Default true. */
  readonly acceptUnidentified?: boolean;
  /** Called once, when the consumer has stopped. */
  readonly onStopped?: () => void;
  /** Used where the options name no consumer: unique already, so no live namesake is looked for. */
  readonly generatedName?: string;
}

/** What a consumer runs with. */
export interface ResolvedConsumerOptions {
  readonly role: WorkStream;
  readonly stream: string;
  readonly group: string;
  readonly consumer: string;
  /** A name of the user's choice, which somebody else may have chosen too. */
  readonly named: boolean;
  readonly types: ReadonlySet<number> | undefined;
  readonly maxInFlight: number;
  readonly batchSize: number;
  readonly blockMs: number;
  readonly leaseMs: number;
  readonly claimIntervalMs: number;
  readonly handlerTimeoutMs: number;
  readonly maxDeliveries: number;
  readonly retry: BackoffOptions;
  readonly maxAgeMs: number;
  readonly replayCapacity: number;
  readonly drainMs: number;
  readonly pauseInConservativeMode: boolean;
}

type Numbers = Required<
  Pick<
    ConsumerOptions,
    | 'maxInFlight'
    | 'batchSize'
    | 'blockMs'
    | 'leaseMs'
    | 'claimIntervalMs'
    | 'handlerTimeoutMs'
    | 'maxDeliveries'
    | 'retryBaseMs'
    | 'retryCapMs'
    | 'maxAgeMs'
    | 'replayCapacity'
    | 'drainMs'
  >
>;

const WEEK_MS = 7 * 24 * 3_600_000;
const DAY_MS = 24 * 3_600_000;

const RANGES: Readonly<Record<keyof Numbers, readonly [number, number]>> = Object.freeze({
  maxInFlight: [1, 10_000],
  batchSize: [1, 1000],
  blockMs: [1, 60_000],
  leaseMs: [100, 3_600_000],
  claimIntervalMs: [10, 3_600_000],
  handlerTimeoutMs: [1, DAY_MS],
  maxDeliveries: [1, 1000],
  retryBaseMs: [1, 60_000],
  retryCapMs: [1, 3_600_000],
  maxAgeMs: [1000, WEEK_MS],
  replayCapacity: [1, 10_000_000],
  drainMs: [0, 600_000],
});

const WHOLE: readonly (keyof Numbers)[] = ['maxInFlight', 'batchSize', 'maxDeliveries', 'replayCapacity'];

const OWNER = 'consumer';

function requireNumbers(numbers: Numbers): void {
  for (const [name, [min, max]] of Object.entries(RANGES) as [keyof Numbers, readonly [number, number]][]) {
    requireRange(OWNER, name, numbers[name], min, max);
  }
  for (const name of WHOLE) {
    if (!Number.isInteger(numbers[name])) throw new OptionError(`${OWNER}: ${name} must be a whole number`);
  }
}

function requireStream(stream: unknown, streams: StreamNames): asserts stream is WorkStream {
  const known = Object.keys(streams).filter((name) => name !== 'emergency' && name !== 'deadLetter');
  if (typeof stream === 'string' && known.includes(stream)) return;
  const hint = stream === 'emergency' ? '; emergencies are read by emergencyReader' : '';
  throw new OptionError(
    `${OWNER}: stream must be one of ${known.join(', ')}, got "${String(stream)}"${hint}`,
  );
}

function typesOf(types: readonly CodableType[] | undefined): ReadonlySet<number> | undefined {
  if (types === undefined) return undefined;
  if (!Array.isArray(types) || types.length === 0 || !types.every((type) => isCodableType(type))) {
    throw new OptionError(`${OWNER}: types must list message types that have a message`);
  }
  return new Set(types);
}

/** Throws OptionError. */
export function resolveConsumerOptions(
  parts: ConsumerParts,
  given: ConsumerOptions,
): ResolvedConsumerOptions {
  const { stream, group, consumer, types, pauseInConservativeMode, ...rest } = given;
  requireStream(stream, parts.streams);
  if (typeof group !== 'string' || !/^[\w.:-]{1,200}$/.test(group)) {
    throw new OptionError(`${OWNER}: group must be 1-200 of A-Z a-z 0-9 . _ : -`);
  }
  if (consumer !== undefined && (typeof consumer !== 'string' || !/^[\w.:-]{1,200}$/.test(consumer))) {
    throw new OptionError(`${OWNER}: consumer must be 1-200 of A-Z a-z 0-9 . _ : -`);
  }
  const leaseMs = rest.leaseMs ?? 30_000;
  const defaults: Numbers = {
    maxInFlight: 64,
    batchSize: 64,
    blockMs: 2000,
    leaseMs,
    claimIntervalMs: Math.max(10, Math.floor(leaseMs / 3)),
    handlerTimeoutMs: 60_000,
    maxDeliveries: 5,
    retryBaseMs: 100,
    retryCapMs: 30_000,
    maxAgeMs: parts.maxAgeMs,
    replayCapacity: 4_650_000,
    drainMs: 10_000,
  };
  const { retryBaseMs, retryCapMs, ...numbers } = resolveOptions(OWNER, defaults, rest);
  requireNumbers({ ...numbers, retryBaseMs, retryCapMs });
  const random = Math.floor(parts.random() * 2 ** 32)
    .toString(16)
    .padStart(8, '0');
  return Object.freeze({
    ...numbers,
    role: stream,
    stream: parts.streams[stream],
    group,
    consumer:
      consumer ?? parts.generatedName ?? `${parts.hostId.replace(/[^\w.:-]/g, '_')}:${process.pid}:${random}`,
    named: consumer !== undefined,
    types: typesOf(types),
    retry: Object.freeze({ baseMs: retryBaseMs, capMs: retryCapMs }),
    pauseInConservativeMode: pauseInConservativeMode ?? stream === 'normal',
  });
}
