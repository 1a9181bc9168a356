/** The bus as the drills use it: the one file that knows how it is opened. */
import type { Clock } from '../../src/core/clock.ts';
import { buildEmergencySignal } from '../../src/leyline/emergency.ts';
import { createKeyRing, type KeyRing } from '../../src/leyline/key-ring.ts';
import { BusMessageType, EmergencyLevel, MessagePriority } from '../../src/leyline/messages.ts';
import {
  createOona,
  createRedisTransport,
  DEFAULT_STREAMS,
  type EmergencyHandler,
  type Oona,
  type PublishResult,
} from '../../src/oona/index.ts';
import type { Consumer, DeliveryHandler, WorkPublishResult } from '../../src/oona/work-types.ts';
import { type BusPlan, type BusTarget, type ConsumerPlan, type Keys, PUBLISH_DEADLINE_MS } from './plan.ts';

export const STREAM = DEFAULT_STREAMS.normal;
/** Where what is urgent of `STREAM`'s kinds travels. */
export const URGENT_STREAM = DEFAULT_STREAMS.emergency;
export const DEAD_LETTERS = DEFAULT_STREAMS.deadLetter;

/** Dead letters of a drill are counted, so none may be cut. */
const DEAD_LETTERS_KEPT = 1_000_000;

/** Makes a message of some 300 bytes. */
const FILLING = 'drill '.repeat(30);

export interface DrillPublisher {
  publish(eventId: string, high: boolean): Promise<WorkPublishResult>;
  publishEmergency(eventId: string, source: string): Promise<PublishResult>;
  close(): Promise<void>;
}

export interface DrillConsumer {
  readonly consumer: Consumer;
  /** Stops reading emergencies too, and closes every connection. */
  close(): Promise<void>;
}

function ringOf({ current, previous = [] }: Keys): KeyRing {
  return createKeyRing({
    current: { secret: current },
    previous: previous.map((secret) => ({ secret })),
  });
}

function transportOf({ url, waitReplicas = 0 }: BusTarget, clock: Clock) {
  // Impatient, or the drills would measure waiting times.
  const timing = {
    connectTimeoutMs: 1000,
    stallMs: 1000,
    readSlackMs: 500,
    reconnectBaseMs: 10,
    reconnectCapMs: 200,
  };
  return createRedisTransport({ url, waitReplicas, clock, ...timing });
}

function busOf(plan: BusPlan, clock: Clock): Oona {
  const transport = transportOf(plan.target, clock);
  const { name } = plan;
  const identity = { source: name, hostId: name, keyRing: ringOf(plan.keys) };
  const limits = { publishDeadlineMs: PUBLISH_DEADLINE_MS, deadLetterMaxLength: DEAD_LETTERS_KEPT };
  return createOona({ transport, clock, ...limits, ...identity });
}

export async function openPublisher(plan: BusPlan, clock: Clock): Promise<DrillPublisher> {
  const oona = busOf(plan, clock);
  // The engine may be down already, for the drill's sake: publishes are to find out, not this.
  await oona.ensureReady().catch(() => undefined);
  return {
    publish: (eventId, high) => {
      const message = { packetId: eventId, experimentName: FILLING, sourceSubsystem: plan.name };
      const { MESSAGE_PRIORITY_HIGH, MESSAGE_PRIORITY_NORMAL } = MessagePriority;
      const priority = high ? MESSAGE_PRIORITY_HIGH : MESSAGE_PRIORITY_NORMAL;
      const type = BusMessageType.BUS_MESSAGE_TYPE_SYSTEM_STATE;
      return oona.publish({ type, message }, { eventId, priority });
    },
    publishEmergency: (eventId, source) => {
      const times = { monotonicNs: clock.monotonicNs(), wallMs: clock.wallMs() };
      const signal = buildEmergencySignal({
        ...{ level: EmergencyLevel.EMERGENCY_LEVEL_HALT, reason: 'drill', origin: source, runId: 'drill' },
        ...{ step: 1, signalId: eventId, bootId: 'drill', ...times },
      });
      return oona.publishEmergency(signal);
    },
    close: () => oona.close(),
  };
}

/** With `onEmergency` it is the host's emergency reader as well. */
export function openConsumer(
  plan: ConsumerPlan,
  handler: DeliveryHandler,
  clock: Clock,
  onEmergency?: EmergencyHandler,
): DrillConsumer {
  const oona = busOf(plan, clock);
  const reader =
    onEmergency === undefined
      ? undefined
      : oona.emergencyReader(onEmergency, { blockMs: 500, retryBaseMs: 10 });
  void reader?.start();
  const { group, consumer: name, settings } = plan;
  const named = name === undefined ? {} : { consumer: name };
  const consumer = oona.consumer({ stream: 'normal', group, ...named, ...settings }, handler);
  return { consumer, close: () => oona.close() };
}
