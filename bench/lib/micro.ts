import Benchmark from 'benchmark';
import type { Report } from './report.ts';
import { median, shuffle, summarize } from './samples.ts';

export interface MicroCase {
  readonly id: string;
  readonly title: string;
  /** Performs the operation `times` times and returns something that depends on every one of them. */
  readonly body: (times: number) => number;
}

/** Operations a call of `body`: the harness's own call then costs under a hundredth of a nanosecond each. */
const BATCH = 1000;

/** Added to by every measured operation and printed at the end: a result that nobody reads may be optimised away. */
let sink = 0;

function periodNs(body: MicroCase['body'], maxTimeS: number): number {
  const benchmark = new Benchmark(
    () => {
      sink += body(BATCH);
    },
    { maxTime: maxTimeS, minTime: maxTimeS / 10, minSamples: 3 },
  );
  benchmark.run({ async: false });
  if (benchmark.error !== undefined) throw benchmark.error;
  // Median, not mean: one collection in a short sample would shift a mean by more than the cases differ.
  return (median(benchmark.stats.sample) / BATCH) * 1e9;
}

/**
 * Every case once a round, in random order, `maxTimeS` seconds each; the figure is the median over the rounds. Prints
 * the table, adds `<id>_ns` results, and returns the figure of a case, nanoseconds an operation.
 */
export function measureMicro(
  cases: readonly MicroCase[],
  rounds: number,
  maxTimeS: number,
  report: Report,
): (id: string) => number {
  const periods = cases.map((each) => ({ each, roundsNs: [] as number[] }));
  for (let round = 0; round < rounds; round++) {
    for (const { each, roundsNs } of shuffle(periods)) roundsNs.push(periodNs(each.body, maxTimeS));
  }
  const rows = periods.map(({ each, roundsNs }) => ({ name: each.title, summary: summarize(roundsNs) }));
  for (const { each, roundsNs } of periods) report.results[`${each.id}_ns`] = median(roundsNs);
  report.printTable(`One operation, over ${rounds} rounds (ns)`, rows);
  console.log(`  (sink ${sink}: every result above went into it)`);
  return (id) => report.results[`${id}_ns`] ?? Number.NaN;
}
