import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { projectRoot } from '../lib/source.mjs';
import { mustRun, run, thousands } from './tools.mjs';

/**
 * The Promela models of native/models: each is searched to its end by a checker that spin makes of it. A model proves
 * nothing when its situations never come up, so all that it names have to; and those in native/models/negative, the
 * designs that we do not use and our own with one step taken out, have to fail.
 *
 * @typedef {import('./methods.mjs').Row} Row
 * @typedef {{ states: number, depth: number, errors: number, complete: boolean, reached: string[], error: string }} Search
 * @typedef {'safety' | 'progress' | 'fair'} Kind Safety: assertions. Progress: nobody goes round for ever, whoever else
 *   moves or not. Fair: the same where all who can move do.
 * @typedef {{ file: string, text: string, defines: readonly string[], kind: Kind, short: boolean, timeoutS: number }} Job
 */

const folder = join(projectRoot, 'native', 'models');

/** Bounds, as `-D` of each. Together they must bring up every situation of their model, in the short form too. */
const instances = [
  { model: 'trigger', defines: 'WRITERS=2 RAISES=1 SWEEPS=1', short: true, progress: true },
  { model: 'trigger', defines: 'WRITERS=2 RAISES=2 SWEEPS=0 READER POLLS=0 RECORDS=1', short: true },
  { model: 'trigger', defines: 'WRITERS=2 RAISES=1 SWEEPS=0 READER POLLS=1 RECORDS=1' },
  { model: 'trigger', defines: 'WRITERS=2 RAISES=1 SWEEPS=0 READER POLLS=1' },
  { model: 'trigger', defines: 'WRITERS=3 RAISES=1 SWEEPS=0' },
  { model: 'acknowledge', defines: 'TRIGGERS=2 CLEARS=1 MEMBERS=1 RAISED', short: true, progress: true },
  { model: 'acknowledge', defines: 'TRIGGERS=1 CLEARS=2 MEMBERS=1 FORCED=1 RAISED', short: true },
  { model: 'acknowledge', defines: 'TRIGGERS=1 CLEARS=1' },
  { model: 'acknowledge', defines: 'TRIGGERS=1 CLEARS=2 MEMBERS=1 FORCED=1' },
  { model: 'acknowledge', defines: 'TRIGGERS=2 CLEARS=1 MEMBERS=1' },
  { model: 'create', defines: 'OPENERS=2 REMOVALS=1 FOREIGN', short: true },
  { model: 'create', defines: 'OPENERS=2 STALE', short: true, progress: true },
  { model: 'create', defines: 'OPENERS=2 REMOVALS=2' },
  { model: 'create', defines: 'OPENERS=2 STALE REMOVALS=1 REMOVAL_LOCKS', short: true },
  { model: 'create', defines: 'OPENERS=3 STALE' },
  { model: 'deadline', defines: '', short: true, progress: true },
  { model: 'wake', defines: 'SENDERS=2 FORGED=2', short: true, progress: true },
  { model: 'wake', defines: 'SENDERS=3 FORGED=2 NO_RECHECK IMMORTAL', short: true },
];

/** Memory of one search, MB, and the longest path; a search that needs more is not complete, and says so. */
const MEMORY_MB = 4000;
const DEPTH = 200_000;

/** @param {string} text @param {RegExp} pattern */
function first(text, pattern) {
  return pattern.exec(text)?.[1] ?? '';
}

/** What pan printed. @param {string} output @returns {Search} */
export function readSearch(output) {
  const truncated = /Search not completed|max search depth too small|out of memory|reached -DMEMLIM/i.test(
    output,
  );
  return {
    states: Number(first(output, /^ *(\d+) states, stored/m)),
    depth: Number(first(output, /depth reached (\d+)/)),
    errors: Number(first(output, /errors: (\d+)/) || Number.NaN),
    complete: !truncated && /errors: 0/.test(output),
    reached: [...output.matchAll(/^reached: (.*)$/gm)].map((match) => match[1] ?? ''),
    error: first(output, /^pan:1: (.*)$/m),
  };
}

