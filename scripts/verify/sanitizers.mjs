import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { listFiles, projectRoot } from '../lib/source.mjs';
import { buildVariant, run } from './tools.mjs';

/** A test that takes longer under a sanitizer hangs. */
const TEST_TIMEOUT_S = 240;
/** Quick ones that together touch every kind of memory: headers and text, the ring, the histogram. */
const SHORT_TESTS = ['payload_test', 'ring_test', 'histogram_test'];

/** Built with every variant: runs the mistake that its argument names. */
const CONTROL = 'verify_sanitizer_control';

const variants = [
  {
    name: 'tsan',
    title: 'ThreadSanitizer',
    sanitize: 'thread',
    compiler: 'clang++',
    planted: ['race'],
  },
  {
    name: 'asan',
    title: 'AddressSanitizer, UndefinedBehaviorSanitizer',
    sanitize: 'address,undefined',
    compiler: 'clang++',
    planted: ['overflow', 'undefined'],
  },
];
const shortVariant = {
  name: 'asan-gcc',
  title: 'AddressSanitizer, UndefinedBehaviorSanitizer of g++',
  sanitize: 'address,undefined',
  compiler: 'g++',
  planted: ['overflow', 'undefined'],
};

const env = {
  ...process.env,
  TSAN_OPTIONS: 'halt_on_error=1 exitcode=66',
  ASAN_OPTIONS: 'detect_leaks=1:exitcode=66',
  UBSAN_OPTIONS: 'print_stacktrace=1:halt_on_error=1',
};

function allTests() {
  const files = listFiles(projectRoot, ['test/native'], ['_test.cc']);
  return files.map((file) => file.replace(/^.*\/|\.cc$/g, '')).sort();
}

/** @param {typeof shortVariant} variant @param {readonly string[]} tests */
function build({ name, compiler, sanitize }, tests) {
  const flags = [
    `-DESPER_SANITIZE=${sanitize}`,
    '-DCMAKE_BUILD_TYPE=RelWithDebInfo',
    '-DESPER_BUILD_TESTS=ON',
  ];
  return buildVariant(name, { compiler, flags, targets: [...tests, CONTROL] });
}

/**
 * What the variant does not notice although it was planted, or notices where nothing is; undefined when all is well.
 *
 * @param {typeof shortVariant} variant
 * @param {string} directory
 */
async function blindTo({ planted }, directory) {
  const program = join(directory, 'verify', CONTROL);
  for (const mistake of ['none', ...planted]) {
    const { status } = await run(program, [mistake], { env, timeoutS: TEST_TIMEOUT_S });
    if ((status === 0) !== (mistake === 'none')) return `${program} ${mistake} ended with ${status}`;
  }
  return undefined;
}

/**
 * @param {typeof shortVariant} variant
 * @param {readonly string[]} tests
 * @param {(text: string) => void} log
 * @returns {Promise<import('./methods.mjs').Row>}
 */
async function check(variant, tests, log) {
  const what = `C++ tests under ${variant.title}`;
  const directory = await build(variant, tests);
  const blind = await blindTo(variant, directory);
  if (blind !== undefined) return { what, count: '0 tests', ok: false, detail: blind };
  for (const test of tests) {
    const program = join(directory, 'tests', test);
    if (!existsSync(program))
      return { what, count: '0 tests', ok: false, detail: `${program} was not built` };
    const { status, signal, stdout, stderr } = await run(program, [], { env, timeoutS: TEST_TIMEOUT_S });
    log(`${variant.name}: ${test} ended with ${status ?? signal}`);
    if (status === 0) continue;
    const end = `${stdout}\n${stderr}`.trim().split('\n').slice(-40).join('\n');
    return {
      what,
      count: `${tests.length} tests`,
      ok: false,
      detail: `${program}: ${status ?? signal}\n${end}`,
    };
  }
  return {
    what,
    count: `${tests.length} tests, ${variant.planted.length} planted mistakes noticed`,
    ok: true,
  };
}

/** @type {import('./methods.mjs').Method} */
export const sanitizers = {
  id: 'sanitizers',
  title: 'the C++ tests under ThreadSanitizer, AddressSanitizer and UndefinedBehaviorSanitizer',
  share: 2,
  async run({ short, log }) {
    if (short) return [await check(shortVariant, SHORT_TESTS, log)];
    const tests = allTests();
    /** @type {import('./methods.mjs').Row[]} */
    const rows = [];
    for (const variant of variants) rows.push(await check(variant, tests, log));
    return rows;
  },
};
