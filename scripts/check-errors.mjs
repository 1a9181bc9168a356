#!/usr/bin/env node
/**
 * Every error code in src/ and native/ has a row in docs/errors.md, and every row is a code that exists. Codes are
 * found as whole string literals, so one that is put together at run time is refused: nobody could search for it.
 */
import { givenRoot, lineAt, listFiles, readSource, report, withoutComments } from './lib/source.mjs';

/** Look like codes: environment variables, and the status of an operation that did not fail. */
const notCodes = new Set([
  'ESPER_ALLOW_UNSIGNED',
  'ESPER_FASTPATH_NATIVE',
  'ESPER_HOST_ID',
  'ESPER_LEYLINE_PREVIOUS_SECRETS',
  'ESPER_LEYLINE_SECRET',
  'ESPER_RUN_ID',
  'ESPER_SHM_OK',
]);

const literal = /(['"`])(ESPER_[A-Z0-9_]*)(\1|\$\{)/g;

const root = givenRoot();
const files = [...listFiles(root, ['src'], ['.ts', '.lua']), ...listFiles(root, ['native'], ['.h', '.cc'])];
/** @type {Map<string, string>} */
const codes = new Map();
/** @type {string[]} */
const findings = [];
for (const file of files) {
  const text = withoutComments(readSource(root, file));
  for (const match of text.matchAll(literal)) {
    const [, , name = '', end] = match;
    const place = `${file}:${lineAt(text, match.index)}`;
    if (notCodes.has(name) || name === 'ESPER_') continue;
    if (end === '${' || name.endsWith('_'))
      findings.push(`${place}: code '${name}…' is put together; write codes out whole`);
    else if (!codes.has(name)) codes.set(name, place);
  }
}

const doc = 'docs/errors.md';
const docText = listFiles(root, ['docs'], ['errors.md']).includes(doc) ? readSource(root, doc) : '';
const rows = new Set(
  [...docText.matchAll(/^\|\s*`(ESPER_[A-Z0-9_]+)`\s*\|/gm)].map((match) => match[1] ?? ''),
);
for (const [code, place] of codes)
  if (!rows.has(code)) findings.push(`${place}: ${code} has no row in ${doc}`);
for (const row of rows)
  if (!codes.has(row)) findings.push(`${doc}: ${row} is not in src/ or native/ any more`);
report('check-errors', findings, `${codes.size} codes, each with a row in ${doc}`);