/** The situations that a model names. @param {string} text @returns {string[]} */
export function situationsOf(text) {
  return [...text.matchAll(/\breached\(\d+, "([^"]+)"/g)].map((match) => match[1] ?? '');
}

/** Makes the checker and runs it, in a folder that is gone afterwards. @param {Job} job @returns {Promise<Search>} */
async function search({ file, defines, kind, short, timeoutS }) {
  const cwd = await mkdtemp(join(tmpdir(), 'esper-model-'));
  try {
    await mustRun('spin', ['-a', ...defines.map((define) => `-D${define}`), file], { cwd });
    // An optimised checker takes longer to compile than the short form searches.
    const flags = [short ? '-O0' : '-O2', '-w', `-DMEMLIM=${MEMORY_MB}`, '-DCOLLAPSE'];
    await mustRun('gcc', [...flags, kind === 'safety' ? '-DSAFETY' : '-DNP', '-o', 'pan', 'pan.c'], { cwd });
    // -E: a process that was killed stands where it was; who must not wait for ever is asserted at the end.
    const options = [
      `-m${DEPTH}`,
      '-E',
      ...(kind === 'safety' ? [] : ['-l']),
      ...(kind === 'fair' ? ['-f'] : []),
    ];
    const { stdout, stderr, signal } = await run(join(cwd, 'pan'), options, { cwd, timeoutS });
    const found = readSearch(`${stdout}\n${stderr}`);
    return signal === null ? found : { ...found, complete: false, error: `stopped after ${timeoutS} s` };
  } finally {
    await rm(cwd, { recursive: true, force: true });
  }
}

/** @param {Search} found */
function counted({ states, depth }) {
  return `${thousands(states)} states, depth ${thousands(depth)}`;
}

/** How to see it by hand. @param {Job} job */
function byHand({ file, defines }) {
  const place = file.slice(projectRoot.length + 1);
  return `see docs/models.md: spin -a ${defines.map((define) => `-D${define} `).join('')}${place}`;
}

/** @param {Job} job @param {Search} found @returns {Row} */
function positiveRow(job, found) {
  const proves = first(job.text, /^ \* proves: (.*)$/m);
  const how = job.kind === 'progress' ? 'nobody goes round for ever' : proves;
  const what = `${[basename(job.file), ...job.defines].join(' ')}: ${how}`;
  const ok = found.errors === 0 && found.complete && found.states > 0 && proves !== '';
  if (ok) return { what, count: counted(found), ok };
  return {
    what,
    count: counted(found),
    ok,
    detail: `${found.error || 'search not complete'}; ${byHand(job)}`,
  };
}

/** @param {Job} job @param {Search} found @returns {Row} */
function negativeRow(job, found) {
  const what = `negative/${basename(job.file)}: ${first(job.text, /^ \* refutes: (.*)$/m)}`;
  // Not just any error: the one that the missing step leads to.
  const finds = first(job.text, /^ \* finds: (.*)$/m);
  const ok = found.errors === 1 && finds !== '' && found.error.includes(finds);
  if (ok) return { what, count: `refuted after ${counted(found)}`, ok };
  const detail = `expected ${finds}, found ${found.error || 'no error'}; ${byHand(job)}`;
  return { what, count: counted(found), ok, detail };
}

/** @param {string} model @param {string} text @param {Set<string>} seen @returns {Row} */
function situationsRow(model, text, seen) {
  const named = situationsOf(text);
  const missing = named.filter((situation) => !seen.has(situation));
  const what = `${model}.pml: every situation it names comes up`;
  const count = `${named.length - missing.length} of ${named.length} situations`;
  if (named.length > 0 && missing.length === 0) return { what, count, ok: true };
  return { what, count, ok: false, detail: `vacuous: never reached: ${missing.join('; ')}` };
}

/** With what it includes: the situations of a part count as much. @param {string} path */
async function readModel(path) {
  const own = await readFile(path, 'utf8');
  const parts = [...own.matchAll(/^#include "(\w+\.inc)"$/gm)].map((match) =>
    join(dirname(path), match[1] ?? ''),
  );
  const included = await Promise.all(parts.map((part) => readFile(part, 'utf8')));
  return { file: path, text: [own, ...included].join('\n') };
}

/**
 * Two at a time, in the order given.
 *
 * @template T
 * @param {readonly T[]} items
 * @param {(item: T) => Promise<Row>} work
 */
async function inPairs(items, work) {
  /** @type {Row[]} */
  const rows = [];
  let next = 0;
  const worker = async () => {
    for (let at = next++; at < items.length; at = next++) rows[at] = await work(/** @type {T} */ (items[at]));
  };
  await Promise.all([worker(), worker()]);
  return rows;
}

/** @param {import('./methods.mjs').Run} how @returns {Promise<Row[]>} */
async function runModels({ seconds, short, log }) {
  // Never cut off by the budget alone: a search that did not end proves nothing.
  const timeoutS = Math.max(seconds, short ? 60 : 300);
  const wanted = instances.filter((instance) => instance.short || !short);
  /** @type {Map<string, { text: string, seen: Set<string> }>} */
  const models = new Map();
  /** @type {Job[]} */
  const jobs = [];
  for (const { model, defines, progress } of wanted) {
    const { file, text } = await readModel(join(folder, `${model}.pml`));
    if (!models.has(model)) models.set(model, { text, seen: new Set() });
    const job = { file, text, defines: defines.split(' ').filter(Boolean), short, timeoutS };
    jobs.push({ ...job, kind: 'safety' });
    if (progress && !short) jobs.push({ ...job, kind: 'progress' });
  }
  const positive = await inPairs(jobs, async (job) => {
    log(`${basename(job.file)} ${job.defines.join(' ')}`);
    const found = await search(job);
    for (const situation of found.reached) models.get(basename(job.file, '.pml'))?.seen.add(situation);
    return positiveRow(job, found);
  });
  const files = (await readdir(join(folder, 'negative'))).filter((name) => name.endsWith('.pml')).sort();
  const negative = await inPairs(files, async (name) => {
    log(`negative/${name}`);
    const { file, text } = await readModel(join(folder, 'negative', name));
    const kind = first(text, /^ \* search: (.*)$/m) === 'fair' ? 'fair' : 'safety';
    /** @type {Job} */
    const job = { file, text, defines: [], kind, short, timeoutS };
    return negativeRow(job, await search(job));
  });
  if (files.length === 0) throw new Error(`${join(folder, 'negative')} holds no model`);
  const situations = [...models].map(([model, { text, seen }]) => situationsRow(model, text, seen));
  return [...positive, ...situations, ...negative];
}

/** @type {import('./methods.mjs').Method} */
export const models = {
  id: 'models',
  title: 'the protocols as models, searched to their end by spin; designs that must fail',
  share: 2,
  run: runModels,
};
