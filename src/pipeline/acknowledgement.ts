import { errorMessage } from '../core/errors.ts';
import { PipelineError, retryAfterOf } from './errors.ts';

/** A place that has an event, or a publisher of it that waits. */
export interface AcknowledgementHolder {
  /** Lets go of the event if it still waits there; calls fail(). A handler that has it already runs on. */
  forget(ack: Acknowledgement): void;
}

/**
 * What became of one event that was taken from outside, over every queue it goes through. Each place that has it is one
 * more that must tell; it is delivered when all have and none failed. It settles only when no place has it any more, so
 * its answer is never a guess: after a failure nothing of it is still on its way.
 */
export class Acknowledgement {
  /** Resolves when delivered; rejects with the PipelineError that says why not. */
  readonly settled: Promise<void>;
  readonly #retryAfterMs: number;
  readonly #holders: AcknowledgementHolder[] = [];
  #resolve!: () => void;
  #reject!: (error: unknown) => void;
  #held = 0;
  #failure: PipelineError | undefined;
  #isCancelled = false;

  /** `retryAfterMs`: told with a failure that brings no better one. */
  constructor(retryAfterMs: number) {
    this.#retryAfterMs = retryAfterMs;
    this.settled = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  /** It failed somewhere, or nobody needs it any more: no queue takes it. */
  get cancelled(): boolean {
    return this.#isCancelled;
  }

  /** One more place has it, which owes a deliver() or fail(). */
  hold(holder?: AcknowledgementHolder): void {
    this.#held += 1;
    if (holder !== undefined) this.follow(holder);
  }

  /** Held for as long as `work` runs, whatever comes of that: a publisher that waits, and is told so itself. */
  heldWhile<T>(work: Promise<T>): Promise<T> {
    this.hold();
    return work.finally(() => this.#release());
  }

  /** Tells `holder` when it is cancelled; owes nothing. */
  follow(holder: AcknowledgementHolder): void {
    if (!this.#holders.includes(holder)) this.#holders.push(holder);
  }

  /** A place delivered it. */
  deliver(): void {
    this.#release();
  }

  /** A place lost or refused it. The first failure is the one that is told; what waits elsewhere is let go of. */
  fail(error: unknown): void {
    this.#failure ??= this.#failureOf(error);
    this.cancel();
    this.#release();
  }

  /** What still waits in a queue is let go of, which makes it not delivered; what a handler has runs to its end. */
  cancel(): void {
    if (this.#isCancelled) return;
    this.#isCancelled = true;
    for (const holder of this.#holders) holder.forget(this);
  }

  #failureOf(error: unknown): PipelineError {
    if (error instanceof PipelineError) return error;
    return new PipelineError('ESPER_PIPELINE_NOT_DELIVERED', `not delivered: ${errorMessage(error)}`, {
      cause: error,
      retryAfterMs: retryAfterOf(error, this.#retryAfterMs),
    });
  }

  #release(): void {
    this.#held -= 1;
    if (this.#held > 0) return;
    if (this.#failure === undefined) this.#resolve();
    else this.#reject(this.#failure);
  }
}
