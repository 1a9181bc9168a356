import type { CircuitBreakerOptions } from '../core/circuit-breaker-options.ts';
import { type Clock, systemClock } from '../core/clock.ts';
import { OptionError } from '../core/errors.ts';
import { type Logger, silentLogger } from '../core/logger.ts';
import { Metrics } from '../core/metrics.ts';
import { refuseUnknownKeys, requireRange, resolveOptions } from '../core/options.ts';
import { type Random, systemRandom } from '../core/random.ts';
import type { KeyRing } from '../leyline/key-ring.ts';
import type { RejectedEmergency } from './emergency-inbox.ts';
import type { RemovedHostGroup } from './host-groups.ts';
import type { ObserveOptions } from './observe/options.ts';
import type { PublishErrorEvent } from './publish/error-events.ts';
import type { ConservativeModeOptions, PublishingOptions } from './publish/options.ts';
import type { PublishingTuning } from './publish/publishing.ts';
import { resolveStreams, type StreamNames } from './streams.ts';
import type { TraceOptions } from './trace.ts';
import type { BusTransport } from './transport/transport.ts';
import type { EmergencyDelivery } from './types.ts';

export interface OonaOptions {
  readonly transport: BusTransport;
  /** Signs and verifies. Without one, `unsigned: true` must be said. */
  readonly keyRing?: KeyRing;
  /** Publish and accept without signatures. Default false: no key ring, no bus. */
  readonly unsigned?: boolean;
  /** Subsystem that publishes, e.g. 'tolaria'; 1-64 characters. */
  readonly source: string;
  /** Unique per host; 1-128 characters without spaces. */
  readonly hostId: string;
  /** Default: the names that peers share, `oona.emergency` and so on. */
  readonly streams?: Partial<StreamNames>;
  /** Bound on a publish, milliseconds, 1-600000. Default 2000. */
  readonly publishDeadlineMs?: number;
  /**
   * Older emergencies are refused, milliseconds, 1000 to 7 days. Also how long entries stay on a stream, how far back
   * a new host's group starts, and (plus the skew) how long event ids are remembered. Default 900000.
   */
  readonly maxAgeMs?: number;
  /** Emergencies dated further ahead are refused, milliseconds, 0-3600000. Default 30000. */
  readonly maxFutureSkewMs?: number;
  /** Larger entries are refused before decoding, bytes, 1024 to 512 MiB. Default 1 MiB. */
  readonly maxPayloadBytes?: number;
  /** The oldest dead letters beyond this many go, 1-10000000. Default 100000. */
  readonly deadLetterMaxLength?: number;
  /**
   * close() closes the transport too. Default: true for redis, whose connections keep the process alive; false for
   * memory, which others in the process may share.
   */
  readonly closeTransport?: boolean;
  /**
   * HIGH and CRITICAL messages that are no emergencies and may use the emergency stream, a minute, 0-1000000; more go to
   * the stream of their kind. Default 60.
   */
  readonly urgentPerMinute?: number;
  /** Take messages with neither event id nor request id, which the replay guard cannot tell apart. Default true. */
  readonly acceptUnidentified?: boolean;
  /** Back-pressure, trimming, outbox. */
  readonly publish?: PublishingOptions;
  /** When publishing pauses because the engine fails. */
  readonly breaker?: CircuitBreakerOptions;
  readonly conservativeMode?: ConservativeModeOptions;
  /** Histograms, health, objectives, alerts. */
  readonly observe?: ObserveOptions;
  readonly tracing?: TraceOptions;
  /** Told of back-pressure and of what was cut or dropped, at a bounded rate. */
  readonly onErrorEvent?: (event: PublishErrorEvent) => void;
  readonly clock?: Clock;
  readonly random?: Random;
  readonly metrics?: Metrics;
  readonly logger?: Logger;
}

