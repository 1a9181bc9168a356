import { CIRCUIT_BREAKER_OPTIONS, type CircuitBreakerOptions } from '../core/circuit-breaker-options.ts';
import { flag, integer, isFunction, value } from '../core/option-rows.ts';
import { optionTable, type ResolvedOptions } from '../core/option-table.ts';
import type { Rate } from '../faults/rate-limiter-options.ts';
import { SUBSCRIPTION_OPTIONS } from './bus-options.ts';

const isRecord = (given: unknown): boolean => typeof given === 'object' && given !== null;

const startTimeoutMs = integer({
  text: 'For one start.',
  atLimit: 'Its signal is aborted; it counts as failed, is stopped, and started again after the back-off.',
  unit: 'ms',
  default: 10_000,
  min: 1,
  max: 3_600_000,
});

const stopTimeoutMs = integer({
  text: 'For one stop. At the end of the engine its deadline holds too.',
  atLimit: 'Its signal is aborted; the stop report names the part.',
  unit: 'ms',
  default: 5000,
  min: 1,
  max: 3_600_000,
});

const required = flag({
  text: 'The engine does not start without it: start() rejects when its first start fails. Else it is tried again in the background.',
  default: false,
});

const RESTART_ROWS = {
  restartBaseMs: integer({
    text: 'Upper bound of the first wait before it is started again; doubled each time, jittered in full.',
    atLimit: 'Started again.',
    unit: 'ms',
    default: 100,
    min: 1,
    max: 3_600_000,
  }),
  restartCapMs: integer({
    text: 'No wait is longer.',
    atLimit: 'The wait grows no further.',
    unit: 'ms',
    default: 30_000,
    min: 1,
    max: 3_600_000,
  }),
  healthyAfterMs: integer({
    text: 'After a run of this length the next failure counts as a first one, and its breaker as recovered.',
    atLimit: 'The back-off begins anew.',
    unit: 'ms',
    default: 10_000,
    min: 1,
    max: 3_600_000,
  }),
  maxRestarts: integer({
    text: 'More failures than this within `restartWindowMs`, and it is given up until the engine is started anew; 0: never.',
    atLimit: 'Reported as not recoverable; the engine goes on without it.',
    unit: 'failures',
    default: 0,
    min: 0,
    max: 1_000_000,
  }),
  restartWindowMs: integer({
    text: 'The time within which `maxRestarts` counts.',
    atLimit: 'Older failures no longer count.',
    unit: 'ms',
    default: 600_000,
    min: 1,
    max: 86_400_000,
  }),
};

const breaker = (text: string) =>
  value<CircuitBreakerOptions>({
    text,
    allowed: 'an object with options of a circuit breaker',
    defaultText: "the breaker's own",
    default: Object.freeze({}),
    accepts: isRecord,
  });

const rate = (text: string) =>
  value<Rate | undefined>({
    text,
    allowed: 'an object with ratePerSecond and burst',
    defaultText: 'none: no limit',
    default: undefined,
    accepts: isRecord,
  });

export const ADAPTER_OPTIONS = optionTable(
  {
    owner: 'adapter',
    title: 'Engine: adapters',
    intro: 'Given beside the adapter: `{ adapter, startTimeoutMs: … }`.',
  },
  {
    startTimeoutMs,
    stopTimeoutMs,
    required,
    ...RESTART_ROWS,
    breaker: breaker('When starting it pauses. A start and the run after it are one call to it.'),
    rate: rate(
      'Events a second that it may take in. publish() waits for its turn, deliver() is refused with `retryAfterMs`.',
    ),
    exempt: flag({
      text: 'Degradation does not lower its rate: for what tells the health of the process.',
      default: false,
    }),
  },
);

const { policy, bufferSize, maxBytes, dropSlow, maxWaiting, concurrency, maxAbandoned } =
  SUBSCRIPTION_OPTIONS.rows;

export const EMITTER_OPTIONS = optionTable(
  {
    owner: 'emitter',
    title: 'Engine: emitters',
    intro:
      "Given beside the emitter: `{ emitter, concurrency: … }`. The queue's limits are those of the external bus where none are given.",
  },
  {
    ...{ startTimeoutMs, stopTimeoutMs, required, ...RESTART_ROWS },
    ...{ policy, bufferSize, maxBytes, dropSlow, maxWaiting, concurrency, maxAbandoned },
    emitTimeoutMs: integer({
      text: 'For one call of emit(), to an eighth more; 0: for ever.',
      atLimit: 'Its signal is aborted; it counts as failed.',
      unit: 'ms',
      default: 30_000,
      min: 0,
      max: 86_400_000,
    }),
    retries: integer({
      text: 'Further calls for an event whose emit() failed.',
      atLimit: 'The event is dropped and counted as `failed`; where it was to be acknowledged, it is not.',
      unit: 'calls',
      default: 0,
      min: 0,
      max: 1000,
    }),
    retryBaseMs: integer({
      text: 'Upper bound of the first wait before a retry; doubled each time, jittered in full.',
      atLimit: 'Called again.',
      unit: 'ms',
      default: 100,
      min: 1,
      max: 3_600_000,
    }),
    retryCapMs: integer({
      text: 'No wait before a retry is longer.',
      atLimit: 'The wait grows no further.',
      unit: 'ms',
      default: 5000,
      min: 1,
      max: 3_600_000,
    }),
    isRetryable: value<(error: unknown) => boolean>({
      text: 'False for an error that says that this event will never be taken: no retry, and nothing against the breaker.',
      allowed: 'a function',
      defaultText: 'always true',
      default: () => true,
      accepts: isFunction,
    }),
    breaker: breaker(
      'When emitting pauses. While it is open, events wait in the queue, and those to be acknowledged are refused.',
    ),
    rate: rate('Events a second that it is given; the others wait.'),
  },
);

export type AdapterOptions = Partial<ResolvedOptions<typeof ADAPTER_OPTIONS.rows>>;
export type ResolvedAdapterOptions = ResolvedOptions<typeof ADAPTER_OPTIONS.rows>;
export type EmitterOptions = Partial<ResolvedOptions<typeof EMITTER_OPTIONS.rows>>;
export type ResolvedEmitterOptions = ResolvedOptions<typeof EMITTER_OPTIONS.rows>;

export type ResolvedRestartOptions = Pick<
  ResolvedAdapterOptions,
  'startTimeoutMs' | 'stopTimeoutMs' | keyof typeof RESTART_ROWS
>;

const LONGEST_PERMIT_MS = 3_600_000;

function withPermitOf(ms: number, given: CircuitBreakerOptions): CircuitBreakerOptions {
  const permitTimeoutMs = Math.min(LONGEST_PERMIT_MS, Math.max(10_000, ms));
  return CIRCUIT_BREAKER_OPTIONS.resolve(given, { defaults: { permitTimeoutMs } });
}

/** A half-open start is under way until it was healthy: its permit must last as long. */
export function startBreakerOptions(
  { startTimeoutMs, healthyAfterMs }: ResolvedRestartOptions,
  given: CircuitBreakerOptions,
): CircuitBreakerOptions {
  return withPermitOf(startTimeoutMs + healthyAfterMs + 10_000, given);
}

/** A half-open emit() may take as long as any. */
export function callBreakerOptions(
  emitTimeoutMs: number,
  given: CircuitBreakerOptions,
): CircuitBreakerOptions {
  return withPermitOf(emitTimeoutMs === 0 ? LONGEST_PERMIT_MS : emitTimeoutMs * 1.25, given);
}
