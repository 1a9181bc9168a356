import { randomUUID } from 'node:crypto';
import { createRedisTransport } from '../../src/oona/transport/redis.ts';
import type { AppendResult, BusTransport, StreamEntry } from '../../src/oona/transport/transport.ts';
import { admin, atEnd, server } from './oona-hosts.ts';
import type { StartRedisOptions } from './redis-server.ts';

export const calls = { deadlineMs: 10_000 };
export const STREAM = 'work';
export const payload = new Uint8Array([1, 2, 3]);

export async function open(options?: StartRedisOptions) {
  const redis = await server(options);
  const transport = createRedisTransport({ url: redis.url });
  atEnd(() => transport.close());
  await transport.ping(calls);
  return { redis, transport, control: admin(redis) };
}

export function append(transport: BusTransport, depthLimit?: number, stream = STREAM): Promise<AppendResult> {
  const request = { stream, payload, signature: 's', dedupId: randomUUID(), dedupWindowMs: 60_000, ttlMs: 0 };
  return transport.append(depthLimit === undefined ? request : { ...request, depthLimit }, calls);
}

export async function readSome(transport: BusTransport, count: number): Promise<readonly StreamEntry[]> {
  const reader = transport.openReader();
  const place = { stream: STREAM, group: 'g', consumer: 'c', afterId: '0' };
  const entries = await reader.read(
    { ...place, which: 'new', count, blockMs: 0 },
    new AbortController().signal,
  );
  await reader.close();
  return entries;
}

/** How often each command ran since the last CONFIG RESETSTAT, in scripts too. */
export function callsOf(stats: string, command: string): number {
  return Number(
    new RegExp(`^cmdstat_${command.replace('|', '\\|')}:calls=(\\d+)`, 'm').exec(stats)?.[1] ?? 0,
  );
}

/** Entries as fast as they go in. */
export async function fill(control: ReturnType<typeof admin>, count: number): Promise<string[]> {
  const pipeline = control.pipeline();
  for (let i = 0; i < count; i++) pipeline.xadd(STREAM, '*', 'payload', 'x', 'signature', 's');
  return ((await pipeline.exec()) ?? []).map(([, id]) => String(id));
}
