import { closeSync, openSync, readdirSync, readSync } from 'node:fs';
import { join, relative, sep } from 'node:path';

export interface TestFile {
  readonly path: string;
  /** Path relative to the project, with forward slashes. */
  readonly name: string;
  /** Starts processes or servers, or measures: runs alone. */
  readonly alone: boolean;
  readonly watchdogMs: number;
}

/** Below these no test is looked for: what is there is run by tests, or helps them. */
const skippedDirs = new Set(['fixtures', 'helpers']);
const aloneDirs = new Set(['process', 'integration']);

const watchdogComment = /^\/\/ watchdog: (\d+(?:\.\d+)?) s$/m;

/** Watchdog of a file: from a comment `// watchdog: 300 s` in its first 1,024 bytes, else the default. Milliseconds. */
function watchdogOf(path: string, defaultMs: number): number {
  const head = Buffer.alloc(1024);
  const fd = openSync(path, 'r');
  try {
    const size = readSync(fd, head, 0, head.length, 0);
    const given = watchdogComment.exec(head.toString('utf8', 0, size))?.[1];
    return given === undefined ? defaultMs : Number(given) * 1000;
  } finally {
    closeSync(fd);
  }
}

/** Every `*.test.ts` below `root`, by path. */
export function findTestFiles(root: string, projectDir: string, defaultWatchdogMs: number): TestFile[] {
  const found: TestFile[] = [];
  const walk = (dir: string): void => {
    for (const entry of readdirSync(dir, { withFileTypes: true })) {
      const path = join(dir, entry.name);
      if (entry.isDirectory()) {
        if (!skippedDirs.has(entry.name)) walk(path);
      } else if (entry.name.endsWith('.test.ts')) {
        const alone = relative(root, path)
          .split(sep)
          .some((part) => aloneDirs.has(part));
        const name = relative(projectDir, path).split(sep).join('/');
        found.push({ path, name, alone, watchdogMs: watchdogOf(path, defaultWatchdogMs) });
      }
    }
  };
  walk(root);
  return found.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** True when a name contains any of the filters, or there are none. A leading `./` in a filter is ignored. */
export function isWanted(name: string, filters: readonly string[]): boolean {
  return filters.length === 0 || filters.some((filter) => name.includes(filter.replace(/^\.\//, '')));
}
