/** What the checks share: finding source files, reading them without comments, and reporting in one form. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Root of the project. The checks take another one as first argument, so that they can be tested on fixtures. */
export const projectRoot = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

const skippedDirs = new Set(['node_modules', 'build', 'dist', 'coverage', 'generated', 'prebuilds']);

/**
 * Files below `root/dir` (any dir of `dirs`) whose name ends with one of `endings`, as sorted paths relative to
 * `root` with forward slashes. Generated, built and hidden folders are left out; a missing dir is empty.
 * @param {string} root
 * @param {string[]} dirs
 * @param {string[]} endings
 * @returns {string[]}
 */
export function listFiles(root, dirs, endings) {
  /** @type {string[]} */
  const found = [];
  /** @param {string} dir */
  const walk = (dir) => {
    for (const entry of entriesOf(dir)) {
      const path = join(dir, entry.name);
      if (entry.isDirectory()) {
        if (!skippedDirs.has(entry.name) && !entry.name.startsWith('.')) walk(path);
      } else if (endings.some((ending) => entry.name.endsWith(ending))) {
        found.push(relative(root, path).split(sep).join('/'));
      }
    }
  };
  for (const dir of dirs) walk(join(root, dir));
  return found.sort();
}

/** @param {string} dir */
function entriesOf(dir) {
  try {
    return readdirSync(dir, { withFileTypes: true });
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === 'ENOENT') return [];
    throw error;
  }
}

/**
 * @param {string} root
 * @param {string} path relative to root
 */
export const readSource = (root, path) => readFileSync(join(root, path), 'utf8');

const token = /'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\[\s\S]|[^`\\])*`|\/\/[^\n]*|\/\*[\s\S]*?\*\//g;

/**
 * The text with every comment blanked out (TypeScript, C++ or protobuf); line numbers stay. Strings are kept, so a
 * `//` inside one does not cut the line.
 * @param {string} text
 */
export function withoutComments(text) {
  return text.replace(token, (match) => (match.startsWith('/') ? match.replace(/[^\n]/g, ' ') : match));
}

/**
 * 1-based line of an offset.
 * @param {string} text
 * @param {number} offset
 */
export function lineAt(text, offset) {
  let line = 1;
  for (let at = text.indexOf('\n'); at !== -1 && at < offset; at = text.indexOf('\n', at + 1)) line++;
  return line;
}

/**
 * Prints one line when there is nothing to say, else one line per finding, and sets the exit code.
 * @param {string} check name of the check
 * @param {string[]} findings
 * @param {string} summary what was looked at, for the good case
 */
export function report(check, findings, summary) {
  if (findings.length === 0) {
    console.log(`${check}: ok, ${summary}`);
    return;
  }
  for (const finding of findings) console.error(`${check}: ${finding}`);
  process.exitCode = 1;
}

/** The root that a check was asked to look at. */
export const givenRoot = () => process.argv.slice(2).find((arg) => !arg.startsWith('-')) ?? projectRoot;
