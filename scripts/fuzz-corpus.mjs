#!/usr/bin/env node
/**
 * Makes native/fuzz/corpus anew, by hand, when the targets or the core have changed: seeds from real segments, what was
 * kept so far, and what libFuzzer finds in the given time; of these the few files that together reach most.
 *
 * Usage: node scripts/fuzz-corpus.mjs [SECONDS a target, default 60]
 */
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { buildFuzzer, buildReplayCore, corpusDir, link, TARGETS } from './verify/fuzz.mjs';
import { mustRun, run } from './verify/tools.mjs';

/** Kept besides the seeds; 50 files in all is what a repository should carry of this. */
const KEPT_PER_TARGET = 20;
const LIMITS = ['-max_len=4096', '-timeout=10'];

/**
 * What each input reaches, as libFuzzer's merge writes it down.
 *
 * @param {string} control
 * @returns {Map<string, Set<string>>}
 */
function readReached(control) {
  const [counted = '0', , ...rest] = readFileSync(control, 'utf8').split('\n');
  const files = rest.slice(0, Number(counted));
  /** @type {Map<string, Set<string>>} */
  const reached = new Map();
  for (const line of rest.slice(files.length)) {
    const [kind, index, ...features] = line.split(' ');
    const file = kind === 'FT' ? files[Number(index)] : undefined;
    if (file !== undefined) reached.set(file, new Set(features));
  }
  return reached;
}

/** Greedy: always the input that adds most, of equals the smaller. @param {Map<string, Set<string>>} reached */
function choose(reached) {
  /** @type {Set<string>} */
  const seen = new Set();
  /** @type {string[]} */
  const kept = [];
  /** @param {string} file */
  const adds = (file) => [...(reached.get(file) ?? [])].filter((feature) => !seen.has(feature)).length;
  while (kept.length < KEPT_PER_TARGET) {
    const left = [...reached.keys()].map((file) => ({ file, adds: adds(file), size: statSync(file).size }));
    const best = left.sort((a, b) => b.adds - a.adds || a.size - b.size)[0];
    if (best === undefined || best.adds === 0) break;
    kept.push(best.file);
    for (const feature of reached.get(best.file) ?? []) seen.add(feature);
    reached.delete(best.file);
  }
  return kept;
}

/** @param {string} target @param {string} seeds @param {number} seconds @param {string} scratch */
async function renew(target, seeds, seconds, scratch) {
  const { program } = await buildFuzzer(target);
  const corpus = join(corpusDir, target);
  const [found, merged] = ['found', 'merged'].map((what) => join(scratch, `${target}.${what}`));
  const control = join(scratch, `${target}.control`);
  if (found === undefined || merged === undefined) return;
  for (const directory of [found, merged, corpus]) mkdirSync(directory, { recursive: true });
  await mustRun(program, [found, seeds, corpus, `-max_total_time=${seconds}`, ...LIMITS]);
  const merge = ['-set_cover_merge=1', '-use_counters=0', `-merge_control_file=${control}`, ...LIMITS];
  await run(program, [...merge, merged, found, seeds, corpus]);
  const kept = choose(readReached(control)).map((file) => {
    const copy = join(scratch, basename(file));
    copyFileSync(file, copy);
    return copy;
  });
  rmSync(corpus, { recursive: true });
  mkdirSync(corpus);
  const all = [...readdirSync(seeds).map((file) => join(seeds, file)), ...kept];
  for (const file of all) copyFileSync(file, join(corpus, basename(file)));
  console.log(`${target}: ${readdirSync(corpus).length} inputs`);
}

const seconds = Number(process.argv[2] ?? 60);
if (!(seconds > 0)) throw new Error('usage: node scripts/fuzz-corpus.mjs [SECONDS a target]');
const scratch = mkdtempSync(join(tmpdir(), 'esper-corpus-'));
try {
  const { directory, ...how } = await buildReplayCore();
  const makeSeeds = await link(directory, { ...how, sources: ['make_seeds.cc'], name: 'make_seeds' });
  const seeds = TARGETS.map((target) => join(scratch, `${target}.seeds`));
  for (const folder of seeds) mkdirSync(folder);
  await mustRun(makeSeeds, seeds);
  for (const [at, target] of TARGETS.entries()) await renew(target, seeds[at] ?? '', seconds, scratch);
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
