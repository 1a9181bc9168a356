#!/usr/bin/env node
/**
 * Imports in src/ go one way: a file may import from its own layer and from those left of it, types included (a
 * type cycle between layers is still a cycle for the reader). `index.ts` at the root of src/ is the rightmost.
 * Also refused: `export *`, which would publish whatever a file happens to export.
 */
import { posix } from 'node:path';
import { givenRoot, lineAt, listFiles, readSource, report, withoutComments } from './lib/source.mjs';

/** Left to right; layers in one row are siblings that do not import each other. */
const rows = [
  ['core'],
  ['leyline'],
  ['native'],
  ['signals'],
  ['faults'],
  ['pipeline'],
  ['oona'],
  ['tolaria', 'urza', 'kasmina', 'tamiyo'],
  ['weatherlight', 'nissa'],
  ['cli'],
  ['index'],
];
const rank = new Map(rows.flatMap((row, at) => row.map((layer) => /** @type {const} */ ([layer, at]))));

const imports = /(?:\bfrom\s*|\bimport\s*\(\s*|\bimport\s+)(['"])(\.{1,2}\/[^'"]+)\1/g;

/**
 * Layer of a path relative to the root: `src/oona/types.ts` is in `oona`.
 * @param {string} path
 */
function layerOf(path) {
  const [, first, ...rest] = path.split('/');
  return rest.length > 0 ? first : first?.replace(/\.[^.]+$/, '');
}

/**
 * What is wrong with one import, or undefined.
 * @param {string} file
 * @param {string} specifier
 */
function judge(file, specifier) {
  const target = posix.normalize(posix.join(posix.dirname(file), specifier));
  if (!target.startsWith('src/')) return `imports ${specifier}, which is outside src/`;
  const from = layerOf(file) ?? '';
  const to = layerOf(target) ?? '';
  if (from === to) return undefined;
  const fromRank = rank.get(from);
  const toRank = rank.get(to);
  if (toRank === undefined) return `imports ${specifier}: '${to}' is not a known layer`;
  if (fromRank === undefined || toRank < fromRank) return undefined;
  return toRank === fromRank
    ? `imports ${specifier}: '${from}' and '${to}' are siblings and do not import each other`
    : `imports ${specifier}: '${to}' is right of '${from}'; inject what is needed instead`;
}

const root = givenRoot();
const files = listFiles(root, ['src'], ['.ts']);
/** @type {string[]} */
const findings = [];
let count = 0;
for (const file of files) {
  if (!rank.has(layerOf(file) ?? '')) findings.push(`${file}: '${layerOf(file)}' is not a known layer`);
  const text = withoutComments(readSource(root, file));
  for (const match of text.matchAll(imports)) {
    count++;
    const wrong = judge(file, match[2] ?? '');
    if (wrong) findings.push(`${file}:${lineAt(text, match.index)}: ${wrong}`);
  }
  for (const match of text.matchAll(/\bexport\s*\*/g)) {
    findings.push(`${file}:${lineAt(text, match.index)}: export *: name what is exported`);
  }
}
report('check-layers', findings, `${count} relative imports in ${files.length} files`);
