/** One drill's cast: a publisher, its consumers, both ledgers, and the engine they meet in. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Accounts } from './accounts.ts';
import { DrillChild } from './child.ts';
import type { DrillContext, Engine, Row } from './drill.ts';
import { Faults } from './faults.ts';
import { Fleet } from './fleet.ts';
import { Inspector, type StoredLetter } from './inspector.ts';
import {
  type ConsumerSettings,
  DRILL_SETTINGS,
  type EmergencyPlan,
  GROUP,
  type Keys,
  type PublisherPlan,
  type PublisherStatus,
} from './plan.ts';
import { nowMs, poll, within } from './wait.ts';

const directories = new Set<string>();
process.on('exit', () => {
  for (const directory of directories) rmSync(directory, { recursive: true, force: true });
});

export interface StageOptions {
  readonly name: string;
  readonly consumers?: number;
  /** How long publishing takes when nothing is wrong, seconds: the faults are spread over it. */
  readonly seconds: number;
  readonly window?: number;
  readonly handlerMs?: number;
  readonly settings?: Partial<ConsumerSettings>;
  readonly poison?: string;
  readonly sync?: boolean;
  readonly failEvery?: number;
  readonly highEvery?: number;
  /** Messages of this drill for each of `--messages`. Default 1. */
  readonly share?: number;
  readonly emergencies?: (directory: string) => EmergencyPlan;
}

export interface Expected {
  /** Dead letters that the drill causes on purpose; all others are a problem. */
  readonly deadLetters?: number;
  /** A second copy of an event that was handled may be refused as a replay: see docs/drills.md. */
  readonly replays?: boolean;
  readonly notes?: readonly string[];
}

export const KEYS: Keys = Object.freeze({ current: 'the secret that the drills sign with' });

const REPLAYED = 'ESPER_OONA_REPLAYED';
/** Nothing was handled or confirmed for so long: it will not come any more. A watchdog, not a claim about speed. */
const STALLED_MS = 25_000;

export class Stage {
  readonly name: string;
  readonly engine: Engine;
  readonly accounts = new Accounts();
  readonly inspector: Inspector;
  readonly fleet: Fleet;
  readonly faults: Faults;
  readonly problems: string[] = [];
  readonly messages: number;
  readonly log: DrillContext['log'];
  readonly publisher = new DrillChild('publisher-process.ts');
  readonly #options: StageOptions;
  readonly directory: string;
  readonly #startedMs = nowMs();
  /** Gone from the engine by what the drill did, and not published again yet. */
  #gone: ReadonlySet<string> = new Set();

  constructor(context: DrillContext, engine: Engine, options: StageOptions) {
    this.name = options.name;
    this.messages = context.messages * (options.share ?? 1);
    this.log = context.log;
    this.engine = engine;
    this.#options = options;
    this.directory = mkdtempSync(join(tmpdir(), 'esper-drill-'));
    directories.add(this.directory);
    this.inspector = new Inspector(engine.target);
    const poison = options.poison === undefined ? {} : { poison: options.poison };
    const settings = { ...DRILL_SETTINGS, ...options.settings };
    const { target } = engine;
    const { handlerMs = 40, sync = false, failEvery = 0 } = options;
    this.fleet = new Fleet(
      { target, keys: KEYS, group: GROUP, handlerMs, settings, ...poison, sync, failEvery },
      this.directory,
      this.accounts,
      (consumer) => this.inspector.held(consumer),
    );
    this.faults = new Faults(this);
  }

  /** Consumers first, then the publisher; from here on messages flow. */
  async start(): Promise<void> {
    await this.fleet.muster(this.#options.consumers ?? 3);
    const ledger = join(this.directory, 'publisher.ledger');
    this.accounts.followPublisher(ledger);
    const { seconds, window = 64, highEvery = 0, emergencies } = this.#options;
    const more = emergencies === undefined ? {} : { emergencies: emergencies(this.directory) };
    const plan: PublisherPlan = {
      ...{
        target: this.engine.target,
        keys: KEYS,
        name: 'publisher',
        ledger,
        prefix: 'e',
        count: this.messages,
      },
      ...{ window, perSecond: this.messages / seconds, highEvery, ...more },
    };
    await this.publisher.call('start', plan);
  }

  status(): Promise<PublisherStatus> {
    return this.publisher.call<PublisherStatus>('status');
  }

  /** Until this part of all messages, 0 to 1, is stored. */
  async untilConfirmed(part: number): Promise<void> {
    const wanted = Math.floor(part * this.messages);
    await this.#progress(`${wanted} messages to be stored`, () => this.accounts.confirmed >= wanted);
  }

  /** A wait like all others: patient while messages flow, and not without end. */
  untilTrue(what: string, reached: () => boolean | Promise<boolean>): Promise<void> {
    return this.#progress(what, reached);
  }

  /** Publishes all that is to be published and waits until it was handled; what never comes is lost, not waited for. */
  async drain(): Promise<void> {
    await this.publisher.call('release');
    await this.#progress('the publisher to be done', async () => (await this.status()).done);
    await this.#progress('what was published to be handled', async () => {
      if (this.accounts.handled + this.#gone.size < this.accounts.confirmed - (await this.#deadIds()).size)
        return false;
      return this.accounts.missing(await this.#deadIds(), this.#gone).length === 0;
    });
    await this.#progress(
      'the pending list to be empty',
      async () => (await this.inspector.backlog()).pending === 0,
    );
  }

