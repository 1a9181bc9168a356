import { setImmediate } from 'node:timers';
import type { NativeBatch } from '../native/contract.ts';
import { type FollowingCursor, isEmpty } from './following-cursor.ts';
import type { WatchOptions } from './types.ts';
import { BATCH_RECORDS, type WatchHub } from './watch.ts';

/** Events handed out before the event loop gets its turn: a ring that is written without pause must not starve it. */
const EVENTS_PER_TURN = 256;

interface Waiting<T> {
  readonly resolve: (result: IteratorResult<T, undefined>) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Pull consumer of a flag's records. Nothing is queued beyond one batch: what is not asked for stays in the ring, and
 * what the ring loses meanwhile is told. Written by hand because an async generator that waits for a record could not
 * be ended by `return()` until the next record came.
 */
export class WatchIterator<T> implements AsyncIterableIterator<T, undefined> {
  readonly #cursor: FollowingCursor;
  readonly #toEvents: (batch: NativeBatch) => T[];
  readonly #signal: AbortSignal | undefined;
  readonly #remove: () => void;
  readonly #waiting: Waiting<T>[] = [];
  readonly #end = (): void => this.#finish();
  #events: T[] = [];
  #nextEvent = 0;
  #credit = EVENTS_PER_TURN;
  #done = false;

  constructor(hub: WatchHub, options: WatchOptions, toEvents: (batch: NativeBatch) => T[]) {
    this.#toEvents = toEvents;
    this.#signal = options.signal;
    this.#cursor = hub.cursor(options.from ?? 'now');
    if (this.#signal?.aborted === true) {
      this.#done = true;
      this.#remove = () => undefined;
      return;
    }
    this.#remove = hub.add({ cursor: this.#cursor, wake: () => this.#wake(), end: this.#end });
    this.#signal?.addEventListener('abort', this.#end, { once: true });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<T, undefined>> {
    return new Promise((resolve, reject) => {
      if (this.#done) {
        resolve({ done: true, value: undefined });
        return;
      }
      this.#waiting.push({ resolve, reject });
      if (this.#credit > 0) this.#serve();
      else if (this.#waiting.length === 1) setImmediate(() => this.#wake());
    });
  }

  async return(): Promise<IteratorResult<T, undefined>> {
    this.#finish();
    return { done: true, value: undefined };
  }

  async throw(error: unknown): Promise<IteratorResult<T, undefined>> {
    this.#finish();
    throw error;
  }

  #wake(): void {
    this.#credit = EVENTS_PER_TURN;
    this.#serve();
  }

  #serve(): void {
    while (this.#waiting.length > 0 && this.#credit > 0) {
      let event: { value: T } | undefined;
      try {
        event = this.#take();
      } catch (error) {
        this.#waiting.shift()?.reject(error);
        this.#finish();
        return;
      }
      if (event === undefined) return;
      this.#credit -= 1;
      this.#waiting.shift()?.resolve({ done: false, value: event.value });
    }
    if (this.#waiting.length > 0 && !this.#done) setImmediate(() => this.#wake());
  }

  #take(): { value: T } | undefined {
    if (this.#done) return undefined;
    if (this.#nextEvent >= this.#events.length) {
      const batch = this.#cursor.poll(BATCH_RECORDS);
      if (isEmpty(batch)) return undefined;
      this.#events = this.#toEvents(batch);
      this.#nextEvent = 0;
    }
    const value = this.#events[this.#nextEvent++];
    return value === undefined ? undefined : { value };
  }

  #finish(): void {
    if (this.#done) return;
    this.#done = true;
    this.#events = [];
    this.#signal?.removeEventListener('abort', this.#end);
    this.#remove();
    for (const waiting of this.#waiting.splice(0)) waiting.resolve({ done: true, value: undefined });
  }
}
