import { choice, integer, number } from './option-rows.ts';
import { optionTable, type ResolvedOptions } from './option-table.ts';

/** When a breaker opens and how it closes again. */
export const CIRCUIT_BREAKER_OPTIONS = optionTable(
  {
    owner: 'circuit breaker',
    title: 'Circuit breakers',
    intro:
      'A breaker keeps calls from something that fails, and lets a few through to find out whether it still does.',
  },
  {
    tripOn: choice({
      text: 'Failures in a row, or the share of failures in a window of time.',
      default: 'consecutive',
      choices: ['consecutive', 'rate'],
    }),
    consecutiveFailures: integer({
      text: 'With `tripOn: consecutive`: failures in a row.',
      atLimit: 'The breaker opens.',
      unit: 'calls',
      default: 5,
      min: 1,
      max: 1_000_000,
    }),
    consecutiveSpanMs: integer({
      text: 'With `tripOn: consecutive`: from the first to the last failure of the row it must have taken this long. Calls under way together fail together: one broken connection is no outage.',
      atLimit: 'The breaker opens with the next failure.',
      unit: 'ms',
      default: 0,
      min: 0,
      max: 600_000,
    }),
    windowMs: integer({
      text: 'With `tripOn: rate`: the time that is looked at.',
      atLimit: 'Older calls no longer count.',
      unit: 'ms',
      default: 10_000,
      min: 100,
      max: 3_600_000,
    }),
    minimumCalls: integer({
      text: 'With `tripOn: rate`: fewer calls in the window prove nothing.',
      atLimit: 'From here on the rate decides.',
      unit: 'calls',
      default: 20,
      min: 1,
      max: 1_000_000,
    }),
    failureRate: number({
      text: 'With `tripOn: rate`: share of failures.',
      atLimit: 'The breaker opens.',
      unit: '',
      default: 0.5,
      min: 0.01,
      max: 1,
    }),
    openBaseMs: integer({
      text: 'How long it is open the first time; doubled each time it opens again without having stayed closed as long as it was open.',
      atLimit: 'Half-open: the next calls are tried.',
      unit: 'ms',
      default: 1000,
      min: 1,
      max: 3_600_000,
    }),
    openCapMs: integer({
      text: 'It is never open for longer.',
      atLimit: 'The open time grows no further.',
      unit: 'ms',
      default: 30_000,
      min: 1,
      max: 3_600_000,
    }),
    halfOpenPermits: integer({
      text: 'Calls at once while half-open.',
      atLimit: 'Further calls are refused.',
      unit: 'calls',
      default: 1,
      min: 1,
      max: 10_000,
    }),
    closeAfterSuccesses: integer({
      text: 'Successes while half-open; one failure opens it again.',
      atLimit: 'The breaker closes.',
      unit: 'calls',
      default: 1,
      min: 1,
      max: 10_000,
    }),
    permitTimeoutMs: integer({
      text: 'A half-open call that has not ended by then counts as failed, so that one that hangs cannot hold the breaker half-open.',
      atLimit: 'The breaker opens again.',
      unit: 'ms',
      default: 10_000,
      min: 1,
      max: 3_600_000,
    }),
  },
);

export type CircuitBreakerOptions = Partial<ResolvedOptions<typeof CIRCUIT_BREAKER_OPTIONS.rows>>;
export type ResolvedCircuitBreakerOptions = ResolvedOptions<typeof CIRCUIT_BREAKER_OPTIONS.rows>;
