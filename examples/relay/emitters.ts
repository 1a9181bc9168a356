import { mkdir, open, rename, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../src/core/clock.ts';
import type { Metrics } from '../../src/core/metrics.ts';
import { createKeyRing } from '../../src/leyline/key-ring.ts';
import { BusMessageType, TelemetryLevel } from '../../src/leyline/messages.ts';
import { timestampFromWallMs } from '../../src/leyline/timestamps.ts';
import {
  type BusMessage,
  createMemoryTransport,
  createOona,
  createRedisTransport,
  type Oona,
  type OonaOptions,
} from '../../src/oona/index.ts';
import type { Emitter } from '../../src/pipeline/index.ts';
import type { Parcel } from './payload.ts';

/** One file a payload, whole or not there: it gets its name when all of it is on the disk. */
export function fileEmitter(directory: string): Emitter<Parcel> {
  return {
    name: 'file',
    start: async () => {
      await mkdir(directory, { recursive: true });
    },
    emit: async ({ id, bytes, ending }, signal) => {
      const path = join(directory, `${id}${ending}`);
      const begun = `${path}.part`;
      try {
        const file = await open(begun, 'w');
        try {
          await file.writeFile(bytes, { signal });
          // A 200 that a power cut takes back is none.
          await file.sync();
        } finally {
          await file.close();
        }
        await rename(begun, path);
      } catch (error) {
        await rm(begun, { force: true });
        throw error;
      }
    },
  };
}

function openOona(redisUrl: string | undefined, secret: string | undefined, metrics: Metrics): Oona {
  const transport =
    redisUrl === undefined ? createMemoryTransport() : createRedisTransport({ url: redisUrl });
  const trust: Pick<OonaOptions, 'keyRing' | 'unsigned'> =
    secret === undefined ? { unsigned: true } : { keyRing: createKeyRing({ current: { secret } }) };
  return createOona({ transport, ...trust, source: 'relay', hostId: hostname(), metrics });
}

/** Tells the bus what was taken in. The payload itself is not for it: 38 MB are no message. */
export function oonaEmitter(
  redisUrl: string | undefined,
  secret: string | undefined,
  metrics: Metrics,
): Emitter<Parcel> {
  let oona: Oona | undefined;
  return {
    name: 'oona',
    start: async (signal) => {
      oona = openOona(redisUrl, secret, metrics);
      await oona.ensureReady({ signal });
    },
    emit: async (parcel, signal) => {
      const result = await oona?.publish(noticeOf(parcel), { signal, eventId: parcel.id });
      const { outcome } = result ?? { outcome: 'failed' };
      if (outcome === 'published' || outcome === 'rerouted' || outcome === 'duplicate') return;
      throw new Error(`the bus did not take the notice: ${outcome}`);
    },
    stop: async () => {
      await oona?.close();
      oona = undefined;
    },
  };
}

function noticeOf({ id, sizeBytes, bytes, ending }: Parcel): BusMessage {
  const event = {
    eventId: id,
    description: 'payload stored',
    level: TelemetryLevel.TELEMETRY_LEVEL_INFO,
    attributes: { file: `${id}${ending}`, payload_bytes: `${sizeBytes}`, file_bytes: `${bytes.length}` },
  };
  return {
    type: BusMessageType.BUS_MESSAGE_TYPE_TELEMETRY,
    message: {
      packetId: id,
      timestamp: timestampFromWallMs(systemClock.wallMs()),
      sourceSubsystem: 'relay',
      level: TelemetryLevel.TELEMETRY_LEVEL_INFO,
      events: [event],
    },
  };
}
