import { integer, isFunction, number, type OptionRow, text, value } from '../core/option-rows.ts';
import { optionTable, type ResolvedOptions } from '../core/option-table.ts';
import type { RejectedEmergency } from './emergency-inbox.ts';
import type { RemovedHostGroup } from './host-groups.ts';
import type { EmergencyDelivery } from './types.ts';

export interface EmergencyReaderOptions {
  /**
   * Tells the readers of one host apart: each id gets every emergency, readers that share one divide them. Up to 200
   * of A-Z a-z 0-9 . _ -. Default '': the one reader of this host.
   */
  readonly readerId?: string;
  /** How long one read waits for entries, milliseconds, 1-60000. Default 2000. */
  readonly blockMs?: number;
  /** Entries per read, 1-1000. Default 64. */
  readonly batchSize?: number;
  /** A handler that takes longer counts as failed, milliseconds, 1-600000. Default 10000. */
  readonly handlerTimeoutMs?: number;
  /**
   * Base of the waits after a failure, milliseconds, 1-60000: the first is random below twice this, and the bound doubles
   * with each. Default 50.
   */
  readonly retryBaseMs?: number;
  /** Upper bound of every wait after a failure, milliseconds, 1-600000. Default 2000. */
  readonly retryCapMs?: number;
  /** Event ids remembered to tell duplicates, 1-10000000. Default 65536. */
  readonly seenCapacity?: number;
  /**
   * Called with what waits on the stream whenever the reader connects, oldest first, before the handler gets any of
   * it: an emergency in it may have ended already. Up to 32 MiB of it. Not called when nothing waits.
   */
  readonly onBacklog?: (deliveries: readonly EmergencyDelivery[]) => void;
  /** Called for each message that is refused or lost. */
  readonly onRejected?: (rejected: RejectedEmergency) => void;
  /** Called when this reader removed the group of a host that was silent for longer than `maxAgeMs`. */
  readonly onHostGone?: (removed: RemovedHostGroup) => void;
}

const CALLBACK = { allowed: 'a function', accepts: isFunction, default: undefined, defaultText: 'none' };

export const EMERGENCY_READER_OPTIONS = optionTable(
  {
    owner: 'emergencyReader',
    title: 'Emergency readers',
    intro:
      'Of `oona.emergencyReader(handler, options)`. Every host reads all emergencies, one after the other: HALT must be heard everywhere, and in its order.',
  },
  {
    readerId: text({
      // No colon: the group is host:<hostId>:<readerId>, and a host id may have colons.
      pattern: /^[\w.-]{0,200}$/,
      allowed: 'up to 200 of A-Z a-z 0-9 . _ -',
      default: '',
      text: 'Tells the readers of one host apart: each id gets every emergency, readers that share one divide them. Empty: the one reader of this host.',
    }),
    blockMs: number({
      ...{ unit: 'ms', min: 1, max: 60_000, default: 2000 },
      text: 'How long one read waits at the engine when there is nothing. Emergencies that come meanwhile end it.',
      atLimit: 'The next read begins.',
    }),
    batchSize: integer({
      ...{ unit: 'entries', min: 1, max: 1000, default: 64 },
      text: 'Entries that one read asks for.',
      atLimit: 'The rest comes with the next read.',
    }),
    handlerTimeoutMs: number({
      ...{ unit: 'ms', min: 1, max: 600_000, default: 10_000 },
      text: 'What a handler may take: one that hangs must not keep the HALT behind it from being heard.',
      atLimit:
        'It counts as failed, the next emergency is handled, and this one is tried again after a wait.',
    }),
    retryBaseMs: number({
      ...{ unit: 'ms', min: 1, max: 60_000, default: 50 },
      text: 'Base of the waits after a failure, of a handler or of the connection: the first is random below twice this, and the bound doubles with each.',
      atLimit: 'The next try. An emergency is tried again until its handler succeeds or it is trimmed away.',
    }),
    retryCapMs: number({
      ...{ unit: 'ms', min: 1, max: 600_000, default: 2000 },
      text: 'Upper bound of every wait after a failure.',
      atLimit: 'The waits grow no further.',
    }),
    seenCapacity: integer({
      ...{ unit: 'ids', min: 1, max: 10_000_000, default: 65_536 },
      text: 'Ids of handled emergencies that are remembered, to handle none twice.',
      atLimit:
        'The oldest is forgotten: refusing an emergency for want of room would be worse than handling one twice.',
    }),
    onBacklog: value<EmergencyReaderOptions['onBacklog']>({
      ...CALLBACK,
      text: 'Called with what waits on the stream whenever the reader connects, oldest first, before the handler gets any of it: an emergency in it may have ended already. Not called when nothing waits.',
      atLimit: 'What is beyond 32 MiB is not shown before it is handled.',
    }),
    onRejected: value<EmergencyReaderOptions['onRejected']>({
      ...CALLBACK,
      text: 'Called for each message that is refused (it goes to the dead letters) or lost.',
    }),
    onHostGone: value<EmergencyReaderOptions['onHostGone']>({
      ...CALLBACK,
      text: "Called when this reader removed the group of a host that was silent for longer than the bus's `maxAgeMs`.",
    }),
  } satisfies Record<keyof EmergencyReaderOptions, OptionRow<unknown>>,
);

export type ResolvedReaderOptions = ResolvedOptions<typeof EMERGENCY_READER_OPTIONS.rows>;
