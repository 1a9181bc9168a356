import { type FillRow, type FillSettings, runFill } from './blocked.ts';
import { type ReleaseRow, runRelease } from './release.ts';
import { type GuardedSettings, type RunRow, runGuarded, runUnguarded, type StressSettings } from './runs.ts';

export const PARTS = ['unguarded', 'guarded', 'release', 'blocked', 'rates'] as const;
export type Part = (typeof PARTS)[number];

export interface Plan {
  readonly parts: readonly Part[];
  readonly runs: number;
  readonly settings: StressSettings;
}

export interface Results {
  readonly unguarded: readonly RunRow[];
  readonly guarded: readonly RunRow[];
  readonly release: readonly ReleaseRow[];
  readonly blocked: readonly FillRow[];
  readonly rates: readonly FillRow[];
}

const CRITICAL = 0.95;
/** What issue and documents speak of. */
const BLOCKED_RATE_MIB = 200;
/** 0: as fast as it goes. */
const SWEEP: readonly (readonly [rateMiB: number, threads: number])[] = [
  [400, 1],
  [800, 1],
  [1600, 1],
  [0, 1],
  [0, 2],
];
/**
 * No thread here fills memory as fast as it would take to be too late with the usual 5 % between CRITICAL and the end.
 * So the way is made shorter: what is too fast for a tenth of it at this speed is for all of it at ten times the speed.
 */
const SHORT_WAYS = [0.98, 0.99, 0.995, 0.998, 0.999] as const;

/** Every fill that the plan asks for; rates get a quarter of the tries of the one that must hold. */
function fills({ runs, settings: { limitBytes } }: Plan): { blocked: FillSettings[]; rates: FillSettings[] } {
  const times = <T>(count: number, one: T): T[] => Array.from({ length: count }, () => one);
  const tries = Math.max(1, Math.ceil(runs / 2));
  const at = (rateMiB: number, threads: number, criticalThreshold: number): FillSettings => ({
    ...{ limitBytes, rateMiB, threads, criticalThreshold },
  });
  return {
    blocked: times(runs * 2, at(BLOCKED_RATE_MIB, 1, CRITICAL)),
    rates: [
      ...SWEEP.flatMap(([rate, threads]) => times(tries, at(rate, threads, CRITICAL))),
      ...SHORT_WAYS.flatMap((threshold) => times(tries, at(0, 2, threshold))),
    ],
  };
}

/** Every second one meets half the load and goes on at CRITICAL; the others are to stop there. */
function variant(settings: StressSettings, index: number): GuardedSettings {
  if (index % 2 === 0) return { ...settings, stopAt: 'critical' };
  return { ...settings, connections: Math.ceil(settings.connections / 2), stopAt: 'shutdown' };
}

async function oneByOne<From, Row>(
  orders: readonly From[],
  run: (order: From) => Promise<Row>,
  onRow: (row: Row) => void,
  over: AbortSignal,
): Promise<readonly Row[]> {
  const rows: Row[] = [];
  for (const order of orders) {
    over.throwIfAborted();
    const row = await run(order);
    onRow(row);
    rows.push(row);
  }
  return rows;
}

export interface Tell {
  readonly run: (row: RunRow) => void;
  readonly release: (row: ReleaseRow) => void;
  readonly fill: (row: FillRow) => void;
}

/** One process at a time: two that press at once would slow each other down, and be no measurement. */
export async function carryOut(plan: Plan, tell: Tell, over: AbortSignal): Promise<Results> {
  const { parts, runs, settings } = plan;
  const has = (part: Part): boolean => parts.includes(part);
  const relays = (part: Part) => (has(part) ? Array.from({ length: runs }, () => settings) : []);
  const guarded = relays('guarded').map((given, index) => variant(given, index));
  const { blocked, rates } = fills(plan);
  return {
    unguarded: await oneByOne(relays('unguarded'), runUnguarded, tell.run, over),
    guarded: await oneByOne(guarded, runGuarded, tell.run, over),
    release: await oneByOne(has('release') ? [settings.limitBytes] : [], runRelease, tell.release, over),
    blocked: await oneByOne(has('blocked') ? blocked : [], runFill, tell.fill, over),
    rates: await oneByOne(has('rates') ? rates : [], runFill, tell.fill, over),
  };
}
