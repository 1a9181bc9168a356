/** What a shared object asks of the libraries of the host that loads it, read with objdump. */
import { spawnSync } from 'node:child_process';

/**
 * Newest version that a prebuilt addon may need of each set of symbols: what Node's own binaries for linux-x64 need
 * (glibc 2.28, the libstdc++ of gcc 8), so that the addon loads wherever such a Node runs.
 * @type {Readonly<Record<string, string>>}
 */
export const FLOOR = Object.freeze({ GLIBC: '2.28', GLIBCXX: '3.4.25', CXXABI: '1.3.11', GCC: '7.0.0' });

/** @param {string} a @param {string} b */
export function compareVersions(a, b) {
  const [left, right] = [a, b].map((text) => text.split('.').map(Number));
  for (let at = 0; at < Math.max(left?.length ?? 0, right?.length ?? 0); at++) {
    const difference = (left?.[at] ?? 0) - (right?.[at] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/**
 * Newest version needed of each set, and the symbols that need more than FLOOR allows.
 * @param {string} table output of `objdump -T`
 */
export function readNeeds(table) {
  /** @type {Record<string, string>} */
  const newest = {};
  /** @type {string[]} */
  const above = [];
  for (const [, set = '', version = '', symbol = ''] of table.matchAll(
    /\*UND\*.*?\(?\b([A-Z]+)_([\d.]+)\)?\s+(\S+)$/gm,
  )) {
    const known = newest[set];
    if (known === undefined || compareVersions(version, known) > 0) newest[set] = version;
    const limit = FLOOR[set];
    if (limit === undefined || compareVersions(version, limit) > 0)
      above.push(`${symbol} (${set}_${version})`);
  }
  return { newest, above };
}

/** @param {string} path of a shared object */
export function needsOf(path) {
  const { status, stdout, stderr, error } = spawnSync('objdump', ['-T', path], { encoding: 'utf8' });
  if (error) throw error;
  if (status !== 0) throw new Error(`objdump -T ${path}: ${stderr}`);
  return readNeeds(stdout);
}