export interface EmergencyReaderOptions {
  /**
   * Tells the readers of one host apart: each id gets every emergency, readers that share one divide them. Up to 200
   * of A-Z a-z 0-9 . _ -. Default '': the one reader of this host.
   */
  readonly readerId?: string;
  /** How long one read waits for entries, milliseconds, 1-60000. Default 2000. */
  readonly blockMs?: number;
  /** Entries per read, 1-1000. Default 64. */
  readonly batchSize?: number;
  /** A handler that takes longer counts as failed, milliseconds, 1-600000. Default 10000. */
  readonly handlerTimeoutMs?: number;
  /** Upper bound of the first wait after a failure, milliseconds, 1-60000. Default 50. */
  readonly retryBaseMs?: number;
  /** Upper bound of every wait after a failure, milliseconds, 1-600000. Default 2000. */
  readonly retryCapMs?: number;
  /** Event ids remembered to tell duplicates, 1-10000000. Default 65536. */
  readonly seenCapacity?: number;
  /**
   * Called with what waits on the stream whenever the reader connects, oldest first, before the handler gets any of
   * it: an emergency in it may have ended already. Up to 32 MiB of it. Not called when nothing waits.
   */
  readonly onBacklog?: (deliveries: readonly EmergencyDelivery[]) => void;
  /** Called for each message that is refused or lost. */
  readonly onRejected?: (rejected: RejectedEmergency) => void;
  /** Called when this reader removed the group of a host that was silent for longer than `maxAgeMs`. */
  readonly onHostGone?: (removed: RemovedHostGroup) => void;
}

/** What a reader runs with; the callbacks are apart, because they have no default. */
export type ResolvedReaderOptions = Omit<
  Required<EmergencyReaderOptions>,
  'onBacklog' | 'onRejected' | 'onHostGone'
>;

const DEFAULT_READER: ResolvedReaderOptions = Object.freeze({
  readerId: '',
  blockMs: 2000,
  batchSize: 64,
  handlerTimeoutMs: 10_000,
  retryBaseMs: 50,
  retryCapMs: 2000,
  seenCapacity: 65_536,
});

const WEEK_MS = 7 * 24 * 3_600_000;

type Parts = 'publish' | 'breaker' | 'conservativeMode' | 'observe' | 'tracing' | 'onErrorEvent';

export type ResolvedOonaOptions = Omit<Required<OonaOptions>, 'keyRing' | 'streams' | Parts> & {
  readonly keyRing: KeyRing | undefined;
  readonly streams: StreamNames;
  /** Of the parts; each resolves its own. */
  readonly tuning: PublishingTuning;
  readonly observe: ObserveOptions;
  readonly tracing: TraceOptions;
  readonly onErrorEvent: ((event: PublishErrorEvent) => void) | undefined;
};

/** Throws OptionError. */
export function resolveReaderOptions(given: Partial<ResolvedReaderOptions>): ResolvedReaderOptions {
  const owner = 'emergencyReader';
  const resolved = resolveOptions(owner, DEFAULT_READER, given);
  // No colon: the group is host:<hostId>:<readerId>, and a host id may have colons.
  if (!/^[\w.-]{0,200}$/.test(resolved.readerId)) {
    throw new OptionError(`${owner}: readerId must be up to 200 of A-Z a-z 0-9 . _ -`);
  }
  requireRange(owner, 'blockMs', resolved.blockMs, 1, 60_000);
  requireRange(owner, 'batchSize', resolved.batchSize, 1, 1000);
  requireRange(owner, 'handlerTimeoutMs', resolved.handlerTimeoutMs, 1, 600_000);
  requireRange(owner, 'retryBaseMs', resolved.retryBaseMs, 1, 60_000);
  requireRange(owner, 'retryCapMs', resolved.retryCapMs, 1, 600_000);
  requireRange(owner, 'seenCapacity', resolved.seenCapacity, 1, 10_000_000);
  return resolved;
}

function requireSigning({ keyRing, unsigned, logger, transport }: ResolvedOonaOptions): void {
  if (keyRing !== undefined && unsigned) {
    throw new OptionError('createOona: give either keyRing or unsigned: true, not both');
  }
  if (keyRing === undefined && !unsigned) {
    throw new OptionError(
      'createOona: keyRing is missing (ESPER_LEYLINE_SECRET); unsigned: true runs the bus without signatures',
    );
  }
  if (unsigned && transport.kind !== 'memory') {
    logger.warn(
      { transport: transport.kind },
      'oona runs unsigned: whoever reaches the bus can raise and clear emergencies',
    );
  }
}

