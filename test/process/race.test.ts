// watchdog: 300 s
import { randomBytes } from 'node:crypto';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { loadNative } from '../../src/native/load.ts';
import { type EmergencyRecord, type EmergencySignal, openEmergencySignal } from '../../src/signals/index.ts';
import {
  type Clear,
  isWhole,
  type Played,
  type Raise,
  type Reads,
} from '../fixtures/signals/race-protocol.ts';
import { openSharedWords } from '../fixtures/signals/shared-words.ts';
import { startFixture } from '../helpers/fixture-process.ts';
import { until } from '../helpers/until.ts';

// Shows 6 of the fast path: two triggers race a clear over processes, until a thousand rounds really collided.

const test = suite('a race of processes');
const COLLISIONS = 1000;
/** Rounds between two checks; their records fit the ring four times over, so that nothing is overwritten unread. */
const CHUNK = 16;

interface Round {
  readonly raises: readonly Raise[];
  readonly clear: Clear;
}

/** Reads the flag from outside while the others write, and keeps every record by its generation. */
class Reader {
  readonly byGeneration = new Map<number, EmergencyRecord>();
  readonly generations = new Map<string, number>();
  /** Ids that came more than once. */
  readonly repeated: string[] = [];
  goodReads = 0;
  torn: string[] = [];
  lost = 0;
  readonly #signal: EmergencySignal;

  constructor(signal: EmergencySignal) {
    this.#signal = signal;
    signal.subscribe(
      ({ records, overruns, holes }) => {
        this.lost += overruns + holes;
        for (const record of records) {
          this.#check(record);
          this.byGeneration.set(record.generation, record);
          if (this.generations.has(record.signalId)) this.repeated.push(record.signalId);
          this.generations.set(record.signalId, record.generation);
        }
        // The oldest records are those that a writer takes over next: where a torn copy would show.
        for (const record of this.#signal.history()) this.#check(record);
      },
      { from: 'oldest' },
    );
  }

  /** What the racers themselves read. */
  add(...reads: readonly Reads[]): void {
    for (const { goodReads, torn } of reads) {
      this.goodReads += goodReads;
      this.torn.push(...torn);
    }
  }

  #check(record: EmergencyRecord): void {
    if (isWhole(record)) this.goodReads += 1;
    else this.torn.push(`${record.origin}: ${record.reason}`);
  }
}

/** Applies the records in the order of their generations, as the protocol says; returns the level after each. */
function replay(records: ReadonlyMap<number, EmergencyRecord>, last: number): number[] {
  const levels = [0];
  for (let generation = 1; generation <= last; generation++) {
    const record = records.get(generation);
    const before = levels[generation - 1] ?? 0;
    assert.ok(record, `generation ${generation} has a record`);
    if (record.kind === 'clear') {
      assert.equal(record.cleared, { generation: generation - 1, level: before }, 'cleared what it saw');
      levels.push(0);
    } else {
      levels.push(Math.max(before, record.level));
    }
  }
  return levels;
}

function overlaps(a: Raise, b: Clear): boolean {
  return a.enteredNs < b.leftNs && b.enteredNs < a.leftNs;
}

function checkRound({ raises, clear }: Round, reader: Reader, levels: readonly number[]): void {
  const { round, after, outcome, seen, baseId } = clear;
  for (const { signalId } of raises)
    assert.ok(reader.generations.has(signalId), `round ${round}: a trigger is lost`);
  if (baseId !== undefined) assert.ok(reader.generations.has(baseId));
  assert.is(clear.signalId !== undefined && reader.generations.has(clear.signalId), outcome === 'cleared');
  assert.is(after.level, levels[after.generation], `round ${round}: the level is what the records say`);
  // Whatever was raised stands, unless the clear saw it; it saw nothing that came after `seen`.
  const unseen = raises.filter(({ signalId }) => (reader.generations.get(signalId) ?? 0) > seen.generation);
  const highest = Math.max(0, ...unseen.map(({ level }) => level));
  assert.ok(after.level >= highest, `round ${round}: level ${after.level} after a raise to ${highest}`);
}

test(`[R-B1] [R-B2] [R-F10] two triggers race a clear over processes: ${COLLISIONS} collisions, nothing lost or torn`, async () => {
  const name = `race.${process.pid}.${randomBytes(4).toString('hex')}`;
  const seed = randomBytes(4).readUInt32LE();
  console.log(`seed ${seed}`);
  const signal = openEmergencySignal(name);
  assert.is(signal.kind, 'shared', signal.degraded?.reason);
  const shared = openSharedWords(`${name}.step`);
  const players = [
    ['raiser', 'a'],
    ['raiser', 'A'],
    ['clearer', '0'],
  ].map(([role = '', letter = ''], i) =>
    startFixture<'ready' | Played>('signals/racer.ts', [name, role, letter, String(seed + i)]),
  );
  const reader = new Reader(signal);
  const counts = { rounds: 0, collided: 0, clearFirst: 0, triggerFirst: 0, raises: 0 };
  try {
    await Promise.all(players.map((player) => player.next()));
    while (counts.collided < COLLISIONS) {
      for (const player of players) player.send({ first: counts.rounds + 1, count: CHUNK });
      const played = await Promise.all(players.map((player) => player.next()));
      const clears = played.flatMap((one) => (one !== 'ready' && one.role === 'clearer' ? one.clears : []));
      const raises = played.flatMap((one) => (one !== 'ready' && one.role === 'raiser' ? one.raises : []));
      const last = clears.at(-1)?.after.generation ?? 0;
      await until(`generation ${last}`, () => reader.byGeneration.has(last));
      assert.is(reader.lost, 0, 'no overrun, no hole');
      reader.add(...played.filter((one) => one !== 'ready'));
      assert.equal([reader.torn, reader.repeated], [[], []]);
      const levels = replay(reader.byGeneration, last);
      for (const clear of clears) {
        const round = { clear, raises: raises.filter((raise) => raise.round === clear.round) };
        assert.is(round.raises.length, 2);
        checkRound(round, reader, levels);
        counts.rounds += 1;
        counts.raises += 2;
        if (!round.raises.some((raise) => overlaps(raise, clear))) continue;
        counts.collided += 1;
        if (clear.outcome === 'cleared') counts.clearFirst += 1;
        else counts.triggerFirst += 1;
      }
    }
    console.log({ ...counts, goodReads: reader.goodReads, records: reader.byGeneration.size });
    assert.ok(counts.clearFirst > 0 && counts.triggerFirst > 0, 'both orders came up');
    assert.ok(reader.goodReads > counts.raises);
  } finally {
    await Promise.all(players.map((player) => player.kill()));
    shared.close();
    signal.close();
    signal.unlink();
    loadNative().module.unlink(`${name}.step`);
  }
});

test.run();
