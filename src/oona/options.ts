import { CIRCUIT_BREAKER_OPTIONS, type CircuitBreakerOptions } from '../core/circuit-breaker-options.ts';
import type { Clock } from '../core/clock.ts';
import { clockRow, loggerRow, metricsRow, randomRow } from '../core/common-rows.ts';
import { OptionError } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import { Metrics } from '../core/metrics.ts';
import { flag, integer, isFunction, number, type OptionRow, part, text, value } from '../core/option-rows.ts';
import { optionTable, type ResolvedOptions } from '../core/option-table.ts';
import type { Random } from '../core/random.ts';
import type { KeyRing } from '../leyline/key-ring.ts';
import { keyRingRow, transportRow } from './common-rows.ts';
import { type ObserveOptions, observeOptions } from './observe/options.ts';
import type { PublishErrorEvent } from './publish/error-events.ts';
import {
  CONSERVATIVE_MODE_OPTIONS,
  type ConservativeModeOptions,
  PUBLISH_OPTIONS,
  type PublishingOptions,
} from './publish/options.ts';
import type { PublishingTuning } from './publish/publishing.ts';
import { resolveStreams, STREAM_OPTIONS, type StreamNames } from './streams.ts';
import { type TraceOptions, traceOptions } from './trace.ts';
import type { BusTransport } from './transport/transport.ts';

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
   * Older messages are refused, milliseconds, 1000 to 7 days; consumers may have their own. Also how long entries stay
   * on a stream, how far back a new host's group starts, and (plus the skew) how long event ids are remembered. Default
   * 900000.
   */
  readonly maxAgeMs?: number;
  /** Messages dated further ahead are refused, milliseconds, 0-3600000. Default 30000. */
  readonly maxFutureSkewMs?: number;
  /** Larger messages are not published, and refused before decoding, bytes, 1024 to 512 MiB. Default 1 MiB. */
  readonly maxPayloadBytes?: number;
  /** The oldest dead letters beyond this many go, 1-10000000. Default 100000. */
  readonly deadLetterMaxLength?: number;
  /** The oldest go while the dead letters take more than this, bytes, 0 to 1 TiB; 0: no bound. Default 256 MiB. */
  readonly deadLetterMaxBytes?: number;
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
  /**
   * Told of back-pressure and of what was cut or dropped, at a bounded rate, and of each time that conservative mode is
   * entered or left.
   */
  readonly onErrorEvent?: (event: PublishErrorEvent) => void;
  readonly clock?: Clock;
  readonly random?: Random;
  readonly metrics?: Metrics;
  readonly logger?: Logger;
}

const WEEK_MS = 7 * 24 * 3_600_000;
const MIB = 1024 * 1024;