type Tuned = Omit<
  ResolvedOonaOptions,
  | 'transport'
  | 'keyRing'
  | 'source'
  | 'hostId'
  | 'streams'
  | 'closeTransport'
  | 'metrics'
  | 'tuning'
  | 'observe'
  | 'tracing'
  | 'onErrorEvent'
>;

const DEFAULTS: Tuned = Object.freeze({
  unsigned: false,
  publishDeadlineMs: 2000,
  maxAgeMs: 900_000,
  maxFutureSkewMs: 30_000,
  maxPayloadBytes: 1024 * 1024,
  deadLetterMaxLength: 100_000,
  urgentPerMinute: 60,
  acceptUnidentified: true,
  clock: systemClock,
  random: systemRandom,
  logger: silentLogger,
});

const KEYS: readonly (keyof OonaOptions)[] = [
  'transport',
  'keyRing',
  'unsigned',
  'source',
  'hostId',
  'streams',
  'publishDeadlineMs',
  'maxAgeMs',
  'maxFutureSkewMs',
  'maxPayloadBytes',
  'deadLetterMaxLength',
  'closeTransport',
  'urgentPerMinute',
  'acceptUnidentified',
  'publish',
  'breaker',
  'conservativeMode',
  'observe',
  'tracing',
  'onErrorEvent',
  'clock',
  'random',
  'metrics',
  'logger',
];

/** Throws OptionError. */
export function resolveOonaOptions(options: OonaOptions): ResolvedOonaOptions {
  const owner = 'createOona';
  refuseUnknownKeys(owner, options, KEYS);
  const { transport, keyRing, source, hostId, streams, closeTransport, metrics, ...others } = options;
  const { publish, breaker, conservativeMode: mode, observe, tracing, onErrorEvent, ...rest } = others;
  const tuned = resolveOptions(owner, DEFAULTS, rest);
  if (typeof transport?.append !== 'function') {
    throw new OptionError(
      `${owner}: transport must be made by createMemoryTransport or createRedisTransport`,
    );
  }
  if (typeof source !== 'string' || !/^\S.{0,63}$/.test(source)) {
    throw new OptionError(`${owner}: source must be 1-64 characters`);
  }
  if (typeof hostId !== 'string' || !/^[\x21-\x7e]{1,128}$/.test(hostId)) {
    throw new OptionError(
      `${owner}: hostId (ESPER_HOST_ID) must be 1-128 printable ASCII characters without spaces`,
    );
  }
  requireRange(owner, 'publishDeadlineMs', tuned.publishDeadlineMs, 1, 600_000);
  requireRange(owner, 'maxAgeMs', tuned.maxAgeMs, 1000, WEEK_MS);
  requireRange(owner, 'maxFutureSkewMs', tuned.maxFutureSkewMs, 0, 3_600_000);
  requireRange(owner, 'maxPayloadBytes', tuned.maxPayloadBytes, 1024, 512 * 1024 * 1024);
  requireRange(owner, 'urgentPerMinute', tuned.urgentPerMinute, 0, 1_000_000);
  requireRange(owner, 'deadLetterMaxLength', tuned.deadLetterMaxLength, 1, 10_000_000);
  const resolved: ResolvedOonaOptions = Object.freeze({
    ...tuned,
    ...{ transport, keyRing, source, hostId },
    streams: resolveStreams(streams),
    closeTransport: closeTransport ?? transport.kind === 'redis',
    metrics: metrics ?? new Metrics(),
    tuning: Object.freeze({
      ...(publish && { publish }),
      ...(breaker && { breaker }),
      ...(mode && { mode }),
    }),
    observe: observe ?? {},
    tracing: tracing ?? {},
    onErrorEvent,
  });
  requireSigning(resolved);
  return resolved;
}
