/** Options of the bus's observability: what they are, and where docs/options.md has them from. */
import { choice, flag, integer, isFunction, number, text, value } from '../../core/option-rows.ts';
import { type GivenOptions, optionTable, type ResolvedOptions } from '../../core/option-table.ts';
import type { SloAlert } from './slo-tracker.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

type OnAlert = ((alert: SloAlert) => void) | undefined;

export const observeOptions = optionTable(
  {
    owner: 'observe',
    title: 'Observability',
    intro:
      'Latency, depth, health and service level objectives of one bus; [slo.md](slo.md) has their arithmetic.',
  },
  {
    histograms: choice({
      choices: ['process-local', 'shared'],
      default: 'process-local',
      text: 'Memory of the latency histograms. Shared ones are added up over all processes of the host that use the name, and outlive them.',
    }),
    histogramName: text({
      pattern: /^[A-Za-z0-9_][\w.-]{0,127}$/,
      allowed: '1 to 128 characters of A-Z a-z 0-9 . _ - that do not begin with a dot',
      default: 'oona',
      text: 'Histograms are called `<name>.<publish|end_to_end|handler>.<stream>`.',
    }),
    shortWindowMs: integer({
      ...{ unit: 'ms', min: 1000, max: HOUR_MS, default: MINUTE_MS },
      text: 'The shorter of the two rolling windows of latencies.',
      atLimit: 'What is older counts in the longer window and in the totals only.',
    }),
    longWindowMs: integer({
      ...{ unit: 'ms', min: 1000, max: DAY_MS, default: 5 * MINUTE_MS },
      text: 'The longer one.',
      atLimit: 'What is older counts in the totals only.',
    }),
    tickMs: integer({
      ...{ unit: 'ms', min: 50, max: MINUTE_MS, default: 1000 },
      text: 'Between two looks at objectives, windows and the connection.',
      atLimit: 'Trouble that begins and ends between two looks begins no alert.',
    }),
    depthIntervalMs: integer({
      ...{ unit: 'ms', min: 50, max: HOUR_MS, default: 1000 },
      text: 'Between two measurements of the depth of streams, beside those that publishes make.',
      atLimit: 'An older depth is told until then.',
    }),
    healthTelemetry: flag({
      default: true,
      text: 'Publish the health packet to the telemetry stream.',
    }),
    healthIntervalMs: integer({
      ...{ unit: 'ms', min: 100, max: HOUR_MS, default: 10_000 },
      text: 'Between two health packets; also the deadline of publishing one.',
      atLimit: 'A packet that is not stored by then is given up and counted.',
    }),
    disconnectGraceMs: integer({
      ...{ unit: 'ms', min: 0, max: HOUR_MS, default: 5000 },
      text: 'How long the engine may be away before the bus is UNHEALTHY and not ready.',
      atLimit: 'Readiness fails; liveness never does.',
    }),
    disconnectCriticalMs: integer({
      ...{ unit: 'ms', min: 0, max: DAY_MS, default: MINUTE_MS },
      text: 'How long the engine may be away before the bus is CRITICAL.',
      atLimit: 'Health packets say CRITICAL as soon as they can be published again.',
    }),
    oldestPendingLimitMs: integer({
      ...{ unit: 'ms', min: 100, max: 7 * DAY_MS, default: 5 * MINUTE_MS },
      text: 'Age of the oldest pending entry from which on the bus is DEGRADED.',
      atLimit: 'DEGRADED while it lasts.',
    }),
    deadLetterLimit: integer({
      ...{ unit: 'entries', min: 1, max: 10_000_000, default: 100 },
      text: 'Dead letters from which on the bus is DEGRADED.',
      atLimit: 'DEGRADED until they are replayed or purged.',
    }),
    errorExpiryMs: integer({
      ...{ unit: 'ms', min: 1000, max: DAY_MS, default: 10 * MINUTE_MS },
      text: 'How long an error is told as one of the last errors.',
      atLimit: 'It is not told any more; the counters keep it. At most 16 are told, the newest.',
    }),
    publishTargetMs: number({
      ...{ unit: 'ms', min: 0.1, max: MINUTE_MS, default: 25 },
      text: 'A publish that is stored within this time is good for the objective `publish_latency`; while an alert is active, an engine that mostly answers within it is well.',
      atLimit: 'A slower one spends error budget.',
    }),
    publishTarget: number({
      ...{ unit: '', min: 0.5, max: 0.999_999, default: 0.95 },
      text: 'Part of publishes that must be that fast: 0.95 makes it a bound on the p95. Above 0.9306, or no alert could begin.',
      atLimit: 'Below it the objective is missed.',
    }),
    deliveryTarget: number({
      ...{ unit: '', min: 0.5, max: 0.999_999, default: 0.999 },
      text: 'Part of publishes that must be stored, and part of entries that must be acknowledged. Above 0.9306.',
      atLimit: 'Below it the objective is missed.',
    }),
    highDepth: integer({
      ...{ unit: 'entries', min: 1, max: 1_000_000_000, default: 5000 },
      text: 'From this depth on a stream must recover. The default is one second of 5,000 messages a second that nobody takes.',
      atLimit: 'DEGRADED, and the recovery time begins.',
    }),
    depthRecoveryMs: integer({
      ...{ unit: 'ms', min: 1000, max: HOUR_MS, default: 10_000 },
      text: 'How long a stream may stay that deep.',
      atLimit: 'An alert begins, and each further second spends error budget.',
    }),
    depthRecoveryTarget: number({
      ...{ unit: '', min: 0.5, max: 0.999_999, default: 0.999 },
      text: 'Part of all seconds in which no stream may be deep for longer. Above 0.9306.',
      atLimit: 'Below it the objective is missed.',
    }),
    limitWindowMs: integer({
      ...{ unit: 'ms', min: 1000, max: 6 * HOUR_MS, default: MINUTE_MS },
      text: 'What was rerouted and dropped is counted over this.',
      atLimit: 'What is older does not count.',
    }),
    reroutedLimit: integer({
      ...{ unit: 'messages', min: 0, max: 1_000_000_000, default: 60 },
      text: 'Messages that may be rerouted within `limitWindowMs`.',
      atLimit: 'One more begins an alert (ticket).',
    }),
    droppedLimit: integer({
      ...{ unit: 'messages', min: 0, max: 1_000_000_000, default: 0 },
      text: 'Messages that may be dropped within `limitWindowMs`: for the depth of their stream (`publish_dropped`), and from the outbox (`outbox_dropped`).',
      atLimit: 'One more begins an alert (page).',
    }),
    sloPeriodMs: integer({
      ...{ unit: 'ms', min: DAY_MS, max: 90 * DAY_MS, default: 30 * DAY_MS },
      text: 'What an error budget is for. The windows of the burn rates are parts of it: of 30 days 1 hour, 6 hours and 3 days.',
      atLimit: 'What is older spends nothing any more. A process that is younger knows its own time only.',
    }),
    sloMinEvents: integer({
      ...{ unit: 'events', min: 1, max: 1_000_000, default: 20 },
      text: 'Events in the long window that a burn-rate alert needs.',
      atLimit: 'With fewer it does not begin: one bad of one is no trend.',
    }),
    alertClearRatio: number({
      ...{ unit: '', min: 0, max: 1, default: 0.8 },
      text: 'An alert ends only below its threshold times this.',
      atLimit: 'Between the two an alert stays as it is.',
    }),
    alertClearAfterMs: integer({
      ...{ unit: 'ms', min: 0, max: HOUR_MS, default: 30_000 },
      text: 'How long it must stay below.',
      atLimit: 'The alert ends.',
    }),
    alertIntervalMs: integer({
      ...{ unit: 'ms', min: 0, max: DAY_MS, default: 5 * MINUTE_MS },
      text: 'From one telling of the same alert to the next.',
      atLimit: 'A beginning that comes sooner is counted, and told after it if the alert is still active.',
    }),
    onAlert: value<OnAlert>({
      allowed: 'a function',
      defaultText: 'none',
      default: undefined,
      accepts: isFunction,
      text: 'Called with each alert that begins or ends. What it throws is logged and counted.',
    }),
  },
);

export type ObserveOptions = GivenOptions<typeof observeOptions.rows>;
export type ResolvedObserveOptions = ResolvedOptions<typeof observeOptions.rows>;
