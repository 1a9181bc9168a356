import type { Report } from './report.ts';
import { median, type Summary, shuffle, summarize } from './samples.ts';

/** A case's turn in a round. */
export interface Turn {
  readonly id: string;
  readonly title: string;
  /** Nanoseconds an operation, one figure for each batch of operations that were timed together. */
  readonly run: () => Promise<readonly number[]>;
}

interface Figures {
  readonly turn: Turn;
  readonly rounds: Summary[];
  readonly all: number[];
}

/** Rounds whose figures do not count: until the last of the code is compiled. */
export const REHEARSALS = 2;

const NS_PER_S = 1e9;

/** Every case once a round, in random order. What is told is the median over the rounds, of ratios too. */
export class TurnRounds {
  readonly #figures = new Map<string, Figures>();

  static async measure(turns: readonly Turn[], rounds: number): Promise<TurnRounds> {
    const measured = new TurnRounds();
    for (const turn of turns) measured.#figures.set(turn.id, { turn, rounds: [], all: [] });
    for (let round = -REHEARSALS; round < rounds; round++) {
      for (const { turn, rounds: summaries, all } of shuffle([...measured.#figures.values()])) {
        const ns = await turn.run();
        if (round < 0) continue;
        summaries.push(summarize(ns));
        all.push(...ns);
      }
    }
    return measured;
  }

  /** Median of what the rounds say: a spell in which the machine was slow met both sides of a round. */
  ratio(id: string, reference: string, quantile: 'p50' | 'p99' = 'p50'): number {
    const own = this.#rounds(id).map((round) => round[quantile]);
    const other = this.#rounds(reference).map((round) => round[quantile]);
    return median(own.map((ns, round) => ns / (other[round] ?? Number.NaN)));
  }

  /** `<id>_ns` and `<id>_p99_ns` results, and a table beside `reference`; `extra` is its last column. */
  tell(
    report: Report,
    title: string,
    reference: { readonly id: string; readonly name: string },
    extra?: { readonly name: string; readonly of: (id: string) => string },
  ): void {
    const rows = [...this.#figures.values()].map(({ turn, rounds, all }) => {
      report.results[`${turn.id}_ns`] = median(rounds.map(({ p50 }) => p50));
      report.results[`${turn.id}_p99_ns`] = median(rounds.map(({ p99 }) => p99));
      const row = { name: turn.title, summary: summarize(all), ratio: this.ratio(turn.id, reference.id) };
      return extra === undefined ? row : { ...row, extra: extra.of(turn.id) };
    });
    const columns = { reference: reference.name };
    report.printTable(title, rows, extra === undefined ? columns : { ...columns, extra: extra.name });
  }

  /** Operations a second, median of the rounds, as `<id>_per_s` results. */
  tellRates(report: Report): void {
    for (const id of this.#figures.keys()) {
      report.results[`${id}_per_s`] = median(this.#rounds(id).map(({ p50 }) => NS_PER_S / p50));
    }
  }

  #rounds(id: string): readonly Summary[] {
    return this.#figures.get(id)?.rounds ?? [];
  }
}

/** What every measured operation returned goes in here and is printed: what nobody reads may be optimised away. */
export const sink = { value: 0 };

/** Of `count` operations that began at `startNs`. */
export function nsEach(startNs: bigint, count: number): number {
  return Number(process.hrtime.bigint() - startNs) / count;
}
