import { flag, integer } from '../../core/option-rows.ts';
import { optionTable, type ResolvedOptions } from '../../core/option-table.ts';

const MIB = 1024 * 1024;

/** What publishing does when the bus is full, away or old. */
export const PUBLISH_OPTIONS = optionTable(
  {
    owner: 'publish',
    title: 'Publishing',
    intro:
      'Depth is what no consumer has acknowledged yet: the largest `lag + pending` over the groups of a stream. Emergencies have no depth gate.',
  },
  {
    dropDepth: integer({
      text: 'Depth of a stream at which nothing more is put on it; 0: never. The default is half a minute of 5,000 messages a second that nobody takes, 150 MB at 1 KiB each.',
      atLimit: 'The publish ends as `dropped`, is counted (`publish_dropped`) and told by an error event.',
      unit: 'entries',
      default: 150_000,
      min: 0,
      max: 1_000_000_000,
    }),
    rerouteDepth: integer({
      text: 'Depth from which on a NORMAL message with `mayReroute` goes to the emergency stream; 0: never. Above `dropDepth` it is dropped like the others: whatever overloads one stream must not overload the emergencies too.',
      atLimit: 'The publish ends as `rerouted`, is counted (`publish_rerouted`) and told by an error event.',
      unit: 'entries',
      default: 50_000,
      min: 0,
      max: 1_000_000_000,
    }),
    measureDepth: flag({
      text: 'Measure the depth also where no limit asks for it.',
      default: true,
    }),
    depthLookMs: integer({
      text: 'A stream far below its limits is looked at once in so long by a publisher; results in between have what it found and what this process has published since. Near a limit every publish looks, as with 0.',
      atLimit: 'The next publish looks.',
      unit: 'ms',
      default: 100,
      min: 0,
      max: 10_000,
    }),
    maxStreamLength: integer({
      text: 'Hard cap on the entries of a stream, read or not; 0: none, and only what every group has acknowledged is trimmed.',
      atLimit:
        'The oldest are cut; those that nobody had acknowledged are counted (`oona.publish.cut_unread_total`) and told by an error event.',
      unit: 'entries',
      default: 0,
      min: 0,
      max: 1_000_000_000,
    }),
    trimIntervalMs: integer({
      text: 'At most so often a stream that is published to is trimmed, in the background.',
      atLimit: 'The next append trims.',
      unit: 'ms',
      default: 5000,
      min: 100,
      max: 3_600_000,
    }),
    outboxMaxMessages: integer({
      text: 'Messages that wait in this process while conservative mode is on.',
      atLimit:
        'The oldest is dropped, counted (`publish_outbox_dropped`) and told by an error event and the alert `outbox_dropped`.',
      unit: 'messages',
      default: 10_000,
      min: 1,
      max: 10_000_000,
    }),
    outboxMaxBytes: integer({
      text: 'Their bytes, sealed.',
      atLimit:
        'The oldest are dropped, counted and told by an error event; a message larger than this is dropped itself.',
      unit: 'bytes',
      default: 16 * MIB,
      min: 1024,
      max: 4096 * MIB,
    }),
    outboxFlushPerSecond: integer({
      text: 'How fast at most the outbox is emptied when conservative mode is over. One message is sent after the other was answered, so that what waited takes no more of the engine than the other publishes leave.',
      atLimit: 'The rest waits its turn.',
      unit: 'messages/s',
      default: 2000,
      min: 1,
      max: 1_000_000,
    }),
    closeFlushMs: integer({
      text: 'How long close() tries to publish what waits.',
      atLimit: 'The rest is dropped and counted.',
      unit: 'ms',
      default: 2000,
      min: 0,
      max: 600_000,
    }),
  },
);

export type PublishingOptions = Partial<ResolvedOptions<typeof PUBLISH_OPTIONS.rows>>;
export type ResolvedPublishingOptions = ResolvedOptions<typeof PUBLISH_OPTIONS.rows>;

export const CONSERVATIVE_MODE_OPTIONS = optionTable(
  {
    owner: 'conservative mode',
    title: 'Conservative mode',
    intro:
      'While it is on, messages below HIGH wait in the outbox and consumers of NORMAL pause. Emergencies go on. Reasons: `breaker`, from when the breaker of publishing opens until it closes; `slo:publish_latency:fast` and `slo:publish_stored:fast`, when the engine answers badly while that alert is active ([slo.md](slo.md#conservative-mode)); `manual`.',
  },
  {
    dwellMs: integer({
      text: 'It stays on at least this long.',
      atLimit: 'It may be left.',
      unit: 'ms',
      default: 5000,
      min: 0,
      max: 3_600_000,
    }),
    quietMs: integer({
      text: 'Every reason must have been gone this long, without a break, before it is left. While one of the alerts is active, the answers of the engine are looked at four times in this time, but not more often than every 50 ms and not less often than every second.',
      atLimit: 'It is left, once `dwellMs` is over too.',
      unit: 'ms',
      default: 2000,
      min: 0,
      max: 3_600_000,
    }),
  },
);

export type ConservativeModeOptions = Partial<ResolvedOptions<typeof CONSERVATIVE_MODE_OPTIONS.rows>>;
