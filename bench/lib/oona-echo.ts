// The far end of bench/oona.ts (bench/workers/oona-echo.ts): handlers in a process of their own.
import type { Cleanup } from './cleanup.ts';
import { BareReader } from './oona-bare.ts';
import { seqOf } from './oona-message.ts';
import { type OwnBus, openOwn } from './oona-own.ts';
import { nowNs } from './oona-rounds.ts';
import { Worker } from './worker.ts';

/** What is listened to: normal messages through a consumer, emergencies through a host's reader. */
export type EchoKind = 'normal' | 'emergency';
export type EchoSide = 'oona' | 'bare';
export const BARE_ECHO_STREAM = 'bench.echo';

export type EchoCommand =
  | { readonly type: 'open'; readonly kind: EchoKind }
  /** The next `count` messages of each side are counted only; `rehearsed` tells when they are there. */
  | { readonly type: 'rehearse'; readonly count: number }
  | { readonly type: 'totals' }
  | { readonly type: 'close' };

export type EchoReply =
  | { readonly type: 'ready' }
  | { readonly type: 'opened' }
  | { readonly type: 'rehearsing' }
  | { readonly type: 'rehearsed' }
  /** One message reached the handler of one side. `seq` is -1 where the handler gets bytes only. */
  | { readonly type: 'arrived'; readonly side: EchoSide; readonly seq: number; readonly atNs: string }
  | ({ readonly type: 'totals' } & Readonly<Record<EchoSide, number>>)
  | { readonly type: 'closed' };

export type EchoWorker = Worker<EchoCommand, EchoReply>;

export async function startEcho(redisUrl: string, cleanup: Cleanup): Promise<EchoWorker> {
  const worker: EchoWorker = new Worker('oona-echo.ts', [redisUrl]);
  cleanup.add(() => worker.stop());
  await worker.expect('ready');
  return worker;
}

/** One way from a sender here to a handler in the other process. */
export interface Path {
  readonly side: EchoSide;
  readonly title: string;
  /** Makes message `seq`, which is the application's work; what is returned sends it until the server has it. */
  readonly prepare: (seq: number) => () => Promise<unknown>;
}

/** From the call that sends to the handler's first line, microseconds; the two processes share their clock. */
export async function sendAndAwait(worker: EchoWorker, path: Path, seq: number): Promise<number> {
  const send = path.prepare(seq);
  const arrived = worker.expect('arrived');
  const startNs = nowNs();
  const [arrival] = await Promise.all([arrived, send()]);
  if (arrival.side !== path.side || (arrival.seq !== -1 && arrival.seq !== seq)) {
    throw new Error(`${path.title}: sent ${seq}, ${arrival.side} got ${arrival.seq}`);
  }
  return Number(BigInt(arrival.atNs) - startNs) / 1e3;
}

/** Both sides' readers, in the worker. */
export class Echo {
  readonly #redisUrl: string;
  readonly #tell: (reply: EchoReply) => void;
  readonly #closers: (() => unknown)[] = [];
  #handled = { oona: 0, bare: 0 };
  /** Of each side, still to come. */
  #rehearsal = { oona: 0, bare: 0 };

  constructor(redisUrl: string, tell: (reply: EchoReply) => void) {
    this.#redisUrl = redisUrl;
    this.#tell = tell;
  }

  async open(kind: EchoKind): Promise<void> {
    this.#handled = { oona: 0, bare: 0 };
    const own = await openOwn(this.#redisUrl, 'bench-echo');
    await (kind === 'normal' ? this.#consume(own) : this.#readEmergencies(own));
    this.#closers.push(() => own.close());
    const read = { stream: BARE_ECHO_STREAM, group: 'bench', consumer: 'c', count: 64, blockMs: 2000 };
    const bare = await BareReader.start(this.#redisUrl, read, () => this.#arrived('bare', -1));
    this.#closers.push(() => bare.close());
  }

  rehearse(count: number): void {
    this.#rehearsal = { oona: count, bare: count };
  }

  totals(): Record<EchoSide, number> {
    return this.#handled;
  }

  async close(): Promise<void> {
    for (const close of this.#closers.splice(0)) await close();
  }

  async #consume(own: OwnBus): Promise<void> {
    const consumer = await own.consume((eventId) => this.#arrived('oona', seqOf(eventId)));
    this.#closers.push(() => consumer.stop());
  }

  async #readEmergencies({ oona }: OwnBus): Promise<void> {
    await oona.emergencyReader(({ message }) => this.#arrived('oona', Number(message.step))).start();
  }

  #arrived(side: EchoSide, seq: number): void {
    const atNs = nowNs();
    this.#handled[side] += 1;
    if (this.#rehearsal[side] > 0) {
      this.#rehearsal[side] -= 1;
      if (this.#rehearsal.oona + this.#rehearsal.bare === 0) this.#tell({ type: 'rehearsed' });
      return;
    }
    this.#tell({ type: 'arrived', side, seq, atNs: String(atNs) });
  }
}
