import os from 'node:os';
import type { Summary } from './samples.ts';

export interface Target {
  /** Key in `ratios` or `results`. */
  readonly key: string;
  readonly bound: number;
  /** Whether the bound itself still passes. */
  readonly inclusive: boolean;
  /** The bound is the least, not the most. */
  readonly atLeast?: true;
}

export interface Row {
  readonly name: string;
  readonly summary: Summary;
  /** Last column, headed by `columns.extra`. */
  readonly extra?: string;
  /** p50 against the table's reference row; undefined leaves the cell empty. */
  readonly ratio?: number;
}

/** Short enough for a column, three significant digits. */
export function figure(value: number): string {
  if (!Number.isFinite(value)) return '-';
  if (value >= 1000) return Math.round(value).toLocaleString('en-US');
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

function printColumns(lines: readonly (readonly string[])[]): void {
  const widths = (lines[0] ?? []).map((_, column) =>
    Math.max(...lines.map((line) => line[column]?.length ?? 0)),
  );
  for (const line of lines) {
    const cells = line.map((cell, column) =>
      column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
    );
    console.log(`  ${cells.join('  ')}`.trimEnd());
  }
}

/** Collects what a benchmark measured; prints tables as it goes and the targets and the JSON line at the end. */
export class Report {
  readonly results: Record<string, number> = {};
  readonly ratios: Record<string, number> = {};
  readonly #bench: string;

  constructor(bench: string) {
    this.#bench = bench;
  }

  printMachine(): void {
    const model = os.cpus()[0]?.model ?? 'unknown CPU';
    const memoryGib = (os.totalmem() / 2 ** 30).toFixed(1);
    const load = os.loadavg()[0]?.toFixed(2) ?? '?';
    console.log(
      `${this.#bench}: ${os.cpus().length} × ${model}, ${memoryGib} GiB, ${os.type()} ${os.release()}, ` +
        `Node ${process.versions.node}, load ${load}`,
    );
  }

  /** One table; the title tells the unit. `reference` names the row that the ratio column divides by. */
  printTable(
    title: string,
    rows: readonly Row[],
    columns: { extra?: string; reference?: string } = {},
  ): void {
    const header = ['', 'n', 'p50', 'p90', 'p99', 'max'];
    if (columns.reference !== undefined) header.push(`p50 ÷ ${columns.reference}`);
    if (columns.extra !== undefined) header.push(columns.extra);
    const lines = rows.map((row) => {
      const { count, p50, p90, p99, max } = row.summary;
      const line = [row.name, String(count), figure(p50), figure(p90), figure(p99), figure(max)];
      if (columns.reference !== undefined) line.push(row.ratio === undefined ? '' : figure(row.ratio));
      if (columns.extra !== undefined) line.push(row.extra ?? '');
      return line;
    });
    console.log(`\n${title}`);
    printColumns([header, ...lines]);
  }

  /** `<prefix>_p50_<unit>` and so on into `results`. */
  record(prefix: string, unit: 'ns' | 'us' | 'ms', summary: Summary): void {
    for (const key of ['p50', 'p90', 'p99', 'max'] as const) {
      if (Number.isFinite(summary[key])) this.results[`${prefix}_${key}_${unit}`] = summary[key];
    }
    this.results[`${prefix}_count`] = summary.count;
  }

  /** A miss is reported, never an error: a time on a busy machine proves nothing. */
  printTargets(targets: readonly Target[]): void {
    const lines = targets.map(({ key, bound, inclusive, atLeast }) => {
      const value = this.ratios[key] ?? this.results[key];
      const beyond = value !== undefined && (atLeast ? value > bound : value < bound);
      const met = beyond || (inclusive && value === bound);
      const sign = `${atLeast ? '>' : '<'}${inclusive ? '=' : ''}`.replace('>=', '≥').replace('<=', '≤');
      const verdict = value === undefined ? 'not measured' : met ? 'met' : 'MISSED';
      return [key, value === undefined ? '-' : figure(value), `${sign} ${bound}`, verdict];
    });
    console.log('\nTargets');
    printColumns([['', 'measured', 'target', ''], ...lines]);
  }

  printJson(): void {
    const round = (values: Record<string, number>) =>
      Object.fromEntries(Object.entries(values).map(([key, value]) => [key, Number(value.toPrecision(5))]));
    console.log(
      JSON.stringify({ bench: this.#bench, results: round(this.results), ratios: round(this.ratios) }),
    );
  }
}
