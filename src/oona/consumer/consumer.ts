import { OptionError } from '../../core/errors.ts';
import { closedError } from '../errors.ts';
import type { Consumer, ConsumerOptions, ConsumerStats, DeliveryHandler } from '../work-types.ts';
import { Claimer } from './claimer.ts';
import { ConsumerContext } from './context.ts';
import { ConsumerCounters, type Ending } from './counters.ts';
import { Desk } from './desk.ts';
import { Housekeeper } from './housekeeper.ts';
import { Intake } from './intake.ts';
import { Leases } from './leases.ts';
import { Ledger } from './ledger.ts';
import { type ConsumerParts, type ResolvedConsumerOptions, resolveConsumerOptions } from './options.ts';
import { ReadLoop } from './read-loop.ts';
import { ReplayGuard } from './replay-guard.ts';
import { Retrier } from './retrier.ts';
import { Settler } from './settler.ts';
import { Wakeup } from './wakeup.ts';
import type { Work } from './work.ts';

class WorkConsumer implements Consumer {
  readonly stream: string;
  readonly group: string;
  readonly consumer: string;
  readonly #context: ConsumerContext;
  readonly #ledger: Ledger;
  readonly #guard: ReplayGuard;
  readonly #settler: Settler;
  readonly #retrier: Retrier;
  readonly #desk: Desk;
  readonly #leases: Leases;
  readonly #reading: ReadLoop;
  readonly #claimer: Claimer;
  readonly #housekeeper: Housekeeper;
  readonly #stopping = new AbortController();
  readonly #progress = new Wakeup();
  #paused = false;
  #unsubscribe: (() => void) | undefined;
  #attached: Promise<void> | undefined;
  #loops: Promise<unknown> | undefined;
  #stopped: Promise<void> | undefined;
  #state: 'open' | 'stopped' = 'open';

  constructor(parts: ConsumerParts, options: ResolvedConsumerOptions, handler: DeliveryHandler) {
    ({ stream: this.stream, group: this.group, consumer: this.consumer } = options);
    const context = new ConsumerContext(parts, options, new ConsumerCounters(parts.metrics, options.role));
    const isHeld = (): boolean => this.#isHeld();
    const freshness = { maxAgeMs: options.maxAgeMs, maxFutureSkewMs: parts.maxFutureSkewMs };
    const windowMs = options.maxAgeMs + parts.maxFutureSkewMs;
    this.#context = context;
    this.#guard = new ReplayGuard({ capacity: options.replayCapacity, windowMs, random: parts.random });
    this.#ledger = new Ledger({
      counters: context.counters,
      onEnd: (work, ending) => this.#onEnd(work, ending),
    });
    this.#settler = new Settler(context, this.#ledger, () => this.#onProgress());
    this.#retrier = new Retrier({
      ...{ context, ledger: this.#ledger, isHeld, room: () => this.#desk.room },
      onDue: (works) => this.#serve(works),
    });
    this.#desk = new Desk({
      ...{ context, handler, isHeld, guard: this.#guard, settler: this.#settler, retrier: this.#retrier },
      checks: {
        ...freshness,
        keyRing: parts.keyRing,
        limits: Object.freeze({ maxPayloadBytes: parts.maxPayloadBytes }),
        types: options.types,
        acceptUnidentified: parts.acceptUnidentified ?? true,
      },
      onRoom: () => this.#onRoom(),
    });
    const intake = new Intake({
      ...{ context, ledger: this.#ledger, desk: this.#desk, settler: this.#settler, isHeld },
    });
    this.#leases = new Leases(context, this.#ledger);
    this.#reading = new ReadLoop(context, intake, this.#desk);
    this.#claimer = new Claimer(context, intake);
    this.#housekeeper = new Housekeeper(context);
  }

  start(): Promise<void> {
    if (this.#stopping.signal.aborted) return Promise.reject(closedError('start the consumer'));
    this.#attached ??= new Promise((resolve) => {
      this.#loops = this.#run(resolve);
    });
    return this.#attached;
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#goOn();
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  stats(): ConsumerStats {
    const { retrying, inFlight } = { retrying: this.#retrier.size, inFlight: this.#desk.inFlight };
    const pending = this.#ledger.size;
    return Object.freeze({
      state: this.#stateNow(),
      pending,
      inFlight,
      retrying,
      ...this.#context.counters.snapshot(),
    });
  }

  #stateNow(): ConsumerStats['state'] {
    if (this.#state === 'stopped') return 'stopped';
    const { state } = this.#reading;
    return state === 'reading' && this.#isHeld() ? 'paused' : state;
  }

  async #run(attached: () => void): Promise<void> {
    const { signal } = this.#stopping;
    const { options, parts } = this.#context;
    if (options.pauseInConservativeMode) {
      this.#unsubscribe = parts.conservative?.subscribe(() => this.#goOn());
    }
    this.#leases.start();
    let reading = Promise.resolve();
    await new Promise<void>((resolve) => {
      reading = this.#reading.run(signal, resolve);
    });
    attached();
    await Promise.all([reading, this.#claimer.run(signal), this.#housekeeper.run(signal)]);
  }

  async #stop(): Promise<void> {
    const { parts, options, call } = this.#context;
    this.#stopping.abort();
    this.#unsubscribe?.();
    this.#retrier.close();
    this.#onRoom();
    await this.#within(options.drainMs, this.#desk.idle());
    this.#desk.abandon();
    await this.#within(call.deadlineMs, this.#settled());
    this.#settler.close();
    this.#leases.close();
    await this.#loops;
    await this.#reading.close();
    if (this.#loops !== undefined) await this.#housekeeper.leave();
    this.#state = 'stopped';
    parts.onStopped?.();
  }

  /** Waits for `promise`, but no longer than `ms`. */
  async #within(ms: number, promise: Promise<void>): Promise<void> {
    const done = new AbortController();
    const timeout = this.#context.parts.clock.sleep(ms, done.signal, { keepAlive: true });
    await Promise.race([promise, timeout.catch(() => undefined)]);
    done.abort();
  }

  async #settled(): Promise<void> {
    while (this.#settler.busy) await this.#progress.wait();
  }

  #serve(works: readonly Work[]): void {
    for (const work of works) this.#desk.add(work);
    this.#desk.serve();
  }

  /** What kept entries from being handed out may be over. */
  #goOn(): void {
    this.#desk.serve();
    this.#onRoom();
  }

  #onRoom(): void {
    this.#reading.wake();
    this.#claimer.wake();
    this.#retrier.onRoom();
  }

  #onProgress(): void {
    this.#progress.wake();
    this.#goOn();
  }

  #onEnd(work: Work, ending: Ending): void {
    if (work.guardKey !== undefined) this.#guard.release(work.guardKey, work.id);
    if (ending === 'acknowledged') return;
    this.#retrier.forget(work);
    this.#desk.forget(work);
    this.#onRoom();
  }

  #isHeld(): boolean {
    const { options, parts } = this.#context;
    if (this.#paused || this.#stopping.signal.aborted) return true;
    return options.pauseInConservativeMode && parts.conservative?.isConservative() === true;
  }
}

/**
 * A consumer of one stream, over the transport that `parts` has. Nothing happens before its start(). Throws OptionError.
 */
export function openConsumer(
  parts: ConsumerParts,
  options: ConsumerOptions,
  handler: DeliveryHandler,
): Consumer {
  if (typeof handler !== 'function') throw new OptionError('consumer: handler must be a function');
  return new WorkConsumer(parts, resolveConsumerOptions(parts, options), handler);
}
