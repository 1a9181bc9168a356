// Readers of many hosts in one process (bench/workers/oona-hosts.ts), and how they are told what to do.
import { BareReader } from './oona-bare.ts';
import { type OwnBus, openOwn } from './oona-own.ts';
import { nowNs } from './oona-rounds.ts';

export const SIDES = ['oona', 'bare'] as const;
export type Side = (typeof SIDES)[number];
export const BARE_FAN_OUT_STREAM = 'bench.fanout';

export type HostsCommand =
  /** So many further hosts of either side. */
  | { readonly type: 'open'; readonly hosts: number }
  /** Every reader of that side gets one more emergency; 'last' comes when all of them have it. */
  | { readonly type: 'await'; readonly side: Side }
  /** Counting begins anew. */
  | { readonly type: 'totals' };

export type HostsReply =
  | { readonly type: 'ready' }
  | { readonly type: 'opened' }
  | { readonly type: 'awaiting' }
  | { readonly type: 'last'; readonly atNs: string }
  | ({ readonly type: 'totals' } & Readonly<Record<Side, number>>);

/** Hands of one side: how often each reader's handler was called, and whether all have the one that is awaited. */
class Crowd {
  readonly #counts: number[] = [];
  #each = 0;
  #missing = 0;
  #onLast: ((atNs: bigint) => void) | undefined;

  enter(): () => void {
    const index = this.#counts.push(0) - 1;
    return () => this.#note(index);
  }

  /** Deliveries since the last reset. */
  take(): number {
    const sum = this.#counts.reduce((total, count) => total + count, 0);
    this.#counts.fill(0);
    this.#each = 0;
    return sum;
  }

  await(onLast: (atNs: bigint) => void): void {
    this.#each += 1;
    this.#missing = this.#counts.length;
    this.#onLast = onLast;
    if (this.#missing === 0) onLast(0n);
  }

  #note(index: number): void {
    const count = (this.#counts[index] ?? 0) + 1;
    this.#counts[index] = count;
    if (count !== this.#each) return;
    this.#missing -= 1;
    if (this.#missing === 0) this.#onLast?.(nowNs());
  }
}

/** As many hosts as asked for: each with a group, a consumer and a blocked connection of its own, on either side. */
export class Hosts {
  readonly #redisUrl: string;
  readonly #name: string;
  readonly #crowds: Readonly<Record<Side, Crowd>> = { oona: new Crowd(), bare: new Crowd() };
  readonly #bare: BareReader[] = [];
  #own: Promise<OwnBus> | undefined;
  #hosts = 0;

  constructor(redisUrl: string, name: string) {
    this.#redisUrl = redisUrl;
    this.#name = name;
  }

  async open(hosts: number): Promise<void> {
    this.#own ??= openOwn(this.#redisUrl, `bench-${this.#name}`);
    const { oona } = await this.#own;
    for (let i = 0; i < hosts; i++) {
      this.#hosts += 1;
      const group = `${this.#name}-${this.#hosts}`;
      // One host by its group and connection; a process each would measure a thousand processes.
      await oona.emergencyReader(this.#crowds.oona.enter(), { readerId: group }).start();
      const read = { stream: BARE_FAN_OUT_STREAM, group, consumer: group, count: 64, blockMs: 2000 };
      this.#bare.push(await BareReader.start(this.#redisUrl, read, this.#crowds.bare.enter()));
    }
  }

  await(side: Side, onLast: (atNs: bigint) => void): void {
    this.#crowds[side].await(onLast);
  }

  totals(): Record<Side, number> {
    return { oona: this.#crowds.oona.take(), bare: this.#crowds.bare.take() };
  }

  async close(): Promise<void> {
    for (const reader of this.#bare) reader.close();
    await (await this.#own)?.close();
  }
}
