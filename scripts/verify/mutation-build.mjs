import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from '../lib/source.mjs';
import { mustRun } from './tools.mjs';

/** Copies of native/core, and what was built of them. */
export const mutationsDir = join(projectRoot, 'build-mutations');
const objectsDir = join(mutationsDir, 'objects');
const coreDir = join(projectRoot, 'native', 'core');
const testsDir = join(projectRoot, 'test', 'native');
const verifySources = join(projectRoot, 'native', 'verify');
const weakDir = join(verifySources, 'weak');

/** As esper_options of CMakeLists.txt; optimised a little, because most of the time goes into compiling. */
const flags = ['-std=c++20', '-O1', '-fno-exceptions', '-fvisibility=hidden', '-fPIC', '-w'];
const compiler = process.env.CXX ?? 'g++';

/** What the model needs of the core; all of it but the system calls. */
const modelled = ['ring', 'slots', 'slot_locks', 'cursor', 'payload', 'crc32c', 'segment_header'];
const modelOwn = ['weak_identity', 'weak_machine', 'weak_world', 'weak_main'];
/** A ring of 4 short records has every lap and every torn word that one of 256 long ones has, and shows them sooner. */
const smaller = { kRecordCount: 4, kReasonBytes: 32, kRunIdBytes: 8, kOriginBytes: 8, kSubjectBytes: 8 };

/** @typedef {Map<string, string>} Sources File name -> text. */

/** @param {string} directory @returns {Sources} */
function readSources(directory) {
  const names = readdirSync(directory).filter((name) => /\.(h|cc)$/.test(name));
  return new Map(names.map((name) => [name, readFileSync(join(directory, name), 'utf8')]));
}

/** @returns {Sources} */
export const readCore = () => readSources(coreDir);

/** @param {Sources} core @returns {Sources} The core on modelled memory, and the model. */
function modelSources(core) {
  /** @type {Sources} */
  const out = new Map();
  for (const [name, text] of core) {
    if (name === 'identity.cc') continue;
    let changed = text
      .replaceAll('std::atomic<', 'esper::weak::Atomic<')
      .replaceAll('#include <atomic>', '#include "weak_atomic.h"');
    if (name === 'shm_layout.h') changed = shrink(changed);
    out.set(name, changed);
  }
  for (const [name, text] of readSources(weakDir)) out.set(name, text);
  return out;
}

/** @param {string} layout */
function shrink(layout) {
  let text = layout.replaceAll(/static_assert\([\s\S]*?\);/g, '');
  for (const [name, value] of Object.entries(smaller)) {
    const constant = new RegExp(`(${name} = )\\d+;`);
    if (!constant.test(text)) throw new Error(`shm_layout.h has no ${name}`);
    text = text.replace(constant, `$1${value};`);
  }
  return text;
}

/** @param {readonly string[]} texts */
function digest(texts) {
  const hash = createHash('sha256');
  for (const text of texts) hash.update(text).update('\0');
  return hash.digest('hex').slice(0, 24);
}

/** Waiting for one of two, so that two compilers run at a time. */
class Gate {
  /** @param {number} places */
  constructor(places) {
    this.free = places;
    /** @type {(() => void)[]} */
    this.waiting = [];
  }

  /** @template T @param {() => Promise<T>} work @returns {Promise<T>} */
  async run(work) {
    if (this.free > 0) this.free -= 1;
    else await new Promise((resolve) => this.waiting.push(() => resolve(undefined)));
    try {
      return await work();
    } finally {
      const next = this.waiting.shift();
      if (next === undefined) this.free += 1;
      else next();
    }
  }
}

const compilers = new Gate(2);
/** @type {Map<string, Promise<string>>} */
const building = new Map();

/** @param {string} file Says that it is in use. */
function touch(file) {
  const now = new Date();
  utimesSync(file, now, now);
}

/**
 * Compiles one source among others; the same text among the same headers is compiled once.
 *
 * @param {Sources} sources
 * @param {string} unit Without its ending.
 * @returns {Promise<string>} The object file.
 */
function compile(sources, unit) {
  const name = `${unit}.cc`;
  const headers = [...sources].filter(([file]) => file.endsWith('.h')).flat();
  const key = digest([compiler, ...flags, ...headers, name, sources.get(name) ?? '']);
  const object = join(objectsDir, `${key}.o`);
  const known = building.get(object);
  if (known !== undefined) return known;
  const built = existsSync(object)
    ? Promise.resolve(object)
    : compilers.run(async () => {
        const directory = join(mutationsDir, 'sources', key);
        mkdirSync(directory, { recursive: true });
        mkdirSync(objectsDir, { recursive: true });
        for (const [file, text] of sources) {
          if (file.endsWith('.h') || file === name) writeFileSync(join(directory, file), text);
        }
        const temporary = `${object}.${process.pid}`;
        await mustRun(compiler, [...flags, '-I', directory, '-c', join(directory, name), '-o', temporary]);
        renameSync(temporary, object);
        rmSync(directory, { recursive: true });
        return object;
      });
  const used = built.then((file) => {
    touch(file);
    return file;
  });
  building.set(object, used);
  return used;
}

/** @param {readonly string[]} objects @returns {Promise<string>} The program. */
async function link(objects) {
  const program = join(mutationsDir, 'programs', digest(objects));
  if (!existsSync(program)) {
    mkdirSync(join(mutationsDir, 'programs'), { recursive: true });
    const temporary = `${program}.${process.pid}`;
    await compilers.run(() => mustRun(compiler, [...objects, '-o', temporary, '-pthread', '-lrt']));
    renameSync(temporary, program);
  }
  touch(program);
  return program;
}

/** @param {string} file */
const bare = (file) => file.slice(0, -'.cc'.length);

/**
 * What looks for mistakes, built on that copy of the core.
 *
 * @param {string} catcher 'model', 'torture', or a test of test/native.
 * @param {Sources} core
 * @returns {Promise<string>}
 */
export async function buildCatcher(catcher, core) {
  if (catcher === 'model') {
    const sources = modelSources(core);
    return link(await Promise.all([...modelled, ...modelOwn].map((name) => compile(sources, name))));
  }
  // The core's objects do not depend on the headers of whoever uses it.
  const cores = [...core.keys()].filter((name) => name.endsWith('.cc')).map(bare);
  const sources = new Map(core);
  const own = readSources(catcher === 'torture' ? verifySources : testsDir);
  for (const [name, text] of own) {
    const header = name.endsWith('.h') && (catcher !== 'torture' || name.startsWith(catcher));
    if (header || name === `${catcher}.cc`) sources.set(name, text);
  }
  return link(await Promise.all([compile(sources, catcher), ...cores.map((name) => compile(core, name))]));
}

/** Removes what no run of the last day has used. */
export function removeOld() {
  for (const directory of ['objects', 'programs'].map((name) => join(mutationsDir, name))) {
    if (!existsSync(directory)) continue;
    for (const name of readdirSync(directory)) {
      const file = join(directory, name);
      if (performance.timeOrigin - statSync(file).mtimeMs > 86_400_000) rmSync(file, { force: true });
    }
  }
}
