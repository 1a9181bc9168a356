import { errorCode } from '../../core/errors.ts';
import type { ReadRequest, StreamEntry, TransportReader } from '../transport/transport.ts';
import type { ConsumerStats } from '../work-types.ts';
import type { ConsumerContext } from './context.ts';
import type { Desk } from './desk.ts';
import type { Intake } from './intake.ts';
import { Wakeup } from './wakeup.ts';

interface Batch {
  readonly entries: readonly StreamEntry[];
  readonly askedAtMs: number;
  readonly full: boolean;
}

/** Reads this consumer's own pending entries first, then new ones, as long as there is room for them. */
export class ReadLoop {
  readonly #context: ConsumerContext;
  readonly #intake: Intake;
  readonly #desk: Desk;
  readonly #room = new Wakeup();
  #reader: TransportReader | undefined;
  #state: ConsumerStats['state'] = 'idle';
  #failures = 0;

  constructor(context: ConsumerContext, intake: Intake, desk: Desk) {
    this.#context = context;
    this.#intake = intake;
    this.#desk = desk;
  }

  get state(): ConsumerStats['state'] {
    return this.#state;
  }

  /** There may be room now, or the loop is to end. */
  wake(): void {
    this.#room.wake();
  }

  /** Ends with `signal`, or when the transport was closed. `attached` is called after the first attempt. */
  async run(signal: AbortSignal, attached: () => void): Promise<void> {
    while (!signal.aborted) {
      try {
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
    // From 0: what was published before there was a group is delivered too.
    await parts.transport.ensureGroup(options.stream, options.group, '0', call);
  }

  /**
   * What was handed to this name and never decided: by a process that died, or by a read whose answer was lost. What is
   * still being worked on here comes along and is passed over.
   */
  async #takeOwnPending(signal: AbortSignal): Promise<void> {
    this.#intake.beginRecovery();
    for (let afterId = '0'; ; ) {
      await this.#untilRoom(() => this.#intake.recoveryRoom, signal);
      if (signal.aborted) return;
      const { entries, askedAtMs } = await this.#read(
        'pending',
        afterId,
        this.#intake.recoveryRoom,
        0,
        signal,
      );
      const last = entries.at(-1);
      if (last === undefined) return;
      this.#intake.takeRecovered(entries, askedAtMs);
      afterId = last.entryId;
    }
  }

  async #takeNew(signal: AbortSignal): Promise<void> {
    const { blockMs } = this.#context.options;
    let ahead: Promise<Batch> | undefined;
    while (!signal.aborted) {
      if (ahead === undefined) {
        await this.#untilRoom(() => this.#intake.room, signal);
        if (signal.aborted) return;
        ahead = this.#read('new', '0', this.#intake.room, blockMs, signal);
      }
      const batch: Batch = await ahead;
      ahead = undefined;
      this.#failures = 0;
      // A backlog, and handlers that are done with a batch at once: the engine gets the next one ready meanwhile.
      if (batch.full && this.#desk.keepsUp && !signal.aborted) {
        const count = this.#intake.room;
        if (count > 0) ahead = this.#read('new', '0', count, blockMs, signal);
      }
      this.#intake.takeNew(batch.entries, batch.askedAtMs);
    }
    // Its entries are ours already; without this its failure would be nobody's.
    ahead?.catch(() => undefined);
  }

  async #untilRoom(room: () => number, signal: AbortSignal): Promise<void> {
    while (!signal.aborted && room() === 0) await this.#room.wait();
  }

  async #read(
    which: ReadRequest['which'],
    afterId: string,
    count: number,
    blockMs: number,
    signal: AbortSignal,
  ): Promise<Batch> {
    const { parts, options } = this.#context;
    const { stream, group, consumer } = options;
    this.#reader ??= parts.transport.openReader();
    const askedAtMs = this.#context.nowMs();
    const request = { stream, group, consumer, which, afterId, count, blockMs };
    const entries = await this.#reader.read(request, signal);
    return { entries, askedAtMs, full: entries.length === count };
  }
}
