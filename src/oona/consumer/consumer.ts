import type { BreakerState } from '../../core/circuit-breaker.ts';
import { OptionError } from '../../core/errors.ts';
import { closedError } from '../errors.ts';
import type { ConsumerOptions, ConsumerStats, DeliveryHandler } from '../work-types.ts';
import { Claimer } from './claimer.ts';
import { ConsumerContext } from './context.ts';
import { ConsumerCounters } from './counters.ts';
import { Desk } from './desk.ts';
import { Handover } from './handover.ts';
import { Housekeeper } from './housekeeper.ts';
import { Intake } from './intake.ts';
import { Leases } from './leases.ts';
import { Ledger } from './ledger.ts';
import { type ConsumerParts, type ResolvedConsumerOptions, resolveConsumerOptions } from './options.ts';
import { Owners } from './owners.ts';
import { ReadLoop } from './read-loop.ts';
import { ReplayGuard } from './replay-guard.ts';
import { SharedGuard } from './replay-guard-shared.ts';
import { Retrier } from './retrier.ts';
import { Settler } from './settler.ts';
import { Wakeup } from './wakeup.ts';
import type { WatchedConsumer } from './watched.ts';
import type { Work } from './work.ts';

class WorkConsumer implements WatchedConsumer {
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
  readonly #handover: Handover;
  readonly #stopping = new AbortController();
  readonly #progress = new Wakeup();
  #paused = false;
  #isStopping = false;
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
      onGone: (work) => this.#onGone(work),
      release: (guardKey, entryId) => this.#guard.release(guardKey, entryId),
    });
    const owners = new Owners(context, this.#ledger);
    this.#settler = new Settler(context, this.#ledger, owners, () => this.#onProgress());
    this.#retrier = new Retrier({
      ...{ context, owners, isHeld, room: () => this.#desk.room },
      onDue: (works) => this.#serve(works),
    });
    const shared =
      options.replayGuard === 'local'
        ? undefined
        : new SharedGuard({
            ...{ context, settler: this.#settler, retrier: this.#retrier, stopping: this.#stopping.signal },
            onAnswered: (works) => this.#desk.takeBack(works),
          });
    this.#desk = new Desk({
      ...{
        context,
        shared,
        handler,
        isHeld,
        guard: this.#guard,
        settler: this.#settler,
        retrier: this.#retrier,
      },
      checks: {
        ...freshness,
        keyRing: parts.keyRing,
        limits: Object.freeze({ maxPayloadBytes: parts.maxPayloadBytes }),
        types: options.types,
        acceptUnidentified: parts.acceptUnidentified ?? true,
        group: options.group,
      },
      onRoom: () => this.#onRoom(),
    });
    const intake = new Intake({
      ...{ context, ledger: this.#ledger, desk: this.#desk, settler: this.#settler, isHeld },
    });
    this.#leases = new Leases(context, this.#ledger, owners);
    this.#reading = new ReadLoop(context, intake, this.#desk);
    this.#claimer = new Claimer(context, intake);
    this.#housekeeper = new Housekeeper(context);
    this.#handover = new Handover({
      ...{ context, ledger: this.#ledger, onLeft: (work) => this.#retrier.forget(work) },
    });
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

  get breakerState(): BreakerState {
    return this.#reading.breakerState;
  }

  oldestPendingMs(): number {
    return this.#ledger.oldestMs(this.#context.nowMs());
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
    this.#isStopping = true;
    this.#stopping.abort();
    this.#unsubscribe?.();
    this.#retrier.close();
    this.#onRoom();
    await Promise.all([this.#within(options.drainMs, this.#desk.idle()), this.#handOver()]);
    this.#desk.abandon();
    await this.#within(call.deadlineMs, this.#settled());
    this.#settler.close();
    this.#leases.close();
    await this.#reading.close();
    if (this.#loops !== undefined) {
      // What the engine made of a read that was cut off may show only now.
      await this.#handover.giveBack(this.#reading.recovered);
      await this.#housekeeper.leave();
    }
    this.#state = 'stopped';
    parts.onStopped?.();
  }

  /** Others get what has not begun while handlers still end. */
  async #handOver(): Promise<void> {
    if (this.#loops === undefined) return;
    await this.#handover.look();
    this.#reading.cut();
    await this.#loops;
    await this.#retrier.settled();
    await this.#handover.giveBack(this.#reading.recovered);
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

  #onGone(work: Work): void {
    this.#retrier.forget(work);
    this.#desk.forget(work);
    this.#onRoom();
  }

  #isHeld(): boolean {
    const { options, parts } = this.#context;
    if (this.#paused || this.#isStopping) return true;
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
): WatchedConsumer {
  if (typeof handler !== 'function') throw new OptionError('consumer: handler must be a function');
  return new WorkConsumer(parts, resolveConsumerOptions(parts, options), handler);
}