  /** These are on the engine no more, by the drill's own doing. */
  declareGone(eventIds: ReadonlySet<string>): void {
    this.#gone = eventIds;
  }

  /** Publishes again, under the same ids, what was declared gone and was not handled before. */
  async resendGone(): Promise<number> {
    this.accounts.update();
    const ids = [...this.#gone].filter(
      (id) => this.accounts.wasConfirmed(id) && !this.accounts.wasHandled(id),
    );
    this.#gone = new Set();
    await this.publisher.call('resend', ids);
    return ids.length;
  }

  async finish(expected: Expected = {}): Promise<Row> {
    await this.drain().catch((error: Error) => this.problems.push(error.message));
    await this.fleet.disband();
    const status = await this.#endPublisher();
    const letters = await this.inspector.deadLetters();
    const balance = this.accounts.update().balance(new Set(letters.map(({ eventId }) => eventId)));
    const faults = this.faults.summary();
    const replays = expected.replays === true ? letters.filter((letter) => this.#isReplay(letter)).length : 0;
    const deadLetters = (expected.deadLetters ?? 0) + replays;
    const checks: [bad: boolean, text: string][] = [
      [balance.lost.length > 0, `lost ${balance.lost.length}: ${balance.lost.slice(0, 3).join(', ')}`],
      [balance.strange.length > 0, `${balance.strange.length} handled that nobody sent`],
      [balance.sent < this.messages, `only ${balance.sent} of ${this.messages} were stored`],
      [
        letters.length !== deadLetters,
        `${letters.length} dead letters, not ${deadLetters}: ${reasons(letters)}`,
      ],
      [status.overdue > 0, `${status.overdue} publishes outlasted their deadline by 2 s`],
      [status.refused.length > 0, `refused: ${status.refused.join('; ')}`],
    ];
    this.problems.push(...checks.filter(([bad]) => bad).map(([, text]) => text));
    this.problems.push(...faults.problems, ...this.fleet.problems);
    return {
      ...{ drill: this.name, engine: this.engine.label, sent: balance.sent, handled: balance.handled },
      ...{ duplicates: balance.duplicates, lost: balance.lost.length, deadLetters: letters.length },
      ...faults.row,
      silenceMs: this.accounts.longestSilenceMs(),
      cleanEnds: this.fleet.stats.length,
      identities: this.fleet.stats.length - this.fleet.wrongIdentities,
      tookS: (nowMs() - this.#startedMs) / 1000,
      notes: [
        ...(expected.notes ?? []),
        ...(replays > 0 ? [`replays refused ${replays}`] : []),
        ...attemptNotes(status),
      ],
      problems: this.problems,
    };
  }

  /** Whatever happened: nothing of this drill stays. */
  async close(): Promise<void> {
    this.inspector.close();
    this.accounts.close();
    const children = [this.publisher, ...this.fleet.members.map(({ child }) => child)];
    await Promise.all(children.map((child) => child.kill()));
    await this.engine.end();
    rmSync(this.directory, { recursive: true, force: true });
    directories.delete(this.directory);
  }

  #isReplay({ eventId, reason }: StoredLetter): boolean {
    return reason === REPLAYED && this.accounts.wasHandled(eventId);
  }

  async #deadIds(): Promise<Set<string>> {
    return new Set((await this.inspector.deadLetters()).map(({ eventId }) => eventId));
  }

  async #endPublisher(): Promise<PublisherStatus> {
    const status = await this.status();
    await this.publisher.call('end').catch(() => undefined);
    const end = await within('the publisher to end by itself', 10_000, this.publisher.ended).catch(
      (error: Error) => {
        this.problems.push(error.message);
        return this.publisher.kill();
      },
    );
    if (end.code !== 0) this.problems.push(`the publisher ended with ${end.signal ?? end.code}`);
    return status;
  }

  /** As `poll`, but patient while something moves. */
  async #progress(what: string, reached: () => boolean | Promise<boolean>): Promise<void> {
    let seen = -1;
    let movedMs = nowMs();
    await poll(what, { timeoutMs: 600_000, everyMs: 20 }, async () => {
      if (!this.publisher.alive) throw new Error(`the publisher died: ${this.publisher.stderr}`);
      this.accounts.update();
      if (await reached()) return true;
      const now = this.accounts.handled + this.accounts.confirmed;
      if (now !== seen) movedMs = nowMs();
      seen = now;
      if (nowMs() - movedMs > STALLED_MS)
        throw new Error(`stalled: nothing moved for ${STALLED_MS} ms, waiting for ${what}`);
      return false;
    });
  }
}

function reasons(letters: readonly { readonly reason: string }[]): string {
  const counts = new Map<string, number>();
  for (const { reason } of letters) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  return [...counts].map(([reason, count]) => `${reason} ${count}`).join(', ');
}

function attemptNotes({ outcomes }: PublisherStatus): string[] {
  const others = Object.entries(outcomes).filter(([outcome]) => outcome !== 'published');
  return others.map(([outcome, count]) => `${outcome} ${count}`);
}

/** Sets the stage, runs the script on it, and clears it away, however the script ends. */
export async function onStage(
  context: DrillContext,
  engine: Engine,
  options: StageOptions,
  script: (stage: Stage) => Promise<Row>,
  before: (stage: Stage) => Promise<unknown> = async () => undefined,
): Promise<Row> {
  const stage = new Stage(context, engine, options);
  try {
    await before(stage);
    await stage.start();
    return await script(stage);
  } finally {
    await stage.close();
  }
}
