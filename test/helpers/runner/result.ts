/** Outcome of one test file, or of one C++ test. */
export interface Result {
  /** What ran: path of the file, or `native/<name>`. */
  readonly name: string;
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  readonly durationMs: number;
  /** What went wrong beyond single tests: a crash, a time-out, no test at all. */
  readonly problem: string | undefined;
  /** What it printed; shown when it failed. */
  readonly output: string;
}

/** A result that is one failure and nothing else. */
export function failure(name: string, problem: string, output = '', durationMs = 0): Result {
  return { name, passed: 0, failed: 1, skipped: 0, durationMs, problem, output };
}

export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

export function sum(results: readonly Result[]): Counts {
  let [passed, failed, skipped] = [0, 0, 0];
  for (const result of results) {
    passed += result.passed;
    failed += result.failed;
    skipped += result.skipped;
  }
  return { passed, failed, skipped };
}

/** `12 passed, 0 failed`, and `, 3 skipped` when there are any: the form that CI reads. */
export function formatCounts({ passed, failed, skipped }: Counts): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}

/** One line about one result. */
export function formatResult(result: Result): string {
  const mark = result.failed > 0 ? 'FAIL' : 'ok  ';
  const problem = result.problem === undefined ? '' : ` (${result.problem})`;
  return `${mark} ${result.name}: ${formatCounts(result)}, ${Math.round(result.durationMs)} ms${problem}`;
}
