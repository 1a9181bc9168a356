/** Options of one publish: what they are, and where docs/options.md has them from. */
import { signalRow } from '../../core/common-rows.ts';
import { flag, isText, number, type OptionRow, value } from '../../core/option-rows.ts';
import { optionTable } from '../../core/option-table.ts';
import type { WorkPublishOptions } from '../work-types.ts';
import { isPriority } from './priority.ts';

/** Attributes that say what receivers rely on: a caller's may not stand in their place. */
const OWN_ATTRIBUTES: readonly string[] = [
  ...['event_id', 'issued_at_ms', 'stream', 'source', 'key_id', 'traceparent', 'tracestate'],
];
/** https://www.w3.org/TR/trace-context/#traceparent-header; an id of zeros is none. */
const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?$/;

const areAttributes = (given: unknown): boolean =>
  typeof given === 'object' && given !== null && !OWN_ATTRIBUTES.some((name) => Object.hasOwn(given, name));

export const PUBLISH_CALL_OPTIONS = optionTable(
  {
    owner: 'publish',
    title: 'Publishing: one message',
    intro:
      'Of `oona.publish(message, options)`, which never throws: what is wrong here ends as `rejected`. `publishEmergency`, `publishTelemetry` and `ensureReady` take `deadlineMs` and `signal`.',
  },
  {
    deadlineMs: number({
      ...{ unit: 'ms', min: 1, max: 600_000, default: 2000, defaultText: "the bus's `publishDeadlineMs`" },
      text: 'Bound on the publish.',
      atLimit: 'It ends as `failed` (`ESPER_OONA_TIMEOUT`), retryable; whether it was stored is unknown.',
    }),
    signal: signalRow,
    priority: value<WorkPublishOptions['priority']>({
      ...{ allowed: 'a MessagePriority', accepts: isPriority, default: undefined },
      defaultText: 'NORMAL; of telemetry what its `system_health` indicates',
      text: 'HIGH and CRITICAL go to the emergency stream, up to `urgentPerMinute` of the [bus](#bus).',
    }),
    eventId: value<string | undefined>({
      ...{ allowed: 'an id: 1-256 characters', accepts: isText(/^.{1,256}$/s), default: undefined },
      defaultText: "the message's own id, else a new UUID",
      text: 'Unique per message: the same id is stored once (`duplicate`), however often it is tried.',
    }),
    mayReroute: flag({
      default: false,
      text: 'Above `rerouteDepth` this NORMAL message may go to the emergency stream instead of waiting.',
    }),
    attributes: value<WorkPublishOptions['attributes']>({
      allowed: `an object of texts without ${OWN_ATTRIBUTES.join(', ')}, which the bus sets`,
      ...{ accepts: areAttributes, default: undefined, defaultText: 'none' },
      text: 'Further attributes, signed with the message.',
    }),
    traceparent: value<string | undefined>({
      ...{ allowed: 'one of W3C Trace Context', accepts: isText(TRACEPARENT), default: undefined },
      defaultText: 'that of the active OpenTelemetry span, if there is one',
      text: 'Trace context to carry.',
    }),
    tracestate: value<string | undefined>({
      ...{ allowed: 'up to 512 characters', accepts: isText(/^.{0,512}$/s), default: undefined },
      defaultText: 'as `traceparent`',
      text: 'Goes with `traceparent`.',
    }),
  } satisfies Record<keyof WorkPublishOptions, OptionRow<unknown>>,
);
