import type { Clock } from '../../core/clock.ts';
import { abortedError } from '../errors.ts';

export interface CallBounds {
  readonly what: string;
  readonly deadlineMs: number;
  readonly signal?: AbortSignal | undefined;
  /** Waits for nothing that was sent in the same turn of the event loop. */
  readonly urgent?: boolean;
  /** The first key that the command touches; on a Cluster it says which node to ask. None: any node. */
  readonly key?: string;
  /** `send` answers only once so many replicas have what it wrote. Default 0: once the primary has it. */
  readonly replicas?: number;
}

/** One call that waits for its answer. Whoever settles it first wins; the rest is ignored. */
export class InFlightCall<T = unknown> {
  readonly promise: Promise<T>;
  readonly bounds: CallBounds;
  readonly startedAtMs: number;
  /** What a passed deadline means, once more is known than that nobody answered. */
  expiredError: (() => Error) | undefined;
  readonly #calls: Set<InFlightCall<T>>;
  readonly #onAborted: (() => void) | undefined;
  #resolve: ((value: T) => void) | undefined;
  #reject: ((error: Error) => void) | undefined;

  constructor(
    bounds: CallBounds,
    startedAtMs: number,
    calls: Set<InFlightCall<T>>,
    onAborted: (() => void) | undefined,
  ) {
    this.bounds = bounds;
    this.startedAtMs = startedAtMs;
    this.#calls = calls;
    this.#onAborted = onAborted;
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    calls.add(this);
    bounds.signal?.addEventListener('abort', this);
  }

  /** False once the caller has its answer, be it the deadline: then nothing more may be sent for it. */
  get live(): boolean {
    return this.#resolve !== undefined;
  }

  succeed(value: T): void {
    const resolve = this.#resolve;
    this.#settle();
    resolve?.(value);
  }

  fail(error: Error): void {
    const reject = this.#reject;
    this.#settle();
    reject?.(error);
  }

  /** The AbortSignal's event. */
  handleEvent(): void {
    const { what, signal } = this.bounds;
    if (signal !== undefined) this.fail(abortedError(what, signal));
    this.#onAborted?.();
  }

  #settle(): void {
    if (this.#resolve === undefined) return;
    this.#resolve = undefined;
    this.#reject = undefined;
    this.#calls.delete(this);
    this.bounds.signal?.removeEventListener('abort', this);
  }
}

/**
 * The calls of one connection, each with its own deadline. An ioredis promise can stay unsettled for ever, so the
 * caller never awaits one directly. One sleep serves all calls: a timer of its own would cost each publish more than
 * the rest of the bookkeeping.
 */
export class InFlightCalls {
  readonly #clock: Clock;
  readonly #onExpired: (call: InFlightCall) => Error;
  readonly #calls = new Set<InFlightCall>();
  #sleep: AbortController | undefined;
  #wakeAtMs = Number.POSITIVE_INFINITY;

  /** `onExpired` makes the error of a call whose deadline passed. */
  constructor(clock: Clock, onExpired: (call: InFlightCall) => Error) {
    this.#clock = clock;
    this.#onExpired = onExpired;
  }

  /** The caller of this settles it, unless its deadline, its signal or failAll comes first. */
  open<T>(bounds: CallBounds, onAborted?: () => void): InFlightCall<T> {
    const startedAtMs = this.#clock.monotonicMs();
    const call = new InFlightCall<T>(bounds, startedAtMs, this.#calls as Set<InFlightCall<T>>, onAborted);
    if (bounds.signal?.aborted) call.fail(abortedError(bounds.what, bounds.signal));
    else this.#wakeBy(startedAtMs + bounds.deadlineMs);
    return call;
  }

  /** Resolves when the calls that are open now are settled. */
  async settled(): Promise<void> {
    await Promise.allSettled([...this.#calls].map(({ promise }) => promise));
  }

  failAll(error: Error): void {
    for (const call of [...this.#calls]) call.fail(error);
  }

  /** Ends the sleep; calls still open lose their deadline, so failAll first. */
  close(): void {
    this.#sleep?.abort();
  }

  #wakeBy(atMs: number): void {
    if (atMs >= this.#wakeAtMs) return;
    this.#wakeAtMs = atMs;
    this.#sleep?.abort();
    const sleep = new AbortController();
    this.#sleep = sleep;
    this.#clock.sleep(Math.max(0, atMs - this.#clock.monotonicMs()), sleep.signal).then(
      () => this.#expireDue(),
      () => undefined,
    );
  }

  #expireDue(): void {
    this.#wakeAtMs = Number.POSITIVE_INFINITY;
    const nowMs = this.#clock.monotonicMs();
    let nextMs = Number.POSITIVE_INFINITY;
    for (const call of [...this.#calls]) {
      const expiresAtMs = call.startedAtMs + call.bounds.deadlineMs;
      if (expiresAtMs <= nowMs) call.fail(this.#onExpired(call));
      else nextMs = Math.min(nextMs, expiresAtMs);
    }
    this.#wakeBy(nextMs);
  }
}
