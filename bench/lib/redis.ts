import { Redis } from 'ioredis';
import { type Summary, summarize } from './samples.ts';

const PINGS = 300;

/** Round trips of a PING, microseconds: the noise canary. When it moves, so does everything else on this machine. */
export async function pingUs(url: string): Promise<Summary> {
  const redis = new Redis(url);
  try {
    const samples: number[] = [];
    for (let i = 0; i < PINGS; i++) {
      const before = process.hrtime.bigint();
      await redis.ping();
      samples.push(Number(process.hrtime.bigint() - before) / 1e3);
    }
    return summarize(samples);
  } finally {
    redis.disconnect();
  }
}
