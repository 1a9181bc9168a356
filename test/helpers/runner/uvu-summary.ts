import { stripVTControlCharacters } from 'node:util';

/** Totals that uvu prints at the end of a file. */
export interface UvuSummary {
  readonly total: number;
  readonly passed: number;
  readonly skipped: number;
}

const block = /^ {2}Total: +(\d+)\n {2}Passed: +(\d+)\n {2}Skipped: +(\d+)\n {2}Duration: /gm;

/**
 * Reads the last summary in what a file printed; undefined when there is none (uvu never got to its end, or was not
 * used). The last, because a test may print the output of another run.
 */
export function readUvuSummary(stdout: string): UvuSummary | undefined {
  const last = [...stripVTControlCharacters(stdout).matchAll(block)].at(-1);
  if (!last) return undefined;
  return { total: Number(last[1]), passed: Number(last[2]), skipped: Number(last[3]) };
}
