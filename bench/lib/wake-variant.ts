import type { Cleanup } from './cleanup.ts';
import type { FromReceiver, ReceiverKind, ToReceiver } from './wake-protocol.ts';
import { Worker } from './worker.ts';

export interface WakeBlock {
  /** From the sender's call to the receiver's callback, microseconds. */
  readonly latenciesUs: readonly number[];
  /** How long the sender's call held the sender, microseconds. */
  readonly callsUs: readonly number[];
  /** Triggers that never arrived. */
  readonly lost: number;
}

export interface WakeVariant {
  readonly id: string;
  readonly title: string;
  /** Takes part in one round of so many; above 1 where only the median is compared and fewer samples will do. */
  readonly everyRounds: number;
  /** `count` triggers, one every `intervalMs`. */
  run(count: number, intervalMs: number): Promise<WakeBlock>;
  /** Ends the receiver. */
  close(): Promise<void>;
}

/**
 * Triggers at the head of a block that are not counted. They come right after the message that begins the block, which
 * has just run other code in both processes: twice as slow as the rest, for every variant.
 */
export const LEAD_IN = 1;

/** Between the last trigger and the message that ends the block: sent at once, it would overtake the receiver's wake. */
const SETTLE_MS = 5;

type ReceiverWorker = Worker<ToReceiver, FromReceiver>;
type Send = (seq: number) => void;

/**
 * Calls `fire(i)` for i = 0 … count - 1 at start + (i + 1) × interval, from the event loop. Late timers do not shift
 * the schedule, so the rate holds although a timer has a granularity of 1 ms. Resolves when the last one has had time
 * to arrive; rejects with what `fire` throws.
 */
export async function pace(count: number, intervalMs: number, fire: (index: number) => void): Promise<void> {
  const startMs = performance.now();
  await new Promise<void>((resolve, reject) => {
    let index = 0;
    const next = (): void => {
      try {
        fire(index++);
      } catch (error) {
        reject(error);
        return;
      }
      if (index === count) {
        setTimeout(resolve, SETTLE_MS);
        return;
      }
      // A trigger a turn of the loop, also when late: two in one turn would be a batch that no sender makes.
      setTimeout(next, Math.max(1, startMs + (index + 1) * intervalMs - performance.now()));
    };
    setTimeout(next, intervalMs);
  });
}

/** A variant whose sender is this process and whose receiver is a Node process of its own. */
export class MessageVariant implements WakeVariant {
  readonly id: string;
  readonly title: string;
  readonly everyRounds: number;
  readonly #worker: ReceiverWorker;
  #send: Send | undefined;
  #next = 0;

  private constructor(id: string, title: string, everyRounds: number, worker: ReceiverWorker) {
    this.id = id;
    this.title = title;
    this.everyRounds = everyRounds;
    this.#worker = worker;
  }

  static async start(
    id: string,
    title: string,
    kind: ReceiverKind,
    address: string,
    cleanup: Cleanup,
    everyRounds = 1,
  ): Promise<MessageVariant> {
    const worker: ReceiverWorker = new Worker('receiver.ts', [kind, address]);
    cleanup.add(() => worker.stop());
    await worker.expect('ready');
    return new MessageVariant(id, title, everyRounds, worker);
  }

  async connect(connect: (worker: ReceiverWorker) => Promise<Send>): Promise<void> {
    this.#send = await connect(this.#worker);
  }

  close(): Promise<void> {
    return this.#worker.stop();
  }

  async run(count: number, intervalMs: number): Promise<WakeBlock> {
    const send = this.#send;
    if (send === undefined) throw new Error(`${this.id} is not connected`);
    const total = LEAD_IN + count;
    const first = this.#next;
    this.#next += total;
    const sentNs = new BigInt64Array(total);
    const callsUs = new Array<number>(total).fill(0);
    const originNs = process.hrtime.bigint();
    const begin = { type: 'begin', first, count: total, originNs: originNs.toString() } as const;
    await this.#worker.request(begin, 'begun');
    await pace(total, intervalMs, (index) => {
      const before = process.hrtime.bigint();
      send(first + index);
      const after = process.hrtime.bigint();
      sentNs[index] = before;
      callsUs[index] = Number(after - before) / 1e3;
    });
    const { atNs } = await this.#worker.request({ type: 'end' }, 'arrivals');
    const latenciesUs: number[] = [];
    for (let index = LEAD_IN; index < total; index++) {
      const at = atNs[index] ?? null;
      if (at !== null) latenciesUs.push((at - Number((sentNs[index] ?? 0n) - originNs)) / 1e3);
    }
    return { latenciesUs, callsUs: callsUs.slice(LEAD_IN), lost: count - latenciesUs.length };
  }
}
