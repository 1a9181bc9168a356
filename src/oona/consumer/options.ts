import type { BackoffOptions } from '../../core/backoff.ts';
import type { Clock } from '../../core/clock.ts';
import type { Logger } from '../../core/logger.ts';
import type { Metrics } from '../../core/metrics.ts';
import {
  choice,
  flag,
  integer,
  isText,
  number,
  type OptionRow,
  text,
  value,
} from '../../core/option-rows.ts';
import { optionTable } from '../../core/option-table.ts';
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
  /** The oldest go beyond what they take together, bytes. Default 0: no bound. */
  readonly deadLetterMaxBytes?: number;
  /** Told how many dead letters went for a newer one. Must not throw. */
  readonly onLettersCut?: (letters: number) => void;
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
  /** Before the name of the group that the options give. */
  readonly groupPrefix?: string;
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
  readonly replayGuard: 'local' | 'shared';
  readonly drainMs: number;
  readonly pauseInConservativeMode: boolean;
}

const WEEK_MS = 7 * 24 * 3_600_000;
const DAY_MS = 24 * 3_600_000;

/** A record, so that a stream which is missing here does not compile. */
const WORK_STREAMS: Readonly<Record<WorkStream, true>> = {
  ...{ normal: true, telemetry: true, policy: true },
  ...{ kernelRequests: true, kernelReady: true, kernelErrors: true },
};

