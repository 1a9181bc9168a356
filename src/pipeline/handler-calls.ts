import type { Clock } from '../core/clock.ts';
import type { Acknowledgement } from './acknowledgement.ts';
import { CallWatch, type WatchedCall } from './call-watch.ts';
import { PipelineError } from './errors.ts';
import { TAKEN } from './taken.ts';

/** What a handler gets beside the event. */
export interface Delivery {
  /** Aborted when the handler took too long, or the bus closes without waiting for it any longer. */
  readonly signal: AbortSignal;
  /** Somebody outside waits for the delivery: hand it on with `publish(next, { acknowledgement })`. */
  readonly acknowledgement: Acknowledgement | undefined;
}

/** Returning, or fulfilling, means delivered; throwing and rejecting that it is not. */
export type Handler<T> = (event: T, delivery: Delivery) => unknown;

export type CallOutcome = 'delivered' | 'failed' | 'timedOut' | 'closed';

/** One call of the handler; the handler sees it as its Delivery. */
class Call implements Delivery {
  readonly acknowledgement: Acknowledgement | undefined;
  readonly size: number;
  #controller: AbortController | undefined;

  constructor(size: number, acknowledgement: Acknowledgement | undefined) {
    this.size = size;
    this.acknowledgement = acknowledgement;
  }

  /** Made when it is asked for: most handlers never do, and it costs more than a delivery. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    return this.#controller.signal;
  }

  abort(reason: PipelineError): void {
    this.#controller ??= new AbortController();
    this.#controller.abort(reason);
  }
}

/** A call that takes its time, then the next one: following many calls by one loop costs half of two callbacks each. */
interface Lane extends WatchedCall {
  call: Call;
  result: unknown;
}

export interface HandlerCallsParts<T> {
  readonly name: string;
  readonly handler: Handler<T>;
  readonly clock: Clock;
  readonly timeoutMs: number;
  readonly maxAbandoned: number;
  readonly stop: AbortSignal;
  /** Each call that did not deliver at once ends once here; what it does after it was given up is nobody's business any more. */
  readonly onEnd: (
    outcome: CallOutcome,
    size: number,
    ack: Acknowledgement | undefined,
    error: unknown,
  ) => void;
  /** A call that was given up has ended at last. */
  readonly onReturn: () => void;
}

/** The calls of one subscriber's handler: each ends once, whatever the handler does. */
export class HandlerCalls<T> {
  readonly #parts: HandlerCallsParts<T>;
  readonly #handler: Handler<T>;
  readonly #maxAbandoned: number;
  readonly #watch: CallWatch<Lane>;
  /** Its call has just ended: the next one that takes its time is followed there. */
  #freeLane: Lane | undefined;
  #underWay = 0;
  #abandoned = 0;

  constructor(parts: HandlerCallsParts<T>) {
    this.#parts = parts;
    this.#handler = parts.handler;
    this.#maxAbandoned = parts.maxAbandoned;
    const { name, clock, timeoutMs, stop } = parts;
    this.#watch = new CallWatch(clock, timeoutMs, stop, ({ call }) => {
      const text = `${name}: the handler took longer than ${timeoutMs} ms`;
      const details = { retryAfterMs: timeoutMs };
      this.#abandon(call, 'timedOut', new PipelineError('ESPER_PIPELINE_TIMEOUT', text, details));
    });
  }

  get underWay(): number {
    return this.#underWay;
  }

  /** Given up, and still not ended. */
  get abandoned(): number {
    return this.#abandoned;
  }

  /** So many that nothing more is handed out. */
  get isStuck(): boolean {
    return this.#abandoned >= this.#maxAbandoned;
  }

  /** True when the event was delivered at once; else onEnd() tells what becomes of it. */
  start(event: T, size: number, ack: Acknowledgement | undefined): boolean {
    const call = new Call(size, ack);
    this.#underWay += 1;
    let result: unknown;
    try {
      result = this.#handler(event, call);
      // A handler that returns another bus's publish() is done when that took the event at once.
      if (result !== undefined && result !== TAKEN && isThenable(result)) {
        this.#follow(call, result);
        return false;
      }
    } catch (error) {
      this.#end(call, 'failed', error);
      return false;
    }
    this.#underWay -= 1;
    return true;
  }

  /** Gives up what is under way. */
  giveUp(reason: PipelineError): void {
    for (const lane of [...this.#watch.calls]) {
      if (this.#watch.end(lane)) this.#abandon(lane.call, 'closed', reason);
    }
  }

  #follow(call: Call, result: unknown): void {
    const lane = this.#freeLane;
    if (lane === undefined) {
      void this.#run({ call, result, startedAtTick: 0 });
      return;
    }
    this.#freeLane = undefined;
    lane.call = call;
    lane.result = result;
    this.#watch.again(lane);
  }

  async #run(lane: Lane): Promise<void> {
    this.#watch.begin(lane);
    for (;;) {
      const { call, result } = lane;
      let outcome: CallOutcome = 'delivered';
      let thrown: unknown;
      try {
        await result;
      } catch (error) {
        outcome = 'failed';
        thrown = error;
      }
      if (!this.#watch.isWatched(lane)) {
        this.#abandoned -= 1;
        this.#parts.onReturn();
        return;
      }
      this.#freeLane = lane;
      this.#end(call, outcome, thrown);
      if (this.#freeLane !== lane) continue;
      this.#freeLane = undefined;
      this.#watch.end(lane);
      return;
    }
  }

  #abandon(call: Call, outcome: CallOutcome, reason: PipelineError): void {
    this.#abandoned += 1;
    call.abort(reason);
    this.#end(call, outcome, reason);
  }

  #end(call: Call, outcome: CallOutcome, error: unknown): void {
    this.#underWay -= 1;
    this.#parts.onEnd(outcome, call.size, call.acknowledgement, error);
  }
}

function isThenable(value: unknown): boolean {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null) return false;
  return typeof (value as { then?: unknown }).then === 'function';
}
