import type { Acknowledgement } from './acknowledgement.ts';
import type { QueueLimits } from './bus-options.ts';

const FIRST_CAPACITY = 8;

/**
 * What waits for a subscriber, first in, first out, and the bytes of it and of what is in the handler's hands, against
 * the limits. Three arrays side by side that grow by doubling, instead of one of objects: queueing allocates nothing.
 */
export class Backlog<T> {
  limits: QueueLimits;
  #events: (T | undefined)[] = new Array(FIRST_CAPACITY).fill(undefined);
  #sizes: number[] = new Array(FIRST_CAPACITY).fill(0);
  #acks: (Acknowledgement | undefined)[] = new Array(FIRST_CAPACITY).fill(undefined);
  #mask = FIRST_CAPACITY - 1;
  #head = 0;
  #length = 0;
  #bytes = 0;
  /** Of those that may be evicted: nobody waits for their delivery. */
  #plain = 0;
  #plainBytes = 0;

  constructor(limits: QueueLimits) {
    this.limits = limits;
  }

  get length(): number {
    return this.#length;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** One that is larger than a lowered bound is taken alone, or it would wait as long as the bound is low. */
  fits(size: number): boolean {
    const { bufferSize, maxBytes } = this.limits;
    return this.#length < bufferSize && (this.#bytes + size <= maxBytes || this.#bytes === 0);
  }

  /** Would it fit when all that nobody waits for had gone? */
  fitsAfterEviction(size: number): boolean {
    const { bufferSize, maxBytes } = this.limits;
    const kept = this.#bytes - this.#plainBytes;
    return this.#length - this.#plain < bufferSize && (kept + size <= maxBytes || kept === 0);
  }

  isAbove(ratio: number): boolean {
    const { bufferSize, maxBytes } = this.limits;
    return this.#length > bufferSize * ratio || this.#bytes > maxBytes * ratio;
  }

  /** For the context of an error event. */
  levels(): Readonly<Record<string, number>> {
    const { bufferSize, maxBytes } = this.limits;
    const used = Math.max(this.#length / bufferSize, this.#bytes / maxBytes);
    return {
      ...{ buffer_size: bufferSize, buffer_used: this.#length },
      ...{ buffer_bytes: this.#bytes, max_bytes: maxBytes },
      usage_percent: Math.round(used * 1000) / 10,
    };
  }

  push(event: T, size: number, ack: Acknowledgement | undefined): void {
    if (this.#length > this.#mask) this.#grow();
    const at = (this.#head + this.#length) & this.#mask;
    this.#events[at] = event;
    this.#sizes[at] = size;
    this.#acks[at] = ack;
    this.#length += 1;
    this.#bytes += size;
    if (ack === undefined) {
      this.#plain += 1;
      this.#plainBytes += size;
    }
  }

  /** Size and acknowledgement of the oldest, to be read before shift(). */
  headSize(): number {
    return this.#sizes[this.#head] as number;
  }

  headAcknowledgement(): Acknowledgement | undefined {
    return this.#acks[this.#head];
  }

  /** The oldest, when there is one. Its bytes count on until release(). */
  shift(): T {
    const at = this.#head;
    const event = this.#events[at] as T;
    if (this.#acks[at] === undefined) {
      this.#plain -= 1;
      this.#plainBytes -= this.#sizes[at] as number;
    } else {
      this.#acks[at] = undefined;
    }
    // Or a delivered event is held until the ring comes round.
    this.#events[at] = undefined;
    this.#head = (at + 1) & this.#mask;
    this.#length -= 1;
    return event;
  }

  /** The bytes of one that goes into the handler's hands without waiting here; until release(). */
  take(size: number): void {
    this.#bytes += size;
  }

  /** The bytes of one that was taken or shifted and is done with. */
  release(size: number): void {
    this.#bytes -= size;
  }

  /** Takes out the oldest that nobody waits for. Only when fitsAfterEviction() and not fits(). */
  evict(): void {
    this.#take((ack) => ack === undefined);
  }

  /** Takes out the one with this acknowledgement; false when it is not here. */
  remove(ack: Acknowledgement): boolean {
    return this.#length > this.#plain && this.#take((one) => one === ack);
  }

  /** The first that matches moves to the head, those before it up by one; mostly it is the head. */
  #take(matches: (ack: Acknowledgement | undefined) => boolean): boolean {
    let distance = 0;
    while (distance < this.#length && !matches(this.#acks[this.#at(distance)])) distance += 1;
    if (distance === this.#length) return false;
    const size = this.#sizes[this.#at(distance)] as number;
    const ack = this.#acks[this.#at(distance)];
    for (; distance > 0; distance--) this.#copy(this.#at(distance - 1), this.#at(distance));
    this.#sizes[this.#head] = size;
    this.#acks[this.#head] = ack;
    this.shift();
    this.release(size);
    return true;
  }

  #at(distance: number): number {
    return (this.#head + distance) & this.#mask;
  }

  #copy(from: number, to: number): void {
    this.#events[to] = this.#events[from];
    this.#sizes[to] = this.#sizes[from] as number;
    this.#acks[to] = this.#acks[from];
  }

  #grow(): void {
    const capacity = (this.#mask + 1) * 2;
    const order = Array.from({ length: capacity }, (_, distance) =>
      distance < this.#length ? this.#at(distance) : -1,
    );
    this.#events = order.map((at) => this.#events[at]);
    this.#sizes = order.map((at) => this.#sizes[at] ?? 0);
    this.#acks = order.map((at) => this.#acks[at]);
    this.#head = 0;
    this.#mask = capacity - 1;
  }
}
