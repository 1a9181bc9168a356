import { setImmediate } from 'node:timers';
import type { NativeBatch, NativeFlag } from '../native/contract.ts';
import { FollowingCursor } from './following-cursor.ts';

/** Records a consumer gets in one batch, at most. */
export const BATCH_RECORDS = 64;
/** Batches a consumer gets in one turn of the event loop: a whole ring. */
const BATCHES_PER_WAKE = 4;

export interface WatchHubOptions {
  readonly keepAlive: boolean;
  readonly recheckMs: number;
  /** Called on every wake-up after the consumers; must not throw. */
  readonly onWake: () => void;
  /** Told about a consumer that threw; the others go on. */
  readonly onConsumerError: (error: unknown) => void;
}

export interface Consumer {
  /** undefined: it reads no records. */
  readonly cursor: FollowingCursor | undefined;
  /** Something may have come. */
  readonly wake: () => void;
  /** The hub closes first. */
  readonly end: () => void;
}

/** What waits at a consumer's cursor: read once, when somebody first asks. */
export class PendingBatch {
  readonly #cursor: FollowingCursor;
  #batch: NativeBatch | undefined;

  constructor(cursor: FollowingCursor) {
    this.#cursor = cursor;
  }

  read(): NativeBatch {
    this.#batch ??= this.#cursor.poll(BATCH_RECORDS);
    return this.#batch;
  }
}

/**
 * Shares the one native watch of a flag object among any number of consumers. The native watch runs only while there
 * is a consumer; a wake-up is a hint, each consumer reads the ring through a cursor of its own.
 */
export class WatchHub {
  #flag: NativeFlag;
  readonly #options: WatchHubOptions;
  readonly #consumers = new Set<Consumer>();

  constructor(flag: NativeFlag, options: WatchHubOptions) {
    this.#flag = flag;
    this.#options = options;
  }

  /** A cursor for a consumer to come. */
  cursor(from: 'now' | 'oldest'): FollowingCursor {
    return new FollowingCursor(this.#flag.cursor(from));
  }

  /** Wakes the consumer after changes until the returned function is called or the hub closes. */
  add(consumer: Consumer): () => void {
    if (this.#consumers.size === 0) this.#startWatch(this.#flag);
    this.#consumers.add(consumer);
    return () => this.#remove(consumer);
  }

  /**
   * Goes on with another flag: every consumer reads the rest of the old one, then the new one from its oldest record.
   * Throws what `watch` throws, and then nothing has changed. The caller closes the old flag afterwards.
   */
  moveTo(flag: NativeFlag): void {
    const moves = [...this.#consumers].map(({ cursor }) => ({
      cursor,
      next: cursor && flag.cursor('oldest'),
    }));
    if (moves.length > 0) this.#startWatch(flag);
    for (const { cursor, next } of moves) if (next !== undefined) cursor?.follow(next);
    this.#flag = flag;
    // What the new segment holds already wakes nobody.
    if (moves.length > 0) setImmediate(() => this.#wakeAll());
  }

  /**
   * Push consumer: `deliver` is told of every batch since the cursor's start, and may read it: a consumer that decides
   * by the level alone is not kept waiting for records to be copied and converted. Returns the unsubscribe.
   */
  subscribe(from: 'now' | 'oldest', deliver: (pending: PendingBatch) => void): () => void {
    const cursor = this.cursor(from);
    let active = true;
    const end = (): void => {
      active = false;
    };
    const drain = (): void => {
      for (let i = 0; i < BATCHES_PER_WAKE && active; i++) {
        if (!cursor.ready()) return;
        // No closures on this way: they are made anew for every wake-up, while somebody waits for it.
        const pending = new PendingBatch(cursor);
        try {
          deliver(pending);
        } catch (error) {
          this.#options.onConsumerError(error);
        }
        // Read now whatever the consumer left unread: the next batch must begin after this one.
        if (active) pending.read();
      }
      // More than a ring: two segments, or a writer that never rests. The event loop has its turn first.
      if (active && cursor.ready()) setImmediate(drain);
    };
    const remove = this.add({ cursor, wake: drain, end });
    // What came between the cursor and the native watch woke nobody.
    setImmediate(drain);
    return () => {
      end();
      remove();
    };
  }

  /** Ends every consumer; call before the flag is closed. */
  close(): void {
    const consumers = [...this.#consumers];
    if (this.#consumers.size > 0) this.#flag.unwatch();
    this.#consumers.clear();
    for (const { end } of consumers) this.#isolate(end);
  }

  #startWatch(flag: NativeFlag): void {
    const { keepAlive, recheckMs } = this.#options;
    flag.watch(() => this.#wakeAll(), { keepAlive, recheckMs });
  }

  #remove(consumer: Consumer): void {
    if (this.#consumers.delete(consumer) && this.#consumers.size === 0) this.#flag.unwatch();
  }

  #wakeAll(): void {
    // A Set's iterator copes with consumers that leave or come meanwhile.
    for (const { wake } of this.#consumers) this.#isolate(wake);
    if (this.#consumers.size > 0) this.#options.onWake();
  }

  #isolate(run: () => void): void {
    try {
      run();
    } catch (error) {
      this.#options.onConsumerError(error);
    }
  }
}
