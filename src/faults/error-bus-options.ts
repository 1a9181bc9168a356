import { integer } from '../core/option-rows.ts';
import { optionTable, type ResolvedOptions } from '../core/option-table.ts';

export const ERROR_BUS_OPTIONS = optionTable(
  {
    owner: 'ErrorBus',
    title: 'Error bus',
    intro:
      'How much waits for a listener, how long a handler may take, and how many distinct errors are told apart.',
  },
  {
    queueLimit: integer({
      text: 'Events that wait for one listener. Equal errors (code, component, severity) wait once, with a count.',
      atLimit: 'The least severe gives way, else the new one is dropped; the listener’s `dropped` counts it.',
      unit: 'events',
      default: 256,
      min: 2,
      max: 100_000,
    }),
    reservedForCritical: integer({
      text: 'Of `queueLimit`, kept free for CRITICAL ones; at most `queueLimit` - 1.',
      atLimit: 'What is less severe is dropped although there is room.',
      unit: 'events',
      default: {
        text: 'a quarter of queueLimit',
        of: (option) => Math.max(1, Math.floor(option('queueLimit') / 4)),
      },
      min: 1,
      max: 99_999,
    }),
    maxRecords: integer({
      text: 'Distinct errors (code and component) with a record of their own.',
      atLimit: 'Further ones share one record, OTHER; they are told all the same, each as an event.',
      unit: 'records',
      default: 1024,
      min: 1,
      max: 1_000_000,
    }),
    handlerTimeoutMs: integer({
      text: 'For one call of a handler.',
      atLimit: 'Its signal is aborted, `timedOut` counts it, and the next event is handed over.',
      unit: 'ms',
      default: 5000,
      min: 1,
      max: 600_000,
    }),
    maxHungCalls: integer({
      text: 'Calls of one handler that took too long and have still not ended.',
      atLimit: 'It is handed nothing until one of them ends.',
      unit: 'calls',
      default: 4,
      min: 1,
      max: 1000,
    }),
    drainTimeoutMs: integer({
      text: 'How long `close()` waits for what is queued and for the handlers’ own `close`.',
      atLimit: 'What is left is dropped, and counted.',
      unit: 'ms',
      default: 5000,
      min: 0,
      max: 600_000,
    }),
  },
);

export type ErrorBusOptions = Partial<ResolvedOptions<typeof ERROR_BUS_OPTIONS.rows>>;
export type ResolvedErrorBusOptions = ResolvedOptions<typeof ERROR_BUS_OPTIONS.rows>;
