import { integer, number } from '../core/option-rows.ts';
import { optionTable, type ResolvedOptions } from '../core/option-table.ts';

export const RATE_LIMITER_OPTIONS = optionTable(
  {
    owner: 'RateLimiter',
    title: 'Rate limiter',
    intro: 'A token bucket: a token is one event, one byte, whatever the caller counts.',
  },
  {
    ratePerSecond: number({
      text: 'Tokens that come back each second.',
      atLimit: 'Takers are refused or wait; 0 lets nothing through once the burst is used up.',
      unit: 'tokens/s',
      default: 1000,
      min: 0,
      max: 1e12,
    }),
    burst: number({
      text: 'Tokens that can be saved up while nobody takes any; there at the start. Who takes more at once waits for all of them and leaves a debt.',
      atLimit: 'No more are saved.',
      unit: 'tokens',
      default: { text: 'ratePerSecond, at least 1', of: (option) => Math.max(1, option('ratePerSecond')) },
      min: 1,
      max: 1e12,
    }),
    maxWaiting: integer({
      text: 'Callers of `wait()` at once.',
      atLimit: 'Further ones are rejected with ESPER_FAULTS_RATE_LIMITED.',
      unit: 'callers',
      default: 10_000,
      min: 0,
      max: 10_000_000,
    }),
  },
);

export type RateLimiterOptions = Partial<ResolvedOptions<typeof RATE_LIMITER_OPTIONS.rows>>;
export type ResolvedRateLimiterOptions = ResolvedOptions<typeof RATE_LIMITER_OPTIONS.rows>;

/** What can be changed while it runs. */
export interface Rate {
  /** 0 to 1e12. */
  readonly ratePerSecond: number;
  /** 1 to 1e12. */
  readonly burst: number;
}
