import { once } from 'node:events';
import net from 'node:net';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { EmergencyLevel } from '../../src/leyline/messages.ts';
import { openEmergencySignal } from '../../src/signals/index.ts';
import type { Cleanup } from './cleanup.ts';
import { FutexFloor } from './futex-floor.ts';
import { REDIS_CHANNEL, REDIS_STREAM, type ReceiverKind, SOCKET_MESSAGE_BYTES } from './wake-protocol.ts';
import { MessageVariant, type WakeVariant } from './wake-variant.ts';

export interface WakeSetup {
  readonly redisUrl: string;
  /** Directory for the Unix socket. */
  readonly directory: string;
  /** Prefix of the segment names. */
  readonly prefix: string;
  readonly cleanup: Cleanup;
}

/** Stream length kept: the benchmark must not measure a Redis that grows. */
const STREAM_KEEP = 1000;

interface Opened {
  readonly address: string;
  /** Makes `send` once the receiver listens; a socket cannot be connected before. */
  readonly connect: (worker: {
    send(message: { type: 'trigger'; seq: number }): void;
  }) => Promise<(seq: number) => void>;
}

function openFlagVariant(setup: WakeSetup, suffix: string): Opened {
  const signal = openEmergencySignal(`${setup.prefix}-${suffix}`);
  setup.cleanup.add(() => {
    signal.unlink();
    signal.close();
  });
  if (signal.kind !== 'shared') {
    throw new Error(`no shared memory here: ${signal.degraded?.code} ${signal.degraded?.reason}`);
  }
  const send = (seq: number): void => {
    signal.trigger(EmergencyLevel.EMERGENCY_LEVEL_CONSERVATIVE, {
      reason: 'loss spike',
      origin: 'bench',
      runId: 'bench-run',
      step: seq,
    });
  };
  return { address: signal.name, connect: async () => send };
}

function openUnixSocket(setup: WakeSetup): Opened {
  const path = join(setup.directory, 'wake.sock');
  const connect = async (): Promise<(seq: number) => void> => {
    const socket = net.connect(path);
    await once(socket, 'connect');
    setup.cleanup.add(() => {
      socket.destroy();
    });
    return (seq) => {
      const message = Buffer.allocUnsafe(SOCKET_MESSAGE_BYTES);
      message.writeBigUInt64LE(BigInt(seq), 0);
      message.writeBigUInt64LE(process.hrtime.bigint(), 8);
      socket.write(message);
    };
  };
  return { address: path, connect };
}

async function openRedis(setup: WakeSetup): Promise<Redis> {
  const redis = new Redis(setup.redisUrl);
  setup.cleanup.add(() => redis.disconnect());
  await redis.ping();
  return redis;
}

function failLoudly(error: unknown): void {
  console.error('redis sender:', error instanceof Error ? error.message : error);
}

function openPubSub(setup: WakeSetup): Opened {
  const connect = async (): Promise<(seq: number) => void> => {
    const redis = await openRedis(setup);
    return (seq) => {
      redis.publish(REDIS_CHANNEL, `${seq}`).catch(failLoudly);
    };
  };
  return { address: setup.redisUrl, connect };
}

function openStream(setup: WakeSetup): Opened {
  const connect = async (): Promise<(seq: number) => void> => {
    const redis = await openRedis(setup);
    return (seq) => {
      redis.xadd(REDIS_STREAM, 'MAXLEN', '~', STREAM_KEEP, '*', 'seq', seq).catch(failLoudly);
    };
  };
  return { address: setup.redisUrl, connect };
}

/** The variants of the wake comparison, receivers started and connected, ours first. */
export async function startWakeVariants(setup: WakeSetup): Promise<WakeVariant[]> {
  const message = async (
    id: string,
    title: string,
    kind: ReceiverKind,
    opened: Opened,
    everyRounds: number,
  ): Promise<WakeVariant> => {
    const variant = await MessageVariant.start(id, title, kind, opened.address, setup.cleanup, everyRounds);
    await variant.connect(opened.connect);
    return variant;
  };
  const ipc: Opened = {
    address: '',
    connect: async (worker) => (seq) => worker.send({ type: 'trigger', seq }),
  };
  const variants = await Promise.all([
    message('ours', 'ours: trigger → subscriber', 'ours', openFlagVariant(setup, 'wake'), 1),
    message('unix_socket', 'node:net Unix socket', 'unix-socket', openUnixSocket(setup), 1),
    message('node_ipc', 'Node IPC (process.send)', 'node-ipc', ipc, 2),
    message('redis_pubsub', 'Redis pub/sub', 'redis-pubsub', openPubSub(setup), 2),
    message('redis_stream', 'Redis stream (blocked XREAD)', 'redis-stream', openStream(setup), 2),
    message('poll_100ms', 'flag polled every 100 ms', 'poll', openFlagVariant(setup, 'poll'), 5),
  ]);
  const floor = FutexFloor.start(setup.cleanup);
  return floor === undefined ? variants : [...variants, floor];
}
