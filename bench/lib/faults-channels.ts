/** Ways from a producer to a consumer inside one process: our bus, Node streams in object mode and a queue of `async`. */
import { PassThrough, Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type BusPolicy, createBus } from '../../src/pipeline/index.ts';
import { loadPeer } from './peers.ts';

export interface ChannelEvent {
  readonly id: number;
  /** When it was handed over, where that is measured. */
  readonly atNs: bigint;
}

/** A promise where it takes its time. */
export type ChannelHandler = (event: ChannelEvent) => Promise<void> | undefined;

/** What became of the events, by the channel's own account. */
export interface ChannelCounts {
  readonly received: number;
  readonly delivered: number;
  readonly dropped: number;
  readonly queued: number;
}

export interface Channel {
  /** A promise when the producer must wait. */
  send(event: ChannelEvent): Promise<unknown> | undefined;
  /** Takes so many from `source` by itself; where a producer is asked instead of asking. */
  pull?(count: number, source: () => ChannelEvent): void;
  /** Undefined where it has no account. */
  counts(): ChannelCounts | undefined;
  close(): Promise<void>;
}

export interface ChannelKind {
  readonly id: string;
  readonly title: string;
  open(handler: ChannelHandler): Channel;
}

/** Of each buffer: the bus's own default. */
export const BUFFER = 8;

export type Policy = BusPolicy | 'dropSlow';

export function busChannel(policy: Policy): ChannelKind {
  const limits =
    policy === 'dropSlow' ? ({ policy: 'block', dropSlow: true } as const) : ({ policy } as const);
  return {
    id: `bus_${policy}`,
    title: `bus, ${policy}`,
    open: (handler) => {
      const bus = createBus<ChannelEvent>({ name: 'bench', bufferSize: BUFFER, ...limits });
      const subscription = bus.subscribe(handler, { name: 'consumer' });
      return {
        send: (event) => bus.publish(event),
        counts: () => subscription.stats(),
        close: () => bus.close(),
      };
    },
  };
}

const OPTIONS = { objectMode: true, highWaterMark: BUFFER } as const;

function sinkOf(handler: ChannelHandler): Writable {
  return new Writable({
    ...OPTIONS,
    write: (event: ChannelEvent, _encoding, done) => {
      const under = handler(event);
      if (under === undefined) done();
      else under.then(() => done(), done);
    },
  });
}

const drained = (stream: Writable): Promise<void> => new Promise((resolve) => stream.once('drain', resolve));

/** Events are written into a stream, which waits for no other. */
export const writableChannel: ChannelKind = {
  id: 'writable',
  title: 'Writable alone',
  open: (handler) => {
    const stream = sinkOf(handler);
    return {
      send: (event) => (stream.write(event) ? undefined : drained(stream)),
      counts: () => undefined,
      close: () => new Promise((resolve) => stream.end(resolve)),
    };
  },
};

/** What finds the stream full is dropped by hand: streams themselves know only how to wait. */
export const droppingWritable: ChannelKind = {
  id: 'writable_dropping',
  title: 'Writable, dropping by hand',
  open: (handler) => {
    let [received, dropped, delivered] = [0, 0, 0];
    const stream = sinkOf((event) => {
      delivered += 1;
      return handler(event);
    });
    return {
      send: (event) => {
        received += 1;
        if (stream.writableLength >= BUFFER) dropped += 1;
        else stream.write(event);
        return undefined;
      },
      counts: () => ({ received, delivered, dropped, queued: 0 }),
      close: () => new Promise((resolve) => stream.end(resolve)),
    };
  },
};

export const passThroughChannel: ChannelKind = {
  id: 'passthrough',
  title: 'PassThrough → Writable',
  open: (handler) => {
    const source = new PassThrough(OPTIONS);
    const ended = pipeline(source, sinkOf(handler));
    return {
      send: (event) => (source.write(event) ? undefined : drained(source)),
      counts: () => undefined,
      close: () => {
        source.end();
        return ended;
      },
    };
  },
};

export const readableChannel: ChannelKind = {
  id: 'readable',
  title: 'Readable → Writable',
  open: (handler) => {
    let wake: (() => void) | undefined;
    let left = 0;
    let next: (() => ChannelEvent) | undefined;
    const source = new Readable({
      ...OPTIONS,
      read: () => {
        if (next === undefined || left === 0) return wake?.();
        left -= 1;
        source.push(next());
      },
    });
    const ended = pipeline(source, sinkOf(handler));
    const wanted = (resolve: () => void): void => {
      wake = resolve;
    };
    return {
      send: (event) => (source.push(event) ? undefined : new Promise<void>(wanted)),
      pull: (count, from) => {
        next = from;
        left = count - 1;
        source.push(from());
      },
      counts: () => undefined,
      close: () => {
        source.push(null);
        return ended;
      },
    };
  },
};

interface AsyncQueue {
  push(event: ChannelEvent, done: () => void): void;
  length(): number;
}

interface AsyncLibrary {
  queue(
    worker: (event: ChannelEvent, done: (error?: unknown) => void) => void,
    concurrency: number,
  ): AsyncQueue;
}

/** A queue of `async`, which has no bound of its own: whoever finds a full buffer waits for a call to end. */
export function asyncQueueChannel(): ChannelKind | undefined {
  const peer = loadPeer<AsyncLibrary>('async');
  if (peer.missing !== undefined) {
    console.log(`  async.queue: not measured, ${peer.missing}`);
    return undefined;
  }
  const open = (handler: ChannelHandler): Channel => {
    let wake: (() => void) | undefined;
    let ended: () => void = () => undefined;
    let underWay = 0;
    const queue = peer.module.queue((event, done) => {
      const under = handler(event);
      if (under === undefined) done();
      else under.then(() => done(), done);
    }, 1);
    const onDone = (): void => {
      underWay -= 1;
      if (underWay === 0) ended();
      if (wake === undefined || queue.length() > BUFFER / 2) return;
      const resume = wake;
      wake = undefined;
      resume();
    };
    const room = (resolve: () => void): void => {
      wake = resolve;
    };
    return {
      send: (event) => {
        underWay += 1;
        queue.push(event, onDone);
        return queue.length() < BUFFER ? undefined : new Promise<void>(room);
      },
      counts: () => undefined,
      close: () =>
        underWay === 0
          ? Promise.resolve()
          : new Promise((resolve) => {
              ended = resolve;
            }),
    };
  };
  return { id: 'async_queue', title: 'async.queue', open };
}
