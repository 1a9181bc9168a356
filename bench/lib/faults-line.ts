import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Channel, ChannelEvent, ChannelKind } from './faults-channels.ts';
import { sink } from './faults-rounds.ts';
import type { Ledger } from './oona-ledger.ts';

/** What the handler does: it returns at once, or it is an async function. */
export type Consumer = 'sync' | 'async';

/** A channel with a producer and a consumer, open for all rounds, and what went through it. */
export class Line {
  readonly #what: string;
  readonly #channel: Channel;
  readonly #isStamped: boolean;
  /** From handing over until the handler's call; of stamped events, since they were last taken. */
  #latenciesNs: number[] = [];
  #sent = 0;
  /** Sent, or still to be pulled. */
  #expected = 0;
  #handled = 0;
  /** Of the ids that were handled, by exclusive or: small enough to cost nothing, and wrong when one comes twice. */
  #handledIds = 0;

  constructor(what: string, kind: ChannelKind, consumer: Consumer, isStamped = false) {
    this.#what = `${what}, ${kind.title}`;
    this.#isStamped = isStamped;
    const take = isStamped ? this.#takeStamped : this.#take;
    this.#channel = kind.open(
      consumer === 'async'
        ? async (event) => take(event)
        : (event) => {
            take(event);
            return undefined;
          },
    );
  }

  get dropped(): number {
    return this.#channel.counts()?.dropped ?? 0;
  }

  get share(): number {
    return this.#handled / this.#sent;
  }

  /** The producer waits for room. */
  async pass(count: number): Promise<void> {
    this.#expected += count;
    if (this.#channel.pull !== undefined) {
      this.#channel.pull(count, this.#next);
    } else {
      for (let i = 0; i < count; i++) {
        const wait = this.#channel.send(this.#next());
        if (wait !== undefined) await wait;
      }
    }
    await this.#settled();
  }

  /** It does not. */
  async flood(count: number): Promise<void> {
    this.#expected += count;
    for (let i = 0; i < count; i++) void this.#channel.send(this.#next());
    await this.#settled();
  }

  takeLatenciesNs(): readonly number[] {
    const latenciesNs = this.#latenciesNs;
    this.#latenciesNs = [];
    return latenciesNs;
  }

  /** Every event that was sent was handled or dropped, by the channel's own account too, and none twice. */
  async close(ledger: Ledger): Promise<void> {
    await this.#channel.close();
    const counts = this.#channel.counts();
    const check = (part: string, expected: number, counted: number) =>
      ledger.check(`${this.#what}: ${part}`, expected, counted);
    check('sent', this.#expected, this.#sent);
    if (counts !== undefined) {
      const { received, delivered, dropped, queued } = counts;
      check('received', this.#sent, received);
      check('received = delivered + dropped + queued', received, delivered + dropped + queued);
      check('delivered', delivered, this.#handled);
    }
    check('handled or dropped', this.#sent, this.#handled + this.dropped);
    let ids = this.#handledIds;
    for (let id = 0; id < this.#sent; id++) ids ^= id;
    if (this.dropped === 0) check('each once, ids left over', 0, ids);
    sink.value += this.#handledIds;
  }

  readonly #next = (): ChannelEvent => {
    const id = this.#sent;
    this.#sent += 1;
    return { id, atNs: this.#isStamped ? process.hrtime.bigint() : 0n };
  };

  readonly #take = ({ id }: ChannelEvent): void => {
    this.#handled += 1;
    this.#handledIds ^= id;
  };

  readonly #takeStamped = (event: ChannelEvent): void => {
    this.#latenciesNs.push(Number(process.hrtime.bigint() - event.atNs));
    this.#take(event);
  };

  /** Asked in the turns of the event loop, of every kind alike. */
  async #settled(): Promise<void> {
    while (this.#handled + this.dropped < this.#expected) await nextTurn();
  }
}
