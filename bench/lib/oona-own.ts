// Our side of bench/oona.ts, and the only file of it that knows how the bus is put together.
import { type SignedEntry, sealMessage } from '../../src/leyline/envelope.ts';
import { createKeyRing } from '../../src/leyline/key-ring.ts';
import { BusMessageType } from '../../src/leyline/messages.ts';
import {
  createOona,
  createRedisTransport,
  DEFAULT_STREAMS,
  type EmergencySignalMessage,
  type Oona,
} from '../../src/oona/index.ts';
import type { BusMessage } from '../../src/oona/work-types.ts';
import { BENCH_SECRET } from './weatherlight-process.ts';

/** Field reports go here. */
export const OWN_STREAM = DEFAULT_STREAMS.normal;
export const OWN_EMERGENCY_STREAM = DEFAULT_STREAMS.emergency;
export const OWN_GROUP = 'bench';

export interface OwnConsumer {
  /** Entries whose acknowledgement the server has confirmed. */
  acknowledged(): number;
  stop(): Promise<void>;
}

/** A bus with its defaults: signed, deduplicated, depth looked at, latencies recorded, replay guarded. */
export interface OwnBus {
  /** For its emergencies: their publisher and readers. */
  readonly oona: Oona;
  /** Throws unless it was stored. */
  publish(message: BusMessage): Promise<void>;
  /** Hands the event id of each message of OWN_STREAM to `handler`. Resolves once it reads. */
  consume(handler: (eventId: string) => void): Promise<OwnConsumer>;
  close(): Promise<void>;
}

const keyRing = createKeyRing({ current: { secret: BENCH_SECRET } });
/** Long enough for a saturated machine: here a late publish is measured, not given up. */
const DEADLINE_MS = 10_000;
/** As many as the peers are given. */
const MAX_IN_FLIGHT = 100;

/** An entry as the bus stores it, for a bare XADD of the same bytes. */
function sealed(message: BusMessage, eventId: string, stream: string): SignedEntry {
  const attributes = { event_id: eventId, issued_at_ms: String(Date.now()), stream, source: 'bench' };
  return sealMessage({ messageType: message.type, message: message.message, attributes }, keyRing);
}

export function sealedReport(message: BusMessage, eventId: string): SignedEntry {
  return sealed(message, eventId, OWN_STREAM);
}

export function sealedEmergency(message: EmergencySignalMessage): SignedEntry {
  const type = BusMessageType.BUS_MESSAGE_TYPE_EMERGENCY_SIGNAL;
  return sealed({ type, message }, message.signalId, OWN_EMERGENCY_STREAM);
}

/** What sends it; throws unless it was stored. */
export function sendEmergency(oona: Oona, message: EmergencySignalMessage): () => Promise<void> {
  return async () => {
    const result = await oona.publishEmergency(message);
    if (result.outcome !== 'published') throw new Error(`emergency: ${JSON.stringify(result)}`);
  };
}

export async function openOwn(redisUrl: string, hostId: string): Promise<OwnBus> {
  const transport = createRedisTransport({ url: redisUrl });
  const oona = createOona({ transport, keyRing, source: 'bench', hostId, publishDeadlineMs: DEADLINE_MS });
  await oona.ensureReady();
  return {
    oona,
    publish: async (message) => {
      const result = await oona.publish(message);
      if (result.outcome !== 'published') throw new Error(`publish: ${JSON.stringify(result)}`);
    },
    consume: async (handler) => {
      const options = { stream: 'normal', group: OWN_GROUP, maxInFlight: MAX_IN_FLIGHT } as const;
      const consumer = oona.consumer(options, ({ eventId }) => handler(eventId));
      await consumer.start();
      return { acknowledged: () => consumer.stats().acknowledged, stop: () => consumer.stop() };
    },
    close: () => oona.close(),
  };
}
