#!/usr/bin/env node
/** A file of more than 300 lines does more than one job and is reviewed by nobody as a whole. */
import { givenRoot, listFiles, readSource, report } from './lib/source.mjs';

const maxLines = 300;

/**
 * Path -> why it may be longer. An entry whose file is gone or short again is itself a finding.
 * @type {Map<string, string>}
 */
const exceptions = new Map([]);

const dirs = ['src', 'native', 'proto', 'test', 'scripts', 'bench', 'examples', 'infra'];
const endings = ['.ts', '.mjs', '.js', '.cc', '.h', '.proto', '.lua', '.sh'];

const root = givenRoot();
const files = listFiles(root, dirs, endings);
/** @type {string[]} */
const findings = [];
const long = new Set();
for (const file of files) {
  const lines = readSource(root, file).split('\n').length - 1;
  if (lines <= maxLines) continue;
  long.add(file);
  if (!exceptions.has(file)) findings.push(`${file}: ${lines} lines, more than ${maxLines}: split it by job`);
}
for (const file of exceptions.keys()) {
  if (!long.has(file)) findings.push(`${file}: is listed as an exception and needs none`);
}
report('check-sizes', findings, `${files.length} files, none over ${maxLines} lines`);
