/** Counts by stream role: plain doubles in one array, so that counting is a plain store. */
import { ROLE_INDEX, ROLE_NAMES, STREAM_ROLES, type StreamRole } from './observers.ts';

/** One count for each role and column.  */
export class Tally<C extends string> {
  readonly #counts: Float64Array;
  readonly #columns: Readonly<Record<C, number>>;
  readonly #width: number;

  constructor(columns: readonly C[]) {
    this.#width = columns.length;
    this.#counts = new Float64Array(STREAM_ROLES.length * columns.length);
    this.#columns = Object.freeze(
      Object.fromEntries(columns.map((column, at) => [column, at])) as Record<C, number>,
    );
  }

  add(role: StreamRole, column: C, count: number): void {
    const at = ROLE_INDEX[role] * this.#width + this.#columns[column];
    this.#counts[at] = (this.#counts[at] ?? 0) + count;
  }

  of(role: StreamRole, column: C): number {
    return this.#counts[ROLE_INDEX[role] * this.#width + this.#columns[column]] ?? 0;
  }

  total(column: C): number {
    let sum = 0;
    for (const role of STREAM_ROLES) sum += this.of(role, column);
    return sum;
  }

  /** `<prefix>_<column>` over all roles and `<prefix>_<column>_<role>` where it is not 0, into `into`. */
  list(into: Record<string, number>, names: Readonly<Record<C, string>>): void {
    for (const column of Object.keys(names) as C[]) {
      into[names[column]] = this.total(column);
      for (const role of STREAM_ROLES) {
        const count = this.of(role, column);
        if (count !== 0) into[`${names[column]}_${ROLE_NAMES[role]}`] = count;
      }
    }
  }
}
