// watchdog: 300 s
import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { loadNative } from '../../src/native/load.ts';
import { type EmergencyRecord, type EmergencySignal, openEmergencySignal } from '../../src/signals/index.ts';
import { isWhole, textsOf } from '../fixtures/signals/race-protocol.ts';
import { openSharedWords, type SharedWords } from '../fixtures/signals/shared-words.ts';
import type { SteadyReport } from '../fixtures/signals/steady-raiser.ts';
import { type FixtureProcess, startFixture } from '../helpers/fixture-process.ts';
import { seededRandom } from '../helpers/seeded.ts';
import { until } from '../helpers/until.ts';

// Raisers die by SIGKILL at random moments, most of them inside a trigger, while another process raises and reads.

const test = suite('raisers that are killed');
const KILLS = 50;
const RETURNED_WORD = 4;
const MAX_LIFE_MS = 4;
/** Raised and read by the survivor while the other dies; with the ring's 256 far from a lap. */
const STEADY_RAISES = 30;

/** Watches the level between two clears; only this process clears. */
class LevelWatch {
  samples = 0;
  #floor = 0;
  readonly #signal: EmergencySignal;

  constructor(signal: EmergencySignal) {
    this.#signal = signal;
  }

  sample(): number {
    const level = this.#signal.level();
    if (level < this.#floor) throw new Error(`level fell from ${this.#floor} to ${level} without a clear`);
    this.#floor = level;
    this.samples += 1;
    return level;
  }

  clear(): void {
    for (;;) {
      this.#floor = 0;
      const { outcome } = this.#signal.clear(this.#signal.read(), { force: true, ...textsOf('0', 0) });
      if (outcome !== 'superseded') return;
    }
  }
}

function requireWhole(records: readonly EmergencyRecord[]): number {
  for (const record of records) assert.ok(isWhole(record), `${record.origin}: ${record.reason}`);
  return records.length;
}

/** What the dead raiser's last trigger said is there, and all of its triggers before it, without a gap. */
function requireNothingLost(history: readonly EmergencyRecord[], pid: number, returned: number): void {
  const steps = history.filter((record) => record.pid === pid).map((record) => record.step);
  assert.ok(steps.includes(returned), `step ${returned} returned and is in the ring`);
  const last = steps.at(-1) ?? 0;
  assert.ok(last === returned || last === returned + 1, 'at most one more, whose return nobody saw');
  const [first = 0] = steps;
  assert.equal(
    steps,
    steps.map((_, i) => first + i),
  );
}

class Arena {
  readonly signal: EmergencySignal;
  readonly level: LevelWatch;
  readonly counts = { kills: 0, raised: 0, goodReads: 0, overruns: 0, holes: 0, watched: 0 };
  readonly #name = `killed.${process.pid}.${randomBytes(4).toString('hex')}`;
  readonly #shared: SharedWords;
  readonly #steady: FixtureProcess<'ready' | SteadyReport>;

  constructor() {
    this.signal = openEmergencySignal(this.#name);
    assert.is(this.signal.kind, 'shared', this.signal.degraded?.reason);
    this.#shared = openSharedWords(`${this.#name}.step`);
    this.level = new LevelWatch(this.signal);
    this.signal.subscribe(({ records, overruns, holes }) => {
      this.counts.watched += requireWhole(records);
      this.counts.overruns += overruns;
      this.counts.holes += holes;
      this.level.sample();
    });
    this.#steady = startFixture('signals/steady-raiser.ts', [this.#name]);
  }

  async ready(): Promise<void> {
    assert.is(await this.#steady.next(), 'ready');
  }

  /** A raiser that waits for its go. */
  start(): FixtureProcess<'ready'> {
    return startFixture('signals/doomed-raiser.ts', [this.#name]);
  }

  /** Lets the raiser raise, kills it after so long, and checks what it left. */
  async kill(raiser: FixtureProcess<'ready'>, lifeMs: number): Promise<void> {
    const { signal, level, counts } = this;
    Atomics.store(this.#shared.words, RETURNED_WORD, 0);
    raiser.send('go');
    await until('its first trigger', () => {
      level.sample();
      return Atomics.load(this.#shared.words, RETURNED_WORD) !== 0;
    });
    this.#steady.send(STEADY_RAISES);
    await delay(lifeMs);
    level.sample();
    assert.is((await raiser.kill()).signal, 'SIGKILL');
    const returned = Atomics.load(this.#shared.words, RETURNED_WORD);
    const report = await this.#steadyReport();
    assert.equal(report.torn, []);
    const history = signal.history();
    requireNothingLost(history, raiser.pid, returned);
    counts.goodReads += requireWhole(history) + report.goodReads;
    counts.raised += returned;
    counts.kills += 1;
    assert.ok(level.sample() >= 2, 'the survivor raised to 2, and nobody cleared');
    // The survivor is heard as before.
    this.#steady.send(1);
    const [id = ''] = (await this.#steadyReport()).ids;
    assert.ok(signal.find(id));
    level.clear();
  }

  async #steadyReport(): Promise<SteadyReport> {
    const report = await this.#steady.next();
    if (report === 'ready') throw new Error('ready twice');
    return report;
  }

  async close(): Promise<void> {
    await this.#steady.kill();
    this.#shared.close();
    this.signal.close();
    this.signal.unlink();
    loadNative().module.unlink(`${this.#name}.step`);
  }
}

test(`[R-B1] [R-B2] [R-F10] ${KILLS} raisers killed at random moments: no reader hangs, nothing torn or lost, the level never falls`, async () => {
  const seed = randomBytes(4).readUInt32LE();
  console.log(`seed ${seed}`);
  const random = seededRandom(seed);
  const arena = new Arena();
  // The next ones start up while one raises: loading takes far longer than living.
  const waiting = [arena.start(), arena.start()];
  try {
    await arena.ready();
    for (let i = 0; i < KILLS; i++) {
      const [raiser] = waiting;
      if (raiser === undefined) break;
      if (i + 2 < KILLS) waiting.push(arena.start());
      await raiser.next();
      await arena.kill(raiser, random() * MAX_LIFE_MS);
      waiting.shift();
    }
    const { repairs, tickets } = arena.signal.stats();
    console.log({ ...arena.counts, levelSamples: arena.level.samples, repairs, tickets });
    assert.is(arena.counts.kills, KILLS);
    assert.ok(arena.counts.goodReads > 0 && arena.counts.watched > 0);
  } finally {
    await Promise.all(waiting.map((one) => one.kill()));
    await arena.close();
  }
});

test.run();
