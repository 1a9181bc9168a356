import { errorMessage } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import type { Metrics } from '../core/metrics.ts';

/** Tells listeners one after the other; one that throws is counted and logged, and reaches nobody else. */
export class Listeners<E extends { readonly type: string }> {
  /** Replaced when one comes or goes: whoever does so during an emit changes the next one. */
  #listeners: readonly ((event: E) => void)[] = [];
  readonly #owner: string;
  readonly #counter: string;
  readonly #metrics: Metrics;
  readonly #logger: Logger;

  constructor(owner: string, counter: string, metrics: Metrics, logger: Logger) {
    this.#owner = owner;
    this.#counter = counter;
    this.#metrics = metrics;
    this.#logger = logger;
  }

  /** Returns the unsubscribe. The same function added twice is told twice. */
  add(listener: (event: E) => void): () => void {
    const own = (event: E): void => listener(event);
    this.#listeners = [...this.#listeners, own];
    return () => {
      this.#listeners = this.#listeners.filter((other) => other !== own);
    };
  }

  /** Whether anybody listens. */
  get any(): boolean {
    return this.#listeners.length > 0;
  }

  emit(event: E): void {
    for (const listener of this.#listeners) {
      try {
        listener(event);
      } catch (error) {
        this.#metrics.increment(this.#counter);
        const fields = { event: event.type, error: errorMessage(error) };
        this.#logger.error(fields, `${this.#owner}: a listener threw`);
      }
    }
  }

  clear(): void {
    this.#listeners = [];
  }
}
