/** Options of the dead letters: what they are, and where docs/options.md has them from. */
import { neededClockRow, neededLoggerRow, neededMetricsRow, signalRow } from '../../core/common-rows.ts';
import {
  flag,
  integer,
  isFunction,
  isText,
  needed,
  number,
  type OptionRow,
  value,
} from '../../core/option-rows.ts';
import { optionTable, type ResolvedOptions } from '../../core/option-table.ts';
import { keyRingRow, transportRow } from '../common-rows.ts';
import type { StreamNames } from '../streams.ts';
import type { DeadLetterAuditorOptions } from './auditor.ts';
import type { DeadLettersOptions, LetterFilter, LetterQuery, ReplayOptions } from './types.ts';

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const DAY_MS = 24 * 60 * MINUTE_MS;
const MIB = 1024 * 1024;

const streamsRow = needed<StreamNames>({
  text: 'Of the bus whose letters they are ([Stream names](#stream-names)), all of them: `resolveStreams` makes them.',
  allowed: 'the names of all streams',
  accepts: (given) => typeof given === 'object' && given !== null && 'deadLetter' in given,
});

const callDeadlineRow = number({
  ...{ unit: 'ms', min: 1, max: 600_000, default: 2000 },
  text: 'Bound on each call to the engine.',
  atLimit: 'The call fails (`ESPER_OONA_TIMEOUT`); what was done until then stays done.',
});

export const DEAD_LETTERS_OPTIONS = optionTable(
  {
    owner: 'createDeadLetters',
    title: 'Dead letters',
    intro:
      'Of `createDeadLetters(options)`; [dead-letters.md](dead-letters.md) has what can be done with them. A bus has its own, `oona.deadLetters`, with its `publishDeadlineMs` for `callDeadlineMs`.',
  },
  {
    transport: transportRow,
    keyRing: keyRingRow(
      'Verifies the originals and signs what is replayed.',
      'none: an unsigned bus, where nothing is verified',
    ),
    streams: streamsRow,
    maxPayloadBytes: integer({
      ...{ unit: 'bytes', min: 1024, max: 512 * MIB, default: MIB },
      text: "Size of an original: the bus's own limit.",
      atLimit:
        'A larger one is not opened (`ESPER_LEYLINE_TOO_LARGE`): shown undecoded, and replayed only as it is.',
    }),
    callDeadlineMs: callDeadlineRow,
    replayWindowMs: number({
      ...{ unit: 'ms', min: SECOND_MS, max: 7 * DAY_MS, default: DAY_MS },
      text: 'How long the engine remembers a replay: repeated within it, after a crash or by two operators, it stores the message once.',
      atLimit: "A replay repeated later stores it again; then the consumers' replay guard decides.",
    }),
    countLimit: integer({
      ...{ unit: 'letters', min: 1, max: 10_000_000, default: 100_000 },
      text: 'Letters that `counts` looks at, the newest first.',
      atLimit: 'It ends, and `complete` is false.',
    }),
    clock: neededClockRow,
    metrics: neededMetricsRow,
    logger: neededLoggerRow,
  } satisfies Record<keyof DeadLettersOptions, OptionRow<unknown>>,
);

export type ResolvedDeadLettersOptions = ResolvedOptions<typeof DEAD_LETTERS_OPTIONS.rows>;

const CONDITIONS = {
  code: value<string | undefined>({
    ...{ allowed: 'a text', accepts: isText(/^/), default: undefined, defaultText: 'any' },
    text: 'Reason of the letter, `ESPER_OONA_TOO_OLD`.',
  }),
  stream: value<string | undefined>({
    ...{ allowed: 'a text', accepts: isText(/^/), default: undefined, defaultText: 'any' },
    text: 'Stream of the original, as the engine calls it.',
  }),
  messageType: value<number | undefined>({
    ...{ allowed: 'a whole number from 0 to 2147483647', default: undefined, defaultText: 'any' },
    accepts: (given) => Number.isInteger(given) && (given as number) >= 0 && (given as number) < 2 ** 31,
    text: 'Number of the `BusMessageType` of the original.',
  }),
  olderThanMs: value<number | undefined>({
    ...{ unit: 'ms', allowed: 'a number from 0', default: undefined, defaultText: 'any' },
    accepts: (given) => Number.isFinite(given) && (given as number) >= 0,
    text: "In the dead letters for at least so long, by the engine's clock.",
  }),
};

export const LETTER_FILTER_OPTIONS = optionTable(
  {
    owner: 'deadLetters filter',
    title: 'Dead letters: filters',
    intro:
      'Of `replay(filter)` and `purge(filter)`, which take letter ids instead as well. A letter must meet every condition; at least one must be given, or `all`.',
  },
  {
    ...CONDITIONS,
    all: value<true | undefined>({
      ...{ allowed: 'true', default: undefined, defaultText: 'not said' },
      accepts: (given) => given === true,
      text: 'Every letter; an empty filter would be too easily the result of a mistake.',
    }),
  } satisfies Record<keyof LetterFilter, OptionRow<unknown>>,
);

