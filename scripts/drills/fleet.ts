/** The consumers of one drill: replaced when they fall, asked for their counters when they end cleanly. */
import { join } from 'node:path';
import type { ConsumerStats } from '../../src/oona/work-types.ts';
import type { Accounts } from './accounts.ts';
import { DrillChild } from './child.ts';
import type { ConsumerPlan } from './plan.ts';
import { within } from './wait.ts';

export type FleetPlan = Omit<ConsumerPlan, 'ledger' | keyof Seat>;

/** What of a consumer stays when its process does not. */
export interface Seat {
  /** Stable name in the group; without it the bus makes a new one. */
  readonly consumer?: string;
  /** Of its host. */
  readonly name?: string;
  readonly emergencyLedger?: string;
}

export interface Member {
  readonly child: DrillChild;
  /** Its name in the group. */
  readonly consumer: string;
}

const CLEAN_END_TIMEOUT_MS = 20_000;

/** The counters' identity of one consumer, or what does not add up. */
export function identityOf(stats: ConsumerStats): string | undefined {
  const { read, acknowledged, pending, deadLettered, takenOver, lost } = stats;
  const sum = acknowledged + pending + deadLettered + takenOver + lost;
  if (read === sum) return undefined;
  return `read ${read} is not acknowledged ${acknowledged} + pending ${pending} + dead-lettered ${deadLettered} + taken over ${takenOver} + lost ${lost} = ${sum}`;
}

export class Fleet {
  plan: FleetPlan;
  readonly members: Member[] = [];
  /** Of consumers that ended cleanly. */
  readonly stats: ConsumerStats[] = [];
  readonly problems: string[] = [];
  wrongIdentities = 0;
  readonly #directory: string;
  readonly #accounts: Accounts;
  readonly #held: (consumer: string) => Promise<number>;
  #started = 0;

  /** `held` asks the engine how many entries a consumer has. */
  constructor(
    plan: FleetPlan,
    directory: string,
    accounts: Accounts,
    held: (consumer: string) => Promise<number>,
  ) {
    this.plan = plan;
    this.#directory = directory;
    this.#accounts = accounts;
    this.#held = held;
  }

  /** A process with its code loaded, so that whoever falls is replaced at once. */
  spare(): DrillChild {
    return new DrillChild('consumer-process.ts');
  }

  /** As a new one, or in the place of one that fell. */
  async join(seat: Seat = {}, child: DrillChild = this.spare()): Promise<Member> {
    this.#started += 1;
    const ledger = join(this.#directory, `consumer-${this.#started}.ledger`);
    this.#accounts.followConsumer(ledger);
    const plan: ConsumerPlan = { name: `host${this.#started}`, ...this.plan, ...seat, ledger };
    const started = await child.call<{ consumer: string }>('start', plan);
    const member = { child, consumer: started.consumer };
    this.members.push(member);
    return member;
  }

  async muster(count: number): Promise<void> {
    await Promise.all(Array.from({ length: count }, () => this.join()));
  }

  /** SIGKILL. */
  async kill(member: Member): Promise<void> {
    this.#forget(member);
    await member.child.kill();
  }

  /** SIGTERM: must drain and end by itself, with 0, and its counters must add up. */
  async dismiss(member: Member): Promise<ConsumerStats | undefined> {
    this.#forget(member);
    member.child.signal('SIGTERM');
    return this.#farewell(member);
  }

  async disband(): Promise<void> {
    await Promise.all([...this.members].map((member) => this.dismiss(member)));
  }

  /** Members that ended without being told to. */
  takeFallen(): Member[] {
    const fallen = this.members.filter(({ child }) => !child.alive);
    for (const member of fallen) this.#forget(member);
    return fallen;
  }

  async #farewell({ child, consumer }: Member): Promise<ConsumerStats | undefined> {
    const end = await within(
      `consumer ${consumer} to end after SIGTERM`,
      CLEAN_END_TIMEOUT_MS,
      child.ended,
    ).catch(async (error: Error) => {
      this.problems.push(error.message);
      return child.kill();
    });
    const stats = child.lastWords as ConsumerStats | undefined;
    if (end.code !== 0 || stats === undefined) {
      this.problems.push(`consumer ${consumer} ended with ${end.signal ?? end.code}: ${child.stderr.trim()}`);
      return undefined;
    }
    const wrong = identityOf(stats) ?? (await this.#stranded(consumer, stats));
    if (wrong !== undefined) {
      this.wrongIdentities += 1;
      this.problems.push(`consumer ${consumer}: ${wrong}`);
    }
    this.stats.push(stats);
    return stats;
  }

  /** What the engine has under its name and it did not count; fewer are there once others have taken some over. */
  async #stranded(consumer: string, { pending }: ConsumerStats): Promise<string | undefined> {
    const held = await this.#held(consumer);
    return held > pending ? `the engine has ${held} pending, its counters ${pending}` : undefined;
  }

  #forget(member: Member): void {
    const at = this.members.indexOf(member);
    if (at >= 0) this.members.splice(at, 1);
  }
}
