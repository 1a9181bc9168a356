import { mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { listFiles, projectRoot } from '../lib/source.mjs';
import { buildVariant, mustRun, run, thousands } from './tools.mjs';

const fuzzDir = join(projectRoot, 'native', 'fuzz');
export const corpusDir = join(fuzzDir, 'corpus');
export const TARGETS = ['attach', 'histogram_decode'];
/** One input may take this long before it counts as running without end. */
const INPUT_TIMEOUT_S = 10;

const includes = ['native/core', 'native/fuzz', 'test/native'].flatMap((at) => ['-I', join(projectRoot, at)]);
const common = [
  '-std=c++20',
  '-g',
  '-fno-exceptions',
  '-fno-sanitize-recover=all',
  '-Wall',
  '-Wextra',
  '-Werror',
];

/** The newest change of anything that a program of native/fuzz is made of. @param {string} library */
function newestSource(library) {
  const sources = listFiles(projectRoot, ['native/core', 'native/fuzz'], ['.h', '.cc']);
  return Math.max(
    ...[library, ...sources.map((file) => join(projectRoot, file))].map((file) => statSync(file).mtimeMs),
  );
}

/**
 * Links a program of native/fuzz with the core that a variant built, unless it is there and newer than its sources.
 *
 * @param {string} directory of the variant
 * @param {{ compiler: string, sanitize: string, sources: readonly string[], name: string }} how
 */
export async function link(directory, { compiler, sanitize, sources, name }) {
  const library = join(directory, 'libesper_core.a');
  const program = join(directory, 'fuzz', name);
  mkdirSync(join(directory, 'fuzz'), { recursive: true });
  const made = statSync(program, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  if (made > newestSource(library)) return program;
  const files = sources.map((source) => join(fuzzDir, source));
  const libraries = [library, '-pthread', '-lrt'];
  await mustRun(compiler, [
    ...common,
    `-fsanitize=${sanitize}`,
    ...includes,
    ...files,
    ...libraries,
    '-o',
    program,
  ]);
  return program;
}

const replayVariant = { compiler: 'g++', sanitize: 'address,undefined' };

/** The core as the replay links it. */
export async function buildReplayCore() {
  const flags = [`-DESPER_SANITIZE=${replayVariant.sanitize}`, '-DCMAKE_BUILD_TYPE=RelWithDebInfo'];
  const directory = await buildVariant('asan-gcc', { compiler: 'g++', flags, targets: ['esper_core'] });
  return { ...replayVariant, directory };
}

/** @param {string} target */
async function buildReplay(target) {
  const { directory, ...how } = await buildReplayCore();
  const sources = [`${target}_fuzz.cc`, 'replay_main.cc'];
  return link(directory, { ...how, sources, name: `${target}_replay` });
}

/** @param {string} target */
export async function buildFuzzer(target) {
  const instrumented = '-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all';
  const flags = [`-DCMAKE_CXX_FLAGS=${instrumented}`, '-DCMAKE_BUILD_TYPE=RelWithDebInfo'];
  const directory = await buildVariant('fuzz', { compiler: 'clang++', flags, targets: ['esper_core'] });
  const how = { compiler: 'clang++', sanitize: 'fuzzer,address,undefined', sources: [`${target}_fuzz.cc`] };
  return { directory, program: await link(directory, { ...how, name: `${target}_fuzz` }) };
}

/** @param {string} target */
const corpusOf = (target) => {
  const directory = join(corpusDir, target);
  return readdirSync(directory).map((file) => join(directory, file));
};

/** The last lines say which input it was and what it did. @param {{ stdout: string, stderr: string }} result */
const endOf = ({ stdout, stderr }) => `${stderr}\n${stdout}`.trim().split('\n').slice(-40).join('\n');

/** @param {string} target @returns {Promise<import('./methods.mjs').Row>} */
async function replay(target) {
  const program = await buildReplay(target);
  const inputs = corpusOf(target);
  const result = await run(program, inputs, { timeoutS: INPUT_TIMEOUT_S + inputs.length });
  const { inputs: done = 0, attached = 0 } = result.status === 0 ? JSON.parse(result.stdout) : {};
  const ok = result.status === 0 && inputs.length > 0 && done === inputs.length && attached > 0;
  const row = { what: `${target}: kept corpus replayed`, count: `${done} inputs, ${attached} attached`, ok };
  return ok ? row : { ...row, detail: `${program}: ${result.status ?? result.signal}\n${endOf(result)}` };
}

/**
 * @param {string} target
 * @param {number} seconds
 * @param {(text: string) => void} log
 * @returns {Promise<import('./methods.mjs').Row>}
 */
async function fuzzOne(target, seconds, log) {
  const { directory, program } = await buildFuzzer(target);
  // What is found now is not kept: the corpus in the repository changes only by hand, minimised.
  const found = join(directory, 'fuzz', `${target}.found`);
  rmSync(found, { recursive: true, force: true });
  mkdirSync(found, { recursive: true });
  const artifacts = join(directory, 'fuzz', `${target}-`);
  const args = [found, join(corpusDir, target), `-max_total_time=${Math.max(1, Math.floor(seconds))}`];
  const limits = [
    `-timeout=${INPUT_TIMEOUT_S}`,
    '-rss_limit_mb=2048',
    '-max_len=4096',
    '-print_final_stats=1',
  ];
  const result = await run(program, [...args, ...limits, `-artifact_prefix=${artifacts}`], {
    timeoutS: seconds + 4 * INPUT_TIMEOUT_S,
  });
  const executions = Number(/stat::number_of_executed_units:\s*(\d+)/.exec(result.stderr)?.[1] ?? 0);
  const edges = Number([...result.stderr.matchAll(/cov: (\d+)/g)].at(-1)?.[1] ?? 0);
  log(`${target}: ${thousands(executions)} executions, ${edges} edges`);
  const ok = result.status === 0 && executions > 0 && edges > 0;
  const count = `${thousands(executions)} executions, ${thousands(edges)} edges`;
  const row = { what: `${target}: libFuzzer`, count, ok };
  return ok ? row : { ...row, detail: `${program}: ${result.status ?? result.signal}\n${endOf(result)}` };
}

/** @type {import('./methods.mjs').Method} */
export const fuzz = {
  id: 'fuzz',
  title: 'segments made of whatever bytes: libFuzzer on attach, every read, and histograms',
  share: 2,
  async run({ seconds, short, log }) {
    /** @type {import('./methods.mjs').Row[]} */
    const rows = [];
    for (const target of TARGETS) {
      if (short) rows.push(await replay(target));
      else rows.push(await fuzzOne(target, seconds / TARGETS.length, log));
    }
    return rows;
  },
};