export const LETTER_QUERY_OPTIONS = optionTable(
  {
    owner: 'deadLetters.list',
    title: 'Dead letters: list',
    intro: 'Of `list(query)`. The conditions are those of a filter; without any, every letter is listed.',
  },
  {
    ...CONDITIONS,
    limit: integer({
      ...{ unit: 'letters', min: 1, max: 1_000_000, default: 100 },
      text: 'Letters to return.',
      atLimit: 'The list ends; `after` with the last letter id goes on.',
    }),
    after: value<string | undefined>({
      ...{ allowed: 'a letter id, 1700000000000-0', default: undefined },
      accepts: isText(/^$|^\d{1,16}-\d{1,20}$/),
      defaultText: 'the end that `newestFirst` says',
      text: 'Letter id to go on after.',
    }),
    newestFirst: flag({
      default: true,
      text: 'Or oldest first, up to the letter that is the newest at the start.',
    }),
    signal: signalRow,
  } satisfies Record<keyof LetterQuery, OptionRow<unknown>>,
);

export const REPLAY_OPTIONS = optionTable(
  {
    owner: 'deadLetters.replay',
    title: 'Dead letters: replay',
    intro: 'Of `replay(selection, options)`.',
  },
  {
    allowUnverified: value<'as-is' | undefined>({
      ...{ allowed: "'as-is'", default: undefined, defaultText: 'refused' },
      accepts: (given) => given === 'as-is',
      text: 'An original that does not verify or decode is appended untouched, to be judged again by its consumers: once a removed key is back in their ring, say.',
    }),
    newEventId: flag({
      default: false,
      text: 'The message gets an event id of its own, derived from the letter, so that consumers that have handled the event handle it again. A letter whose reason is `ESPER_OONA_REPLAYED` is refused without it.',
    }),
    limit: integer({
      ...{ unit: 'letters', min: 1, max: 100_000, default: 1000 },
      text: 'With a filter: letters to replay.',
      atLimit: 'It ends, and `more` is true.',
    }),
    signal: signalRow,
  } satisfies Record<keyof ReplayOptions, OptionRow<unknown>>,
);

type Publish = DeadLetterAuditorOptions['publish'];

export const DEAD_LETTER_AUDITOR_OPTIONS = optionTable(
  {
    owner: 'createDeadLetterAuditor',
    title: 'Dead letters: auditor',
    intro:
      'Looks at what is new and tells it on the telemetry stream. A bus runs one from `startReporting()` on, with these defaults: they are no options of the bus.',
  },
  {
    transport: transportRow,
    streams: streamsRow,
    publish: needed<Publish>({
      text: 'Puts the packet on the telemetry stream, and nowhere else.',
      allowed: 'a function',
      accepts: isFunction,
    }),
    onLook: value<DeadLetterAuditorOptions['onLook']>({
      ...{ allowed: 'a function', accepts: isFunction, default: undefined, defaultText: 'none' },
      text: 'Called after each look that did not fail. What it throws is logged.',
    }),
    intervalMs: number({
      ...{ unit: 'ms', min: 100, max: 60 * MINUTE_MS, default: 30 * SECOND_MS },
      text: 'Between two looks.',
      atLimit: 'The next look.',
    }),
    sampleLimit: integer({
      ...{ unit: 'letters', min: 1, max: 100_000, default: 1000 },
      text: 'Letters read in one look.',
      atLimit:
        'The rest is passed over; `sampled` says so, and `oona.dead_letters.audit_sampled_total` counts it.',
    }),
    lookBackMs: number({
      ...{ unit: 'ms', min: 0, max: DAY_MS, default: MINUTE_MS },
      text: 'The first look begins so long ago: a restart misses nothing shorter.',
      atLimit: 'Older letters are in the total only.',
    }),
    errorRatePerMinute: number({
      ...{ unit: 'letters/min', min: 0, max: 1_000_000, default: 10 },
      text: 'Rate of new letters from which on the packet has the level ERROR.',
      atLimit: 'ERROR; below it WARNING.',
    }),
    tellCapMs: number({
      ...{ unit: 'ms', min: 100, max: DAY_MS, default: 10 * MINUTE_MS },
      text: 'Longest wait between two packets while letters keep coming; it begins with `intervalMs` and doubles. A code that is new, or a higher level, is told at once.',
      atLimit: 'The waits grow no further.',
    }),
    callDeadlineMs: callDeadlineRow,
    clock: neededClockRow,
    metrics: neededMetricsRow,
    logger: neededLoggerRow,
  } satisfies Record<keyof DeadLetterAuditorOptions, OptionRow<unknown>>,
);

export type ResolvedAuditorOptions = ResolvedOptions<typeof DEAD_LETTER_AUDITOR_OPTIONS.rows>;
