import { randomBytes } from 'node:crypto';
import { Redis } from 'ioredis';
import { errorMessage } from '../../src/core/errors.ts';
import { maskRedisUrl } from '../../src/oona/index.ts';

type Environment = Readonly<Record<string, string>>;

/** Settings of the package. What the caller's shell has of them belongs to another run, or to production. */
const OURS = /^(TOLARIA_|WEATHERLIGHT_|OONA_|ESPER_(?!FASTPATH_NATIVE$)|REDIS_URL$)/;

/** The caller's environment without settings of the package. */
export function foreignEnvironment(): Environment {
  const kept = Object.entries(process.env).filter(([name]) => !OURS.test(name));
  return Object.fromEntries(kept) as Environment;
}

/** The bus of one run: embedded and unsigned, or Redis with a secret that only this run's processes know. */
export function busEnvironment(runId: string, redisUrl: string | undefined): Environment {
  if (redisUrl === undefined) return { ESPER_ALLOW_UNSIGNED: '1' };
  return {
    REDIS_URL: redisUrl,
    ESPER_LEYLINE_SECRET: randomBytes(32).toString('base64url'),
    ...streamNames(runId),
  };
}

/** Streams of this run's own: an emergency of a demo is none for whoever else uses that Redis. */
function streamNames(runId: string): Environment {
  return {
    OONA_NORMAL_STREAM: `${runId}.normal`,
    OONA_EMERGENCY_STREAM: `${runId}.emergency`,
    OONA_TELEMETRY_STREAM: `${runId}.telemetry`,
    OONA_POLICY_STREAM: `${runId}.policy`,
  };
}

/** Deletes the streams of a run; the keys beside them expire by themselves. */
export async function removeStreams(redis: Redis, runId: string): Promise<void> {
  await redis.unlink(...Object.values(streamNames(runId)));
}

/** One use of Redis on a connection of its own. Rejects at once, and says where, when nothing answers. */
export async function withRedis(url: string, use: (redis: Redis) => Promise<unknown>): Promise<void> {
  const redis = new Redis(url, { maxRetriesPerRequest: 1, lazyConnect: true, retryStrategy: () => null });
  let refused: unknown;
  redis.on('error', (error) => {
    refused = error;
  });
  try {
    await redis.connect();
    await use(redis);
  } catch (error) {
    // What `connect` rejects with is only 'Connection is closed.'; why, the event before it says.
    const cause = refused ?? error;
    throw new Error(`no Redis at ${maskRedisUrl(url)}: ${errorMessage(cause)}`, { cause });
  } finally {
    redis.disconnect();
  }
}
