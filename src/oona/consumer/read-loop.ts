import type { BreakerState, CircuitBreaker } from '../../core/circuit-breaker.ts';
import { errorCode } from '../../core/errors.ts';
import type { PendingRow } from '../transport/pending.ts';
import type { StreamEntry, TransportReader } from '../transport/transport.ts';
import type { ConsumerStats } from '../work-types.ts';
import type { ConsumerContext } from './context.ts';
import type { Desk } from './desk.ts';
import type { Intake } from './intake.ts';
import { createReadBreaker } from './read-breaker.ts';
import { Wakeup } from './wakeup.ts';

interface Batch {
  readonly entries: readonly StreamEntry[];
  readonly askedAtMs: number;
  readonly full: boolean;
}

const ROWS_PER_LOOK = 500;

/** Reads this consumer's own pending entries first, then new ones, as long as there is room for them. */
export class ReadLoop {
  readonly #context: ConsumerContext;
  readonly #intake: Intake;
  readonly #desk: Desk;
  readonly #room = new Wakeup();
  readonly #breaker: CircuitBreaker;
  #reader: TransportReader | undefined;
  #state: ConsumerStats['state'] = 'idle';
  #failures = 0;
  #recovered = false;
  /** Ends the read under way. */
  readonly #cutting = new AbortController();

  constructor(context: ConsumerContext, intake: Intake, desk: Desk) {
    this.#context = context;
    this.#intake = intake;
    this.#desk = desk;
    this.#breaker = createReadBreaker(context);
  }

  get breakerState(): BreakerState {
    return this.#breaker.state;
  }

  get state(): ConsumerStats['state'] {
    return this.#state;
  }

  /** What was left under this name before this process began has been taken. */
  get recovered(): boolean {
    return this.#recovered;
  }

  /** Ends the read under way; what the engine hands out for it all the same is pending under this name. */
  cut(): void {
    this.#cutting.abort();
  }

  /** There may be room now, or the loop is to end. */
  wake(): void {
    this.#room.wake();
  }

  /** Ends with `signal`, after the read under way, or when the transport was closed. `attached` is called after the first attempt. */
  async run(signal: AbortSignal, attached: () => void): Promise<void> {
    while (!signal.aborted) {
      try {
        if (!(await this.#admitted(signal))) continue;
        this.#state = 'connecting';
        await this.#attach(signal);
        attached();
        this.#state = 'reading';
        await this.#takeOwnPending(signal);
        await this.#takeNew(signal);
      } catch (error) {
        attached();
        if (signal.aborted || errorCode(error) === 'ESPER_OONA_CLOSED') break;
        this.#context.counters.count('readErrors');
        this.#context.failed('read', error);
        this.#state = 'backing-off';
        await this.#context.backOff(++this.#failures, signal);
      }
    }
    attached();
    this.#state = 'stopped';
  }

  async close(): Promise<void> {
    await this.#reader?.close();
  }

  /** Before every round of reading, not once: the group goes with FLUSHALL, a failover, a restart without a disk. */
  async #attach(signal: AbortSignal): Promise<void> {
    const { parts, options } = this.#context;
    this.#reader ??= parts.transport.openReader();
    const call = { deadlineMs: parts.callDeadlineMs, signal };
    const permit = this.#breaker.enter();
    try {
      // From 0: what was published before there was a group is delivered too.
      await parts.transport.ensureGroup(options.stream, options.group, '0', call);
      // Another connection than the one that reads: it says nothing about that one.
      this.#breaker.cancel(permit);
    } catch (error) {
      this.#breaker.judge(permit, error);
      throw error;
    }
  }

  /** False after a wait: the breaker was open. */
  async #admitted(signal: AbortSignal): Promise<boolean> {
    const waitMs = this.#breaker.retryAfterMs() ?? 0;
    if (waitMs === 0) return true;
    this.#state = 'backing-off';
    const { clock } = this.#context.parts;
    await clock.sleep(Math.max(1, waitMs), signal, { keepAlive: true }).catch(() => undefined);
    return false;
  }

  /**
   * What was handed to this name and is not known here: to a process that died, or by a read whose answer was lost. It is
   * listed first, because each handing out raises a delivery count: what is being worked on here is left alone.
   */
  async #takeOwnPending(signal: AbortSignal): Promise<void> {
    const { parts, options, call } = this.#context;
    const { stream, group, consumer } = options;
    this.#intake.beginRecovery();
    for (let afterId = '0'; !signal.aborted; ) {
      const request = { stream, group, consumer, afterId, count: ROWS_PER_LOOK };
      const rows = await parts.transport.ownPending(request, call);
      const last = rows.at(-1);
      if (last === undefined) {
        this.#recovered = true;
        return;
      }
      await this.#recoverAll(rows, signal);
      afterId = last.entryId;
    }
  }

  async #recoverAll(rows: readonly PendingRow[], signal: AbortSignal): Promise<void> {
    for (let left = rows; ; ) {
      left = left.filter(({ entryId }) => !this.#intake.has(entryId));
      if (left.length === 0) return;
      await this.#untilRoom(() => this.#intake.recoveryRoom, signal);
      if (signal.aborted) return;
      const count = this.#intake.recoveryRoom;
      await this.#recover(left.slice(0, count));
      left = left.slice(count);
    }
  }

  async #recover(rows: readonly PendingRow[]): Promise<void> {
    const { parts, options, call } = this.#context;
    const { stream, group, consumer } = options;
    const askedAtMs = this.#context.nowMs();
    if (this.#recovered) {
      // Handed out to this very process, which never saw it: that was no delivery.
      const entries = rows.map(({ entryId, deliveryCount }) => ({
        entryId,
        deliveryCount: Math.max(0, deliveryCount - 1),
      }));
      await parts.transport.giveBack({ stream, group, consumer, entries }, call);
    }
    const entryIds = rows.map(({ entryId }) => entryId);
    const entries = await parts.transport.redeliver({ stream, group, consumer, entryIds }, call);
    this.#intake.takeRecovered(entries, askedAtMs);
  }

  async #takeNew(signal: AbortSignal): Promise<void> {
    const { blockMs } = this.#context.options;
    let ahead: Promise<Batch> | undefined;
    for (;;) {
      if (ahead === undefined) {
        await this.#untilRoom(() => this.#intake.room, signal);
        if (signal.aborted) return;
        ahead = this.#read(this.#intake.room, blockMs);
      }
      const batch: Batch = await ahead;
      ahead = undefined;
      this.#failures = 0;
      // A backlog, and handlers that are done with a batch at once: the engine gets the next one ready meanwhile.
      if (batch.full && this.#desk.keepsUp && !signal.aborted) {
        const count = this.#intake.room;
        if (count > 0) ahead = this.#read(count, blockMs);
      }
      this.#intake.takeNew(batch.entries, batch.askedAtMs);
    }
  }

  async #untilRoom(room: () => number, signal: AbortSignal): Promise<void> {
    while (!signal.aborted && room() === 0) await this.#room.wait();
  }

  async #read(count: number, blockMs: number): Promise<Batch> {
    const { parts, options } = this.#context;
    const { stream, group, consumer } = options;
    this.#reader ??= parts.transport.openReader();
    const askedAtMs = this.#context.nowMs();
    const request = { stream, group, consumer, which: 'new', afterId: '0', count, blockMs } as const;
    const permit = this.#breaker.enter();
    try {
      const entries = await this.#reader.read(request, this.#cutting.signal);
      this.#breaker.succeed(permit);
      return { entries, askedAtMs, full: entries.length === count };
    } catch (error) {
      this.#breaker.judge(permit, error);
      throw error;
    }
  }
}