export const CONSUMER_OPTIONS = optionTable(
  {
    owner: 'consumer',
    title: 'Consumers',
    intro:
      'Of `oona.consumer(options, handler)`: one of those that share out the entries of a stream. The emergency stream has [readers](#emergency-readers) instead, one for each host.',
  },
  {
    stream: choice({
      choices: Object.keys(WORK_STREAMS) as WorkStream[],
      default: undefined,
      hint: 'emergencies are read by emergencyReader, dead letters by deadLetters',
      text: 'Which stream; what it is called in the engine is an option of the bus ([Stream names](#stream-names)).',
    }),
    group: text({
      pattern: /^[\w.:-]{1,180}$/,
      allowed: '1-180 of A-Z a-z 0-9 . _ : -',
      default: undefined,
      text: 'Consumers of one group divide the entries; each group gets all of them.',
    }),
    consumer: value<string | undefined>({
      accepts: isText(/^[\w.:-]{1,200}$/),
      allowed: '1-200 of A-Z a-z 0-9 . _ : -',
      default: undefined,
      defaultText: '`<hostId>:<pid>:<random>`',
      text: 'A stable name, unique in its group: after a restart the consumer takes up at once what it left. A second live one of the name is found and told (`ESPER_OONA_CONSUMER_NAME_TAKEN`).',
    }),
    types: value<readonly CodableType[] | undefined>({
      accepts: (given) =>
        Array.isArray(given) && given.length > 0 && given.every((type) => isCodableType(type)),
      allowed: 'a list of message types that have a message, not empty',
      default: undefined,
      defaultText: 'all',
      text: 'Message types to hand out; others are acknowledged and counted as skipped.',
    }),
    maxInFlight: integer({
      ...{ unit: 'handlers', min: 1, max: 10_000, default: 64 },
      text: 'Handlers that run at once.',
      atLimit:
        'What has been read waits, and no more is read than there is room for. Besides, up to 1,024 entries wait for another try or for their acknowledgement.',
    }),
    batchSize: integer({
      ...{ unit: 'entries', min: 1, max: 1000, default: 64 },
      text: 'Entries that one read asks for.',
      atLimit: 'The rest comes with the next read.',
    }),
    blockMs: number({
      ...{ unit: 'ms', min: 1, max: 60_000, default: 2000 },
      text: 'How long one read waits at the engine when there is nothing. Entries that come meanwhile end it.',
      atLimit: 'The next read begins.',
    }),
    leaseMs: number({
      ...{ unit: 'ms', min: 100, max: 3_600_000, default: 30_000 },
      text: 'Others may take over an entry that was not touched for so long. A consumer touches all it has, every sixth of it: only one that died, hangs or is cut off loses entries.',
      atLimit:
        'Another consumer gets it, one delivery more; here it counts as `takenOver` and its signal is aborted.',
    }),
    claimIntervalMs: number({
      ...{ unit: 'ms', min: 10, max: 3_600_000 },
      default: { text: 'a third of `leaseMs`', of: (option) => option('leaseMs') / 3 },
      text: 'Between two looks for entries to take over, give or take a quarter.',
      atLimit: 'The next look.',
    }),
    handlerTimeoutMs: number({
      ...{ unit: 'ms', min: 1, max: DAY_MS, default: 60_000 },
      text: 'What a handler may take.',
      atLimit:
        "The delivery's signal is aborted, and it counts as failed (`ESPER_OONA_HANDLER_TIMEOUT`): tried again, up to `maxDeliveries`.",
    }),
    maxDeliveries: integer({
      ...{ unit: 'deliveries', min: 1, max: 1000, default: 5 },
      text: 'How often an entry is handed out, counted by the engine across crashes.',
      atLimit: 'It is dead-lettered (`ESPER_OONA_DELIVERIES_EXHAUSTED`).',
    }),
    retryBaseMs: number({
      ...{ unit: 'ms', min: 1, max: 60_000, default: 100 },
      text: 'Upper bound of the first wait for another try; it doubles with each. Waits are random below their bound.',
      atLimit: 'The entry is handed out again.',
    }),
    retryCapMs: number({
      ...{ unit: 'ms', min: 1, max: 3_600_000, default: 30_000 },
      text: 'Upper bound of every wait for another try.',
      atLimit: 'The waits grow no further.',
    }),
    maxAgeMs: number({
      ...{ unit: 'ms', min: 1000, max: WEEK_MS, default: 900_000, defaultText: "the bus's `maxAgeMs`" },
      text: 'Older messages are refused. Judged once: what was accepted may become older while it waits for another try.',
      atLimit: 'It is dead-lettered (`ESPER_OONA_TOO_OLD`).',
    }),
    replayCapacity: integer({
      ...{ unit: 'keys', min: 1, max: 10_000_000, default: 4_650_000 },
      text: "Keys of handled events that the replay guard holds, 21 to 28 bytes each, taken as they come. A key stays for `maxAgeMs` plus the bus's `maxFutureSkewMs`. The default is 5,000 messages a second for the whole window of 930 s, 130 MB.",
      atLimit:
        'Messages wait, pending, until older keys expire (`ESPER_OONA_REPLAY_GUARD_FULL`); none is forgotten early.',
    }),
    replayGuard: choice({
      choices: ['local', 'shared'] as const,
      default: 'local',
      text: 'Who remembers which events were handled. `local`: each consumer for itself; a copy of a message that another consumer of the group gets is handled there too. `shared`: the engine, for all consumers of the group, which must all say so and have the same `maxAgeMs`; costs one more call for each batch that is read ([the bus](bus.md#the-replay-guard)). `replayCapacity` does not count then.',
    }),
    drainMs: number({
      ...{ unit: 'ms', min: 0, max: 600_000, default: 10_000 },
      text: 'How long stop() waits for handlers.',
      atLimit:
        'The signals of those that still run are aborted; their entries stay pending, for others after `leaseMs`.',
    }),
    emergencyStream: flag({
      default: true,
      text: "Take what is urgent of this stream's kinds as well: HIGH and CRITICAL messages travel on the emergency stream, and are read by a second connection.",
    }),
    pauseInConservativeMode: flag({
      default: { text: 'true for `normal`, else false', of: (option) => option('stream') === 'normal' },
      text: 'Hand out nothing while [conservative mode](#conservative-mode) is on.',
    }),
  } satisfies Record<keyof ConsumerOptions, OptionRow<unknown>>,
);

/** Throws OptionError. */
export function resolveConsumerOptions(
  parts: ConsumerParts,
  given: ConsumerOptions,
): ResolvedConsumerOptions {
  const resolved = CONSUMER_OPTIONS.resolve(given, { defaults: { maxAgeMs: parts.maxAgeMs } });
  const { stream, group, consumer, types, retryBaseMs, retryCapMs, emergencyStream, ...rest } = resolved;
  const random = Math.floor(parts.random() * 2 ** 32)
    .toString(16)
    .padStart(8, '0');
  return Object.freeze({
    ...rest,
    role: stream,
    stream: parts.streams[stream],
    group: `${parts.groupPrefix ?? ''}${group}`,
    consumer:
      consumer ?? parts.generatedName ?? `${parts.hostId.replace(/[^\w.:-]/g, '_')}:${process.pid}:${random}`,
    named: consumer !== undefined,
    types: types && new Set<number>(types),
    retry: Object.freeze({ baseMs: retryBaseMs, capMs: retryCapMs }),
  });
}
