import type { Clock } from '../../core/clock.ts';
import { clockRow } from '../../core/common-rows.ts';
import type { OptionRow } from '../../core/option-rows.ts';
import { optionTable } from '../../core/option-table.ts';

export interface MemoryTransportOptions {
  /** Default: the system's. */
  readonly clock?: Clock;
}

export const MEMORY_TRANSPORT_OPTIONS = optionTable(
  {
    owner: 'createMemoryTransport',
    title: 'Memory transport',
    intro: 'Of `createMemoryTransport(options)`: streams of this process, which end with it.',
  },
  { clock: clockRow } satisfies Record<keyof MemoryTransportOptions, OptionRow<unknown>>,
);
