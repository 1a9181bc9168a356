import { clockRow } from '../core/common-rows.ts';
import { choice, flag, hasMethods, integer, isFunction, number, text, value } from '../core/option-rows.ts';
import { type GivenOptions, optionTable, type ResolvedOptions } from '../core/option-table.ts';
import type { ErrorSink } from '../faults/error-event.ts';
import { sizeOfBytes } from './size.ts';

/** What happens to an event that finds no room. */
export type BusPolicy = 'block' | 'dropNewest' | 'dropOldest';

const name = (whose: string) =>
  text({
    text: `${whose}, as events, statistics and errors name it.`,
    pattern: /^[\w.-]{1,64}$/,
    allowed: '1-64 letters, digits, _ . -',
    default: undefined,
  });

/** What may be changed while it runs; a subscription has its own, which are the bus's where it gives none. */
const LIMIT_ROWS = {
  policy: choice({
    text: 'What happens to an event that finds no room: the publisher waits, the new event is dropped, or the oldest ones are. An event to be acknowledged is never dropped for room: it is refused.',
    choices: ['block', 'dropNewest', 'dropOldest'],
    default: 'block',
  }),
  bufferSize: integer({
    text: "Events that wait for the subscriber; those in the handler's hands not counted.",
    atLimit: 'The policy decides. Smaller than what waits already: nothing is dropped for it.',
    unit: 'events',
    default: 8,
    min: 1,
    max: 1_000_000,
  }),
  maxBytes: integer({
    text: 'Bytes that wait or are in hands, as `sizeOf` tells them.',
    atLimit:
      'The policy decides. An event that is larger by itself is refused with `ESPER_PIPELINE_TOO_LARGE`; while the bound is lowered by an override, such an event is taken when nothing else is there.',
    unit: 'bytes',
    default: 67_108_864,
    min: 1,
    max: Number.MAX_SAFE_INTEGER,
  }),
  dropSlow: flag({
    text: 'Makes `block` drop the new event instead of letting the publisher wait.',
    default: false,
  }),
};

const maxWaiting = integer({
  text: 'Publishers that wait at one subscription. Their events together are bounded by `maxBytes` too.',
  atLimit:
    'publish() rejects with `ESPER_PIPELINE_REFUSED`: a source that does not wait must not fill the memory.',
  unit: 'publishers',
  default: 1024,
  min: 1,
  max: 1_000_000,
});

export const BUS_OPTIONS = optionTable(
  {
    owner: 'createBus',
    title: 'In-process bus',
    intro: 'A bounded bus inside one process. Limits hold for each subscription by itself.',
  },
  {
    name: name('The bus'),
    ...LIMIT_ROWS,
    maxWaiting,
    retryAfterMs: integer({
      text: 'Told with a refusal, for a Retry-After header.',
      atLimit: 'The caller may try again.',
      unit: 'ms',
      default: 1000,
      min: 1,
      max: 3_600_000,
    }),
    saturationRatio: number({
      text: 'Fuller than this share of the count or of the bytes: BUFFER_SATURATED.',
      atLimit: 'One event, then none until the buffer was emptier than `saturationClearRatio`.',
      unit: '',
      default: 0.8,
      min: 0.01,
      max: 1,
    }),
    saturationClearRatio: number({
      text: 'Emptier than this share, the next saturation is a new one. Not above `saturationRatio`.',
      atLimit: 'No longer saturated.',
      unit: '',
      default: {
        text: 'three quarters of `saturationRatio`',
        of: (option) => option('saturationRatio') * 0.75,
      },
      min: 0.001,
      max: 1,
    }),
    reportIntervalMs: integer({
      text: 'Each subscription reports each kind of trouble at most this often, with the number of times.',
      atLimit: 'Further ones are counted and told with the next report.',
      unit: 'ms',
      default: 1000,
      min: 10,
      max: 3_600_000,
    }),
    sizeOf: value<(event: never) => number>({
      text: 'Size of an event.',
      allowed: 'a function that returns bytes',
      defaultText: 'bytes of buffers and strings, 0 for all else',
      default: sizeOfBytes,
      accepts: isFunction,
    }),
    errors: value<ErrorSink | undefined>({
      text: 'Where troubles are reported: an ErrorBus.',
      allowed: 'an object with the method emit',
      defaultText: 'none: they are only counted',
      default: undefined,
      accepts: hasMethods('emit'),
    }),
    clock: clockRow,
  },
);

export const SUBSCRIPTION_OPTIONS = optionTable(
  {
    owner: 'subscribe',
    title: 'In-process bus: subscriptions',
    intro: "The limits' defaults are the bus's.",
  },
  {
    name: name('The subscription'),
    ...LIMIT_ROWS,
    maxWaiting,
    concurrency: integer({
      text: 'Handler calls under way at once. With more than one, events may end in another order than they came.',
      atLimit: 'Events wait.',
      unit: 'calls',
      default: 1,
      min: 1,
      max: 10_000,
    }),
    handlerTimeoutMs: integer({
      text: 'How long a handler may take, to an eighth more; 0: for ever. Its signal is aborted then.',
      atLimit: 'The call is given up: its event counts as dropped, the next one is delivered.',
      unit: 'ms',
      default: 30_000,
      min: 0,
      max: 86_400_000,
    }),
    maxAbandoned: integer({
      text: 'Calls that were given up and still have not ended.',
      atLimit:
        'The subscriber counts as stuck until one ends: what is for it is dropped or refused, nobody waits for it.',
      unit: 'calls',
      default: 16,
      min: 1,
      max: 100_000,
    }),
    refuseWhile: value<(() => number | undefined) | undefined>({
      text: 'Asked before an event to be acknowledged is taken: milliseconds after which to try again when it would be refused anyway, an open breaker for instance.',
      allowed: 'a function that returns milliseconds or undefined',
      defaultText: 'none',
      default: undefined,
      accepts: isFunction,
    }),
    onFailure: value<((error: unknown) => void) | undefined>({
      text: "Told of a handler's failure instead of a SUBSCRIBER_FAILED event.",
      allowed: 'a function',
      defaultText: 'none',
      default: undefined,
      accepts: isFunction,
    }),
  },
);

export type ResolvedBusOptions = ResolvedOptions<typeof BUS_OPTIONS.rows>;
export type ResolvedSubscriptionOptions = ResolvedOptions<typeof SUBSCRIPTION_OPTIONS.rows>;

/** `name` is needed; the rest in docs/options.md. */
export type BusOptions<T> = Omit<GivenOptions<typeof BUS_OPTIONS.rows>, 'name' | 'sizeOf'> & {
  readonly name: string;
  readonly sizeOf?: ((event: T) => number) | undefined;
};
export type SubscribeOptions = Omit<GivenOptions<typeof SUBSCRIPTION_OPTIONS.rows>, 'name'> & {
  readonly name: string;
};

/** What one subscription keeps to at the moment. */
export interface QueueLimits {
  readonly policy: BusPolicy;
  readonly bufferSize: number;
  readonly maxBytes: number;
  readonly dropSlow: boolean;
}

/** A change of limits that can be taken back. */
export interface LimitOverride {
  /** Multiplies `bufferSize` and `maxBytes`, which stay at least 1; above 0, at most 1. */
  readonly factor?: number;
  readonly policy?: BusPolicy;
  readonly dropSlow?: boolean;
}
