import type { Clock } from '../core/clock.ts';
import { CallWatch, type WatchedCall } from './call-watch.ts';
import { PipelineError } from './errors.ts';

export interface BoundedCallsParts {
  /** As errors name it: 'emitter file'. */
  readonly what: string;
  readonly clock: Clock;
  /** 0: for ever. */
  readonly timeoutMs: number;
  /** Calls that were given up and still run; further calls fail at once. */
  readonly maxAbandoned: number;
}

/** One call of something foreign that takes its time. */
class BoundedCall implements WatchedCall {
  readonly controller = new AbortController();
  readonly settled: Promise<void>;
  startedAtTick = 0;
  resolve!: () => void;
  reject!: (error: unknown) => void;

  constructor() {
    this.settled = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
  }
}

/** Calls of foreign code that may hang: each ends by its time-out, and those that hang on are bounded. */
export class BoundedCalls {
  readonly #parts: BoundedCallsParts;
  readonly #stop = new AbortController();
  readonly #watch: CallWatch<BoundedCall>;
  #abandoned = 0;

  constructor(parts: BoundedCallsParts) {
    this.#parts = parts;
    const { what, clock, timeoutMs } = parts;
    this.#watch = new CallWatch(clock, timeoutMs, this.#stop.signal, (call) => {
      this.#abandon(call, `${what} took longer than ${timeoutMs} ms`);
    });
  }

  /** Given up, and still not ended. */
  get abandoned(): number {
    return this.#abandoned;
  }

  /** Settles as `work` does, or rejects with ESPER_PIPELINE_TIMEOUT. */
  async run<T>(work: (signal: AbortSignal) => T | Promise<T>): Promise<T> {
    const { what, maxAbandoned } = this.#parts;
    if (this.#abandoned >= maxAbandoned) {
      throw this.#timeout(`${what}: ${maxAbandoned} calls hang that were given up`);
    }
    const call = new BoundedCall();
    let result: T | undefined;
    this.#watch.begin(call);
    // An async function: what `work` throws at once is a rejection as well.
    const running = async (): Promise<void> => {
      result = await work(call.controller.signal);
    };
    running().then(
      () => this.#settle(call, call.resolve),
      (error: unknown) => this.#settle(call, () => call.reject(error)),
    );
    await call.settled;
    return result as T;
  }

  /** Aborts what runs, which rejects. Nothing is run after it. */
  stop(): void {
    this.#stop.abort();
    for (const call of [...this.#watch.calls]) {
      if (this.#watch.end(call)) this.#abandon(call, `${this.#parts.what} was stopped`);
    }
  }

  #settle(call: BoundedCall, settle: () => void): void {
    if (this.#watch.end(call)) settle();
    else this.#abandoned -= 1;
  }

  #abandon(call: BoundedCall, why: string): void {
    this.#abandoned += 1;
    const error = this.#timeout(why);
    call.controller.abort(error);
    call.reject(error);
  }

  #timeout(why: string): PipelineError {
    const retryAfterMs = Math.max(1, this.#parts.timeoutMs);
    return new PipelineError('ESPER_PIPELINE_TIMEOUT', why, { retryAfterMs });
  }
}