export const OONA_OPTIONS = optionTable(
  {
    owner: 'createOona',
    title: 'Bus',
    intro:
      'Of `createOona(options)`: the bus between processes and hosts ([bus.md](bus.md)). What has a table of its own is an option with that name: `publish: { dropDepth: 0 }`.',
  },
  {
    transport: transportRow,
    keyRing: keyRingRow(
      'Signs and verifies. Without one, `unsigned: true` must be said.',
      'none: `unsigned` is required',
    ),
    unsigned: flag({
      default: false,
      text: 'Publish and accept without signatures: whoever reaches the bus can raise and clear emergencies then. Not together with `keyRing`.',
    }),
    source: text({
      pattern: /^\S.{0,63}$/,
      allowed: '1-64 characters, the first not blank',
      default: undefined,
      text: 'Subsystem that publishes: `tolaria`, `weatherlight`.',
    }),
    hostId: text({
      pattern: /^[\x21-\x7e]{1,128}$/,
      allowed: '1-128 printable ASCII characters without spaces',
      default: undefined,
      text: 'Unique per host: each has its own group of the emergency stream. The services take it from `ESPER_HOST_ID`.',
    }),
    streams: part<Partial<StreamNames>>({
      of: STREAM_OPTIONS,
      text: 'Names of the streams.',
      defaultText: 'the names that peers share',
    }),
    publishDeadlineMs: number({
      ...{ unit: 'ms', min: 1, max: 600_000, default: 2000 },
      text: 'Bound on a publish that gives none itself, and on every other call to the engine but a waiting read.',
      atLimit:
        'The publish ends as `failed` (`ESPER_OONA_TIMEOUT`), retryable: the same event id is stored once.',
    }),
    maxAgeMs: number({
      ...{ unit: 'ms', min: 1000, max: WEEK_MS, default: 900_000 },
      text: "Older messages are refused. Also how long entries stay on a stream, how far back a new host's group starts, and (plus `maxFutureSkewMs`) how long the engine remembers event ids.",
      atLimit:
        'It is dead-lettered (`ESPER_OONA_TOO_OLD`). Entries that every group has acknowledged are trimmed; emergencies that a host did not read by then are lost to it, counted and told.',
    }),
    maxFutureSkewMs: number({
      ...{ unit: 'ms', min: 0, max: 3_600_000, default: 30_000 },
      text: 'How far ahead a message may be dated: clocks of hosts differ.',
      atLimit: 'It is dead-lettered (`ESPER_OONA_FROM_FUTURE`).',
    }),
    maxPayloadBytes: integer({
      ...{ unit: 'bytes', min: 1024, max: 512 * MIB, default: MIB },
      text: 'Size of a message; the same on all hosts.',
      atLimit:
        'A larger one is not published, and dead-lettered by who reads it, undecoded (`ESPER_LEYLINE_TOO_LARGE`).',
    }),
    deadLetterMaxLength: integer({
      ...{ unit: 'letters', min: 1, max: 10_000_000, default: 100_000 },
      text: 'Dead letters that are kept.',
      atLimit:
        'The oldest goes, is counted (`oona.dead_letters.cut_total`) and told by an error event: nobody replayed or purged it.',
    }),
    deadLetterMaxBytes: integer({
      ...{ unit: 'bytes', min: 0, max: 1024 * 1024 * MIB, default: 256 * MIB },
      text: 'Memory that the dead letters take together, as the engine counts it; 0: no bound. The default has room for 100,000 letters of 1 KiB messages, and for about 200 of 1 MiB.',
      atLimit:
        'The oldest go, down to 31/32 of the bound, never the letter just written; counted and told as those beyond `deadLetterMaxLength` are.',
    }),
    closeTransport: flag({
      default: {
        text: 'true for redis, false for memory',
        of: (option) => (option('transport') as BusTransport).kind === 'redis',
      },
      text: 'close() closes the transport too. The connections of redis keep the process alive; a memory may be shared with others in the process.',
    }),
    urgentPerMinute: number({
      ...{ unit: 'messages/min', min: 0, max: 1_000_000, default: 60 },
      text: 'HIGH and CRITICAL messages that are no emergencies and may use the emergency stream.',
      atLimit: 'More go to the stream of their kind.',
    }),
    acceptUnidentified: flag({
      default: true,
      text: 'Take messages with neither event id nor request id, which the replay guard cannot tell apart. If not, they are dead-lettered (`ESPER_OONA_UNIDENTIFIED`).',
    }),
    publish: part<PublishingOptions>({ of: PUBLISH_OPTIONS, text: 'Back-pressure, trimming, outbox.' }),
    breaker: part<CircuitBreakerOptions>({
      of: CIRCUIT_BREAKER_OPTIONS,
      text: 'When publishing pauses because the engine fails. Opening takes half a second of failures, because one broken connection fails all publishes under way at once.',
      defaultText: '`consecutiveSpanMs` 500, `openBaseMs` 500, `openCapMs` 10,000; else theirs',
    }),
    conservativeMode: part<ConservativeModeOptions>({
      of: CONSERVATIVE_MODE_OPTIONS,
      text: 'How long the bus stays careful after the engine was in trouble.',
    }),
    observe: part<ObserveOptions>({ of: observeOptions, text: 'Histograms, health, objectives, alerts.' }),
    tracing: part<TraceOptions>({ of: traceOptions, text: 'OpenTelemetry spans.' }),
    onErrorEvent: value<OonaOptions['onErrorEvent']>({
      ...{ allowed: 'a function', accepts: isFunction, default: undefined, defaultText: 'none' },
      text: 'Told of back-pressure and of what was cut or dropped, at a bounded rate, and of each time that conservative mode is entered or left.',
    }),
    clock: clockRow,
    random: randomRow,
    metrics: metricsRow,
    logger: loggerRow,
  } satisfies Record<keyof OonaOptions, OptionRow<unknown>>,
);

type Resolved = ResolvedOptions<typeof OONA_OPTIONS.rows>;

export interface ResolvedOonaOptions
  extends Omit<Resolved, 'streams' | 'metrics' | 'publish' | 'breaker' | 'conservativeMode'> {
  readonly streams: StreamNames;
  readonly metrics: Metrics;
  /** Of the parts; each resolves its own, as `observe` and `tracing` are. */
  readonly tuning: PublishingTuning;
  readonly observe: ObserveOptions;
  readonly tracing: TraceOptions;
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

/** Throws OptionError. */
export function resolveOonaOptions(options: OonaOptions): ResolvedOonaOptions {
  const { publish, breaker, conservativeMode: mode, ...rest } = OONA_OPTIONS.resolve(options);
  const resolved: ResolvedOonaOptions = Object.freeze({
    ...rest,
    streams: resolveStreams(rest.streams),
    metrics: rest.metrics ?? new Metrics(),
    tuning: Object.freeze({
      ...(publish && { publish }),
      ...(breaker && { breaker }),
      ...(mode && { mode }),
    }),
    observe: rest.observe ?? {},
    tracing: rest.tracing ?? {},
  });
  requireSigning(resolved);
  return resolved;
}
