import net from 'node:net';
import { Redis } from 'ioredis';
import { openEmergencySignal } from '../../src/signals/index.ts';
import {
  POLL_INTERVAL_MS,
  REDIS_CHANNEL,
  REDIS_STREAM,
  type ReceiverKind,
  SOCKET_MESSAGE_BYTES,
  type ToReceiver,
} from './wake-protocol.ts';

/** Called with a trigger's number and the clock as it was on entry to the variant's callback. */
export type Note = (seq: number, atNs: bigint) => void;

/** One variant's receiving side. Between blocks it is blocked in the kernel and costs nothing. */
export interface Listener {
  begin(first: number): void;
  end(): void;
}

const idle: Listener = { begin: () => undefined, end: () => undefined };

function listenOurs(segment: string, note: Note): Listener {
  const signal = openEmergencySignal(segment);
  let unsubscribe: (() => void) | undefined;
  return {
    begin: () => {
      unsubscribe = signal.subscribe((batch) => {
        const now = process.hrtime.bigint();
        for (const record of batch.records) note(record.step, now);
      });
    },
    end: () => unsubscribe?.(),
  };
}

function pollOurs(segment: string, note: Note): Listener {
  const signal = openEmergencySignal(segment);
  let timer: NodeJS.Timeout | undefined;
  return {
    // The poller sees the flag's generation, not each record: whatever was raised since the last look is noticed now.
    begin: (first) => {
      let seq = first;
      let seenGeneration = signal.read().generation;
      const look = (): void => {
        const { generation } = signal.read();
        const now = process.hrtime.bigint();
        for (; seenGeneration !== generation; seenGeneration = (seenGeneration + 1) >>> 0) note(seq++, now);
        timer = setTimeout(look, POLL_INTERVAL_MS);
      };
      // A block knows nothing of when somebody looks: the first look falls anywhere in the interval.
      timer = setTimeout(look, Math.random() * POLL_INTERVAL_MS);
    },
    end: () => clearTimeout(timer),
  };
}

async function listenUnixSocket(path: string, note: Note): Promise<Listener> {
  const server = net.createServer((socket) => {
    let rest = Buffer.alloc(0);
    socket.on('data', (chunk) => {
      const now = process.hrtime.bigint();
      const data = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      let offset = 0;
      for (; offset + SOCKET_MESSAGE_BYTES <= data.length; offset += SOCKET_MESSAGE_BYTES) {
        note(Number(data.readBigUInt64LE(offset)), now);
      }
      rest = Buffer.from(data.subarray(offset));
    });
  });
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(path, resolve));
  return idle;
}

function listenIpc(note: Note): Listener {
  process.on('message', (message: ToReceiver) => {
    const now = process.hrtime.bigint();
    if (message.type === 'trigger') note(message.seq, now);
  });
  return idle;
}

async function listenPubSub(url: string, note: Note): Promise<Listener> {
  const redis = new Redis(url);
  redis.on('message', (_channel: string, message: string) => {
    const now = process.hrtime.bigint();
    note(Number.parseInt(message, 10), now);
  });
  await redis.subscribe(REDIS_CHANNEL);
  return idle;
}

async function listenStream(url: string, note: Note): Promise<Listener> {
  const redis = new Redis(url, { maxRetriesPerRequest: null });
  await redis.ping();
  const readForEver = async (): Promise<void> => {
    let lastId = '0-0';
    for (;;) {
      const reply = await redis.xread('BLOCK', 0, 'STREAMS', REDIS_STREAM, lastId);
      const now = process.hrtime.bigint();
      for (const [id, fields] of reply?.[0]?.[1] ?? []) {
        note(Number(fields[1]), now);
        lastId = id;
      }
    }
  };
  readForEver().catch((error: unknown) => {
    console.error('redis stream receiver:', error);
    process.exit(1);
  });
  return idle;
}

/** `address` is the segment name, the socket's path or the Redis URL, as the kind needs. */
export async function listen(kind: ReceiverKind, address: string, note: Note): Promise<Listener> {
  switch (kind) {
    case 'ours':
      return listenOurs(address, note);
    case 'poll':
      return pollOurs(address, note);
    case 'unix-socket':
      return listenUnixSocket(address, note);
    case 'node-ipc':
      return listenIpc(note);
    case 'redis-pubsub':
      return listenPubSub(address, note);
    case 'redis-stream':
      return listenStream(address, note);
  }
}
