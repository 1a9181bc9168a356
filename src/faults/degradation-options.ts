import { flag, integer } from '../core/option-rows.ts';
import { optionTable, type ResolvedOptions } from '../core/option-table.ts';

export const DEGRADATION_OPTIONS = optionTable(
  {
    owner: 'GracefulDegradation',
    title: 'Graceful degradation',
    intro: 'Whether pressure degrades the service by itself, and how its end is made sure of.',
  },
  {
    automatic: flag({
      text: 'Follow the levels of `update()`, i.e. of memory pressure. Off: only `enter()` and `leave()` change anything.',
      default: true,
    }),
    undoRetryMs: integer({
      text: 'An undo that threw is tried again after this time, then after twice as long.',
      atLimit: 'Tried again.',
      unit: 'ms',
      default: 1000,
      min: 1,
      max: 3_600_000,
    }),
    undoRetryCapMs: integer({
      text: 'Longest time between two tries.',
      atLimit: 'The time grows no further.',
      unit: 'ms',
      default: 30_000,
      min: 1,
      max: 3_600_000,
    }),
  },
);

export type DegradationOptions = Partial<ResolvedOptions<typeof DEGRADATION_OPTIONS.rows>>;
export type ResolvedDegradationOptions = ResolvedOptions<typeof DEGRADATION_OPTIONS.rows>;
