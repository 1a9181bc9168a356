#!/usr/bin/env node
/**
 * A release store is worth nothing without the acquire load that meets it. Both ends carry `PAIRS-WITH(label)`; a
 * label that occurs once is an end without the other, or a typing error.
 */
import { givenRoot, lineAt, listFiles, readSource, report } from './lib/source.mjs';

const root = givenRoot();
const files = listFiles(root, ['native'], ['.h', '.cc']);
/** @type {Map<string, string[]>} */
const places = new Map();
for (const file of files) {
  const text = readSource(root, file);
  for (const match of text.matchAll(/PAIRS-WITH\(([^)]*)\)/g)) {
    const label = (match[1] ?? '').trim();
    places.set(label, [...(places.get(label) ?? []), `${file}:${lineAt(text, match.index)}`]);
  }
}
const findings = [...places]
  .filter(([, at]) => at.length < 2)
  .map(([label, at]) => `${at[0]}: PAIRS-WITH(${label}) has no other end`);
report('check-sync-pairs', findings, `${places.size} labels, each at both ends`);
