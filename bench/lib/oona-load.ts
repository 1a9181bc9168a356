// What bench/workers/oona-load.ts does, and how it is told to.
import { setTimeout as sleep } from 'node:timers/promises';
import { type MessageMaker, messageMaker, seqOf } from './oona-message.ts';
import type { OwnBus, OwnConsumer } from './oona-own.ts';

export type LoadCommand =
  /** Publishes at this rate, or (null) as fast as 100 in flight go, until told to stop. */
  { readonly type: 'start'; readonly perSecond: number | null } | { readonly type: 'stop' };

export interface LoadTotals {
  readonly published: number;
  readonly handled: number;
  readonly publishedPerS: number;
}

export type LoadReply =
  | { readonly type: 'ready' }
  | { readonly type: 'started' }
  | ({ readonly type: 'stopped' } & LoadTotals);

const SIZE_BYTES = 256;
const LANES = 100;
/** Let out at once at most when the loop was late: a generator that catches up in one burst is another load. */
const MAX_BURST = 100;
/** More than one run publishes. */
const RUN_NUMBERS = 10_000_000;
const DRAIN_TIMEOUT_MS = 30_000;

/** Normal messages, published and consumed in this process through the bus, at a rate. */
export class Load {
  readonly #own: OwnBus;
  readonly #maker: MessageMaker;
  readonly #handled = new Set<number>();
  #handlings = 0;
  /** Number of the first message of this run: none may repeat one of the run before. */
  #first = 0;
  #published = 0;
  #startedAtMs = 0;
  #running = false;
  #loop: Promise<unknown> = Promise.resolve();
  #consumer: OwnConsumer | undefined;

  constructor(own: OwnBus, label: string) {
    this.#own = own;
    this.#maker = messageMaker(label, SIZE_BYTES);
  }

  async start(perSecond: number | null): Promise<void> {
    this.#consumer ??= await this.#own.consume((eventId) => {
      this.#handlings += 1;
      this.#handled.add(seqOf(eventId));
    });
    this.#handled.clear();
    this.#handlings = 0;
    this.#published = 0;
    this.#first += RUN_NUMBERS;
    this.#running = true;
    this.#startedAtMs = performance.now();
    this.#loop = perSecond === null ? this.#saturate() : this.#pace(perSecond);
  }

  async stop(): Promise<LoadTotals> {
    this.#running = false;
    const elapsedS = (performance.now() - this.#startedAtMs) / 1e3;
    const publishedPerS = this.#published / elapsedS;
    await this.#loop;
    const endsAt = performance.now() + DRAIN_TIMEOUT_MS;
    while (this.#handled.size < this.#published && performance.now() < endsAt) await sleep(5);
    return { published: this.#published, handled: this.#handlings, publishedPerS };
  }

  async close(): Promise<void> {
    await this.#consumer?.stop();
    await this.#own.close();
  }

  #publish(): Promise<void> {
    const seq = this.#first + this.#published;
    this.#published += 1;
    return this.#own.publish(this.#maker.make(seq));
  }

  async #pace(perSecond: number): Promise<void> {
    const under = new Set<Promise<void>>();
    while (this.#running) {
      const due = Math.floor(((performance.now() - this.#startedAtMs) / 1e3) * perSecond);
      for (let i = 0; i < MAX_BURST && this.#published < due; i++) {
        const one = this.#publish().finally(() => under.delete(one));
        under.add(one);
      }
      await sleep(1);
    }
    await Promise.all(under);
  }

  async #saturate(): Promise<void> {
    const lane = async (): Promise<void> => {
      while (this.#running) await this.#publish();
    };
    await Promise.all(Array.from({ length: LANES }, lane));
  }
}
