#!/usr/bin/env node
/**
 * The wall clock, timers and randomness come from the injected Clock and Random. A direct call cannot be driven by
 * a test, and the wall clock jumps: an NTP step would open or hold whatever is timed by it. (A stopwatch on
 * process.hrtime decides nothing and is let through.)
 */
import { givenRoot, lineAt, listFiles, readSource, report, withoutComments } from './lib/source.mjs';

/**
 * The files that may, and why.
 * @type {Map<string, string>}
 */
const exceptions = new Map([
  ['src/core/clock.ts', 'the Clock itself'],
  ['src/core/random.ts', 'the Random itself'],
  ['src/native/twin/deadlines.ts', 'stands in for the timers of the native watcher thread'],
  ['src/native/twin/heartbeat-deadline.ts', 'stands in for the timers of the native watcher thread'],
  ['src/native/twin/memory-sampler.ts', 'stands in for the timer of the native sampler thread'],
  ['src/native/twin/stale-watch.ts', 'stands in for the timers of the native watcher thread'],
  ['src/native/twin/flag.ts', 'an interval that only holds the process open, as the native handle does'],
]);

const ambient = /(?<![\w.])(?:Date\.now|Math\.random|new\s+Date\(\s*\)|setTimeout\s*\(|setInterval\s*\()/g;

const root = givenRoot();
const files = listFiles(root, ['src'], ['.ts']).filter((file) => !exceptions.has(file));
/** @type {string[]} */
const findings = [];
for (const file of files) {
  const text = withoutComments(readSource(root, file));
  for (const match of text.matchAll(ambient)) {
    const what = match[0].replace(/\s*\($/, '');
    findings.push(`${file}:${lineAt(text, match.index)}: ${what}: use the injected Clock or Random`);
  }
}
report('check-ambient', findings, `${files.length} files use the injected clock and randomness`);
