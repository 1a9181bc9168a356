import { setImmediate } from 'node:timers';
import type { NativeBatch, NativeFlag } from '../native/contract.ts';

/** Records a consumer gets in one batch, at most. */
export const BATCH_RECORDS = 64;
/** Batches a consumer gets in one wake-up: a whole ring. What is written meanwhile brings a wake-up of its own. */
const BATCHES_PER_WAKE = 4;

export interface WatchHubOptions {
  readonly keepAlive: boolean;
  readonly recheckMs: number;
  /** Called on every wake-up after the consumers; must not throw. */
  readonly onWake: () => void;
  /** Told about a consumer that threw; the others go on. */
  readonly onConsumerError: (error: unknown) => void;
}

/** True when there is nothing to tell. */
export function isEmpty(batch: NativeBatch): boolean {
  return batch.records.length === 0 && batch.overruns === 0 && batch.holes === 0;
}

/**
 * Shares the one native watch of a flag object among any number of consumers. The native watch runs only while there
 * is a consumer; a wake-up is a hint, each consumer reads the ring through a cursor of its own.
 */
export class WatchHub {
  readonly #flag: NativeFlag;
  readonly #options: WatchHubOptions;
  readonly #consumers = new Map<() => void, () => void>();

  constructor(flag: NativeFlag, options: WatchHubOptions) {
    this.#flag = flag;
    this.#options = options;
  }

  /** Calls `wake` after changes until the returned function is called; `end` when the hub closes first. */
  add(wake: () => void, end: () => void): () => void {
    if (this.#consumers.size === 0) {
      const { keepAlive, recheckMs } = this.#options;
      this.#flag.watch(() => this.#wakeAll(), { keepAlive, recheckMs });
    }
    this.#consumers.set(wake, end);
    return () => this.#remove(wake);
  }

  /**
   * Push consumer: `deliver` is told of every batch since the cursor's start. `pull` reads it, once: a consumer that
   * decides by the level alone is not kept waiting for records to be copied and converted. Returns the unsubscribe.
   */
  subscribe(from: 'now' | 'oldest', deliver: (pull: () => NativeBatch) => void): () => void {
    const cursor = this.#flag.cursor(from);
    let active = true;
    const stop = (): void => {
      active = false;
    };
    const drain = (): void => {
      for (let i = 0; i < BATCHES_PER_WAKE && active; i++) {
        if (!cursor.ready()) return;
        let batch: NativeBatch | undefined;
        const pull = (): NativeBatch => {
          batch ??= cursor.poll(BATCH_RECORDS);
          return batch;
        };
        this.#isolate(() => deliver(pull));
        // Read now whatever the consumer left unread: the next batch must begin after this one.
        if (pull().records.length < BATCH_RECORDS) return;
      }
    };
    const remove = this.add(drain, stop);
    // What came between the cursor and the native watch woke nobody.
    setImmediate(drain);
    return () => {
      stop();
      remove();
    };
  }

  /** Ends every consumer; call before the flag is closed. */
  close(): void {
    const consumers = [...this.#consumers.values()];
    if (this.#consumers.size > 0) this.#flag.unwatch();
    this.#consumers.clear();
    for (const end of consumers) this.#isolate(end);
  }

  #remove(wake: () => void): void {
    if (this.#consumers.delete(wake) && this.#consumers.size === 0) this.#flag.unwatch();
  }

  #wakeAll(): void {
    // A Map's iterator copes with consumers that leave or come meanwhile.
    for (const wake of this.#consumers.keys()) this.#isolate(wake);
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
