/** The newest errors of the bus: bounded, counted by kind, and forgotten after a while. */
import type { Clock } from '../../core/clock.ts';
import { errorCode, errorMessage } from '../../core/errors.ts';

const MAX_KEPT = 16;
const MESSAGE_LENGTH = 256;

export interface LastError {
  /** Which part: 'publish', 'consume', 'health'. */
  readonly component: string;
  readonly code: string;
  readonly message: string;
  /** Unix milliseconds of the last time. */
  readonly atMs: number;
  /** How often since it was forgotten last. */
  readonly count: number;
}

interface Kept {
  readonly error: LastError;
  readonly monotonicMs: number;
}

export class LastErrors {
  readonly #clock: Clock;
  readonly #expiryMs: number;
  /** By component and code, oldest first: one kind of error cannot push out the others. */
  readonly #kept = new Map<string, Kept>();

  constructor(clock: Clock, expiryMs: number) {
    this.#clock = clock;
    this.#expiryMs = expiryMs;
  }

  report(component: string, error: unknown): void {
    const code = errorCode(error) ?? 'ESPER_OONA_UNEXPECTED';
    const key = `${component} ${code}`;
    const nowMs = this.#clock.monotonicMs();
    this.#forget(nowMs);
    const count = (this.#kept.get(key)?.error.count ?? 0) + 1;
    const message = errorMessage(error).slice(0, MESSAGE_LENGTH);
    this.#kept.delete(key);
    this.#kept.set(key, {
      error: Object.freeze({ component, code, message, atMs: this.#clock.wallMs(), count }),
      monotonicMs: nowMs,
    });
    if (this.#kept.size > MAX_KEPT) this.#kept.delete(this.#kept.keys().next().value ?? '');
  }

  /** Newest last. */
  list(): readonly LastError[] {
    this.#forget(this.#clock.monotonicMs());
    return Object.freeze([...this.#kept.values()].map(({ error }) => error));
  }

  #forget(nowMs: number): void {
    for (const [key, { monotonicMs }] of this.#kept) {
      if (nowMs - monotonicMs >= this.#expiryMs) this.#kept.delete(key);
    }
  }
}
