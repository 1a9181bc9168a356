import { createKeyRing } from '../../src/leyline/key-ring.ts';
import { createOona, createRedisTransport, type Oona } from '../../src/oona/index.ts';

/**
 * The bus of a trainer: Redis where `REDIS_URL` says so, signed with `ESPER_LEYLINE_SECRET`. Without Redis a trainer
 * needs none: the flag reaches everybody on the host, and the supervisor publishes what stands in its ring.
 */
export async function openBus(options: { hostId: string; source: string }): Promise<Oona | undefined> {
  const env = process.env;
  if (env.REDIS_URL === undefined || env.REDIS_URL === '') return undefined;
  const secret = env.ESPER_LEYLINE_SECRET;
  if (!secret) throw new Error('ESPER_LEYLINE_SECRET is not set, and messages on Redis must be signed');
  const oona = createOona({
    ...options,
    transport: createRedisTransport({ url: env.REDIS_URL }),
    keyRing: createKeyRing({ current: { secret } }),
    streams: {
      ...(env.OONA_EMERGENCY_STREAM && { emergency: env.OONA_EMERGENCY_STREAM }),
      ...(env.OONA_TELEMETRY_STREAM && { telemetry: env.OONA_TELEMETRY_STREAM }),
    },
  });
  await oona.ensureReady();
  return oona;
}
