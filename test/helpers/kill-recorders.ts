import { setTimeout as delay } from 'node:timers/promises';
import type { Random } from '../../src/core/random.ts';
import { bucketIndex, bucketLowNs, EXACT_BUCKETS } from '../../src/native/histogram-buckets.ts';
import { loadNative } from '../../src/native/load.ts';
import { HistogramSnapshot, type LatencyHistogram, openLatencyHistogram } from '../../src/signals/index.ts';
import { openSharedWords, type SharedWords } from '../fixtures/signals/shared-words.ts';
import { type FixtureProcess, startFixture } from './fixture-process.ts';
import { until } from './until.ts';

/** As many as have shared words of their own. */
export const AT_ONCE = 3;

export interface KillPlan {
  /** Name of the segment; removed at the end. */
  readonly name: string;
  readonly kills: number;
  readonly stripes: number;
  /** Longest time that a writer records before it is killed, milliseconds. */
  readonly maxLifeMs: number;
  readonly random: Random;
}

export interface KillReport {
  readonly kills: number;
  /** Values whose record returned before the kill. */
  readonly returned: number;
  /** Values counted, by all writers. */
  readonly counted: number;
  /** Writers killed within a record, whose value was not counted, and those whose was. */
  readonly lostInFlight: number;
  readonly countedInFlight: number;
  /** Counts below those that returned or above those begun. Any is a violation. */
  readonly unexplained: number;
  readonly intervals: number;
  /** Buckets, sums included, where all intervals together are not the final snapshot. Any is a violation. */
  readonly intervalMismatches: number;
  readonly refusedWriters: number;
}

interface Writer {
  readonly process: FixtureProcess<string>;
  readonly slot: number;
  /** One bucket a writer: stripes are handed on, buckets are not. */
  readonly valueNs: number;
}

class Arena {
  readonly #plan: KillPlan;
  readonly #reader: LatencyHistogram;
  readonly #take: () => HistogramSnapshot;
  readonly #shared: SharedWords;
  #sum = HistogramSnapshot.merge([]);
  #started = 0;
  readonly counts = {
    kills: 0,
    returned: 0,
    lostInFlight: 0,
    countedInFlight: 0,
    unexplained: 0,
    intervals: 0,
  };

  constructor(plan: KillPlan) {
    this.#plan = plan;
    this.#reader = openLatencyHistogram(plan.name, { readOnly: true, stripes: plan.stripes });
    if (this.#reader.kind !== 'shared') throw new Error(this.#reader.degraded?.reason);
    this.#take = this.#reader.intervals();
    this.#shared = openSharedWords(`${plan.name}.words`);
  }

  start(slot: number): Writer {
    const valueNs = bucketLowNs(EXACT_BUCKETS + this.#started++);
    const { name, stripes } = this.#plan;
    const args = [name, String(slot), String(valueNs), String(stripes)];
    return { process: startFixture<string>('signals/doomed-recorder.ts', args), slot, valueNs };
  }

  takeInterval(): void {
    this.#sum = this.#sum.merge(this.#take());
    this.counts.intervals += 1;
  }

  async kill(writer: Writer): Promise<void> {
    const { words } = this.#shared;
    const begunAt = 2 + 2 * writer.slot;
    Atomics.store(words, begunAt, 0);
    Atomics.store(words, begunAt + 1, 0);
    const told = await writer.process.next();
    if (told !== 'ready') throw new Error(`a writer has no stripe: ${told}`);
    writer.process.send('go');
    await until('its first record', () => Atomics.load(words, begunAt + 1) > 0);
    this.takeInterval();
    await delay(this.#plan.random() * this.#plan.maxLifeMs);
    this.takeInterval();
    const { signal } = await writer.process.kill();
    if (signal !== 'SIGKILL') throw new Error(`the writer ended by ${signal}`);
    this.#judge(writer, Atomics.load(words, begunAt), Atomics.load(words, begunAt + 1));
  }

  #judge(writer: Writer, begun: number, returned: number): void {
    const { counts } = this;
    const counted = this.#reader.snapshot().counts[bucketIndex(writer.valueNs)] ?? 0;
    counts.kills += 1;
    counts.returned += returned;
    if (counted < returned || counted > begun || begun > returned + 1) counts.unexplained += 1;
    else if (begun > counted) counts.lostInFlight += 1;
    else if (counted > returned) counts.countedInFlight += 1;
  }

  report(): KillReport {
    this.takeInterval();
    const final = this.#reader.snapshot();
    let intervalMismatches = this.#sum.sumNs === final.sumNs ? 0 : 1;
    for (const [index, count] of final.counts.entries()) {
      if (count !== this.#sum.counts[index]) intervalMismatches += 1;
    }
    return { ...this.counts, counted: final.count, intervalMismatches, refusedWriters: final.refusedWriters };
  }

  close(): void {
    this.#shared.close();
    this.#reader.close();
    this.#reader.unlink();
    loadNative().module.unlink(`${this.#plan.name}.words`);
  }
}

/**
 * Writers that record without a pause and are killed at random moments, while intervals are taken. The next ones start
 * up while one records: loading takes far longer than living.
 */
export async function killRecorders(plan: KillPlan): Promise<KillReport> {
  const arena = new Arena(plan);
  const waiting = Array.from({ length: Math.min(AT_ONCE, plan.kills) }, (_, slot) => arena.start(slot));
  try {
    for (let killed = 0; killed < plan.kills; killed++) {
      const [writer] = waiting;
      if (writer === undefined) break;
      await arena.kill(writer);
      waiting.shift();
      if (killed + AT_ONCE < plan.kills) waiting.push(arena.start(writer.slot));
    }
    return arena.report();
  } finally {
    await Promise.all(waiting.map(({ process }) => process.kill()));
    arena.close();
  }
}
