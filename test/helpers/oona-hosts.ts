import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import type { Test } from 'uvu';
import * as assert from 'uvu/assert';
import type { EmergencySignal } from '../../src/leyline/index.ts';
import {
  createOona,
  createRedisTransport,
  type EmergencyReader,
  type Oona,
  type PublishResult,
  type RedisTransportOptions,
  type RejectedEmergency,
} from '../../src/oona/index.ts';
import { keyRing } from './oona-fixtures.ts';
import { type RedisServer, type StartRedisOptions, startRedis } from './redis-server.ts';

export interface RedisHost {
  readonly oona: Oona;
  readonly reader: EmergencyReader;
  /** Signal ids in the order in which the handler got them. */
  readonly heard: string[];
  readonly rejected: RejectedEmergency[];
}

const cleanups: (() => Promise<unknown>)[] = [];

/** Call once per file: what `server`, `host` and `admin` open is closed after each test, newest first. */
export function closeAfterEach(test: Test): void {
  test.after.each(async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  });
}

export function atEnd(cleanup: () => Promise<unknown>): void {
  cleanups.push(cleanup);
}

export async function server(options: StartRedisOptions = {}): Promise<RedisServer> {
  const started = await startRedis(options);
  atEnd(() => started.kill());
  return started;
}

/** A bus with a reader, impatient enough for tests of what goes wrong. */
export function host(url: string, hostId: string, more: Partial<RedisTransportOptions> = {}): RedisHost {
  const timing = {
    connectTimeoutMs: 400,
    stallMs: 200,
    readSlackMs: 200,
    reconnectBaseMs: 5,
    reconnectCapMs: 50,
  };
  const transport = createRedisTransport({ url, ...timing, ...more });
  const oona = createOona({ transport, keyRing, source: 'test', hostId, publishDeadlineMs: 1000 });
  atEnd(() => oona.close());
  const heard: string[] = [];
  const rejected: RejectedEmergency[] = [];
  const reader = oona.emergencyReader(({ message }) => void heard.push(message.signalId), {
    ...{ blockMs: 300, retryBaseMs: 5, retryCapMs: 50 },
    onRejected: (one) => void rejected.push(one),
  });
  return { oona, reader, heard, rejected };
}

/** A plain client of a server that the test started. */
export function admin(redis: RedisServer): Redis {
  const client = new Redis(redis.port, '127.0.0.1', { retryStrategy: () => 20, maxRetriesPerRequest: null });
  client.on('error', () => undefined);
  atEnd(async () => client.disconnect());
  return client;
}

/** Publishes until it is on the stream for certain, as the supervisor does. */
export async function publishSurely(oona: Oona, message: EmergencySignal): Promise<PublishResult> {
  for (;;) {
    const result = await oona.publishEmergency(message, { deadlineMs: 500 });
    if (result.outcome !== 'failed') return result;
    assert.ok(result.retryable, result.reason);
    await delay(5);
  }
}

export const codeOf = (result: PublishResult): string =>
  result.outcome === 'failed' ? result.code : result.outcome;
