import type { Acknowledgement } from './acknowledgement.ts';

/** An event whose publisher waits for room, in the order they came. */
export class WaitingPublisher<T> {
  readonly event: T;
  readonly size: number;
  readonly ack: Acknowledgement | undefined;
  next: WaitingPublisher<T> | undefined;
  previous: WaitingPublisher<T> | undefined;
  readonly #signal: AbortSignal | undefined;
  readonly #resolve: () => void;
  readonly #reject: (error: unknown) => void;
  #onAbort: (() => void) | undefined;

  constructor(
    { event, size, ack, signal }: WaitingEvent<T>,
    resolve: () => void,
    reject: (error: unknown) => void,
  ) {
    this.event = event;
    this.size = size;
    this.ack = ack;
    this.#signal = signal;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  leaveOnAbort(queue: WaitingPublishers<T>): void {
    const signal = this.#signal;
    if (signal === undefined) return;
    this.#onAbort = () => {
      queue.leave(this);
      this.#reject(signal.reason);
    };
    signal.addEventListener('abort', this.#onAbort, { once: true });
  }

  resolve(): void {
    this.#forgetSignal();
    this.#resolve();
  }

  reject(error: unknown): void {
    this.#forgetSignal();
    this.#reject(error);
  }

  #forgetSignal(): void {
    if (this.#onAbort !== undefined) this.#signal?.removeEventListener('abort', this.#onAbort);
  }
}

export interface WaitingEvent<T> {
  readonly event: T;
  readonly size: number;
  readonly ack: Acknowledgement | undefined;
  readonly signal: AbortSignal | undefined;
}

/** Publishers that wait at one queue, first come first served; each goes away when its signal says so. */
export class WaitingPublishers<T> {
  #first: WaitingPublisher<T> | undefined;
  #last: WaitingPublisher<T> | undefined;
  #size = 0;
  #bytes = 0;

  get size(): number {
    return this.#size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get first(): WaitingPublisher<T> | undefined {
    return this.#first;
  }

  /** Settles when somebody settles the publisher that it adds; rejects with the signal's reason when that aborts. */
  join(waiting: WaitingEvent<T>): Promise<void> {
    return new Promise((resolve, reject) => {
      const publisher = new WaitingPublisher(waiting, resolve, reject);
      publisher.leaveOnAbort(this);
      publisher.previous = this.#last;
      if (this.#last === undefined) this.#first = publisher;
      else this.#last.next = publisher;
      this.#last = publisher;
      this.#size += 1;
      this.#bytes += waiting.size;
    });
  }

  /** Of one that is here; whoever settles it calls this first. */
  leave(publisher: WaitingPublisher<T>): void {
    const { previous, next } = publisher;
    if (previous === undefined) this.#first = next;
    else previous.next = next;
    if (next === undefined) this.#last = previous;
    else next.previous = previous;
    this.#size -= 1;
    this.#bytes -= publisher.size;
  }

  withAcknowledgement(ack: Acknowledgement): WaitingPublisher<T> | undefined {
    for (let one = this.#first; one !== undefined; one = one.next) if (one.ack === ack) return one;
    return undefined;
  }
}
