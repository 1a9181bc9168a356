import { loadPeer, type Peer } from './peers.ts';

/** A rival that stores messages and hands them to a handler. */
export interface PeerQueue {
  add(seq: number, notes: string): Promise<unknown>;
  /** Hands each message's number to `handler`, up to `concurrency` at once. Resolves once it runs. */
  process(handler: (seq: number) => void, concurrency: number): Promise<void>;
  /** Stored and not handled yet. */
  waiting(): Promise<number>;
  close(): Promise<void>;
}

export interface PeerKind {
  readonly id: string;
  readonly title: string;
  readonly open: (redisUrl: string) => Promise<PeerQueue>;
}

interface Job {
  readonly data: { readonly seq: number; readonly notes: string };
}

/** What is used here of bullmq. */
interface BullMq {
  readonly Queue: new (
    name: string,
    options: object,
  ) => {
    waitUntilReady(): Promise<unknown>;
    add(name: string, data: Job['data']): Promise<unknown>;
    getWaitingCount(): Promise<number>;
    close(): Promise<void>;
  };
  readonly Worker: new (
    name: string,
    processor: (job: Job) => Promise<void>,
    options: object,
  ) => { waitUntilReady(): Promise<unknown>; close(force: boolean): Promise<void> };
}

const NAME = 'bench-peer';

function connectionOf(redisUrl: string): { host: string; port: number; maxRetriesPerRequest: null } {
  const { hostname, port } = new URL(redisUrl);
  return { host: hostname, port: Number(port), maxRetriesPerRequest: null };
}

async function openBullMq({ Queue, Worker }: BullMq, redisUrl: string): Promise<PeerQueue> {
  const connection = connectionOf(redisUrl);
  // Without it finished jobs stay, and every job costs more than what is compared.
  const defaultJobOptions = { removeOnComplete: true, removeOnFail: true };
  const queue = new Queue(NAME, { connection, defaultJobOptions });
  await queue.waitUntilReady();
  let worker: InstanceType<BullMq['Worker']> | undefined;
  return {
    add: (seq, notes) => queue.add('message', { seq, notes }),
    process: async (handler, concurrency) => {
      worker = new Worker(NAME, async ({ data }) => handler(data.seq), { connection, concurrency });
      await worker.waitUntilReady();
    },
    waiting: () => queue.getWaitingCount(),
    close: async () => {
      // True: without waiting for the read that blocks; nothing is under way any more.
      await worker?.close(true);
      await queue.close();
    },
  };
}

/** What is used here of moleculer. */
interface Moleculer {
  readonly ServiceBroker: new (
    options: object,
  ) => {
    createService(schema: object): unknown;
    start(): Promise<void>;
    stop(): Promise<void>;
    sendToChannel(channel: string, payload: Job['data']): Promise<unknown>;
  };
}
interface MoleculerChannels {
  readonly Middleware: (options: object) => object;
}

async function openMoleculer(
  { ServiceBroker }: Moleculer,
  { Middleware }: MoleculerChannels,
  redisUrl: string,
): Promise<PeerQueue> {
  const { host, port } = connectionOf(redisUrl);
  const adapter = { type: 'Redis', options: { redis: { host, port } } };
  const broker = new ServiceBroker({ logger: false, middlewares: [Middleware({ adapter })] });
  let started = false;
  const start = async (): Promise<void> => {
    await broker.start();
    started = true;
  };
  return {
    add: (seq, notes) => broker.sendToChannel(NAME, { seq, notes }),
    process: async (handler, concurrency) => {
      const channel = {
        group: 'bench',
        maxInFlight: concurrency,
        redis: { startID: '0' },
        handler: async ({ seq }: Job['data']) => handler(seq),
      };
      broker.createService({ name: 'bench', channels: { [NAME]: channel } });
      await start();
    },
    // A stream, in which handled messages stay.
    waiting: () => Promise.reject(new Error('moleculer-channels does not tell')),
    close: async () => {
      if (started) await broker.stop();
      started = false;
    },
  };
}

function kindOf<T>(
  id: string,
  title: string,
  peer: Peer<T>,
  open: (module: T, url: string) => Promise<PeerQueue>,
) {
  if (peer.missing !== undefined) {
    console.log(`  ${title}: not measured, ${peer.missing}`);
    return [];
  }
  return [{ id, title, open: (url: string) => open(peer.module, url) }];
}

export function bullMq(): PeerKind[] {
  return kindOf('bullmq', 'BullMQ', loadPeer<BullMq>('bullmq'), openBullMq);
}

export function moleculerChannels(): PeerKind[] {
  const channels = loadPeer<MoleculerChannels>('@moleculer/channels');
  if (channels.missing !== undefined) {
    console.log(`  @moleculer/channels: not measured, ${channels.missing}`);
    return [];
  }
  return kindOf('moleculer', '@moleculer/channels', loadPeer<Moleculer>('moleculer'), (module, url) =>
    openMoleculer(module, channels.module, url),
  );
}
