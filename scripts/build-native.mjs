#!/usr/bin/env node
/** `npm run build:native`: the C++ addon and its tests, into build/. `--help` tells the options. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, statSync, utimesSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { buildByCmake, findHeaders, missingTools } from './lib/native-tools.mjs';
import { listFiles, projectRoot } from './lib/source.mjs';

const usage = `Usage: npm run build:native -- [options]

  --addon-only     only the addon, not the C++ tests
  --if-stale       do nothing when the addon is newer than its sources
  --gyp            build with node-gyp from binding.gyp instead (makes no C++ tests)
  --nodedir=DIR    where Node's headers are: DIR/include/node/node.h (default: found beside node)
  --help           this text

Output: build/Release/esper_fastpath.node`;

const load = createRequire(import.meta.url);
const buildDir = join(projectRoot, 'build');
const output = join(buildDir, 'Release', 'esper_fastpath.node');

/** Newest source of the addon is older than the addon. */
function isFresh() {
  const built = statSync(output, { throwIfNoEntry: false });
  if (!built) return false;
  const sources = listFiles(projectRoot, ['native'], ['.cc', '.h', '.txt']);
  return [...sources, 'CMakeLists.txt', 'binding.gyp']
    .map((path) => statSync(join(projectRoot, path), { throwIfNoEntry: false }))
    .every((stat) => !stat || stat.mtimeMs <= built.mtimeMs);
}

/**
 * CMake refuses a build folder that was configured for another source folder (a copied tree) or another generator,
 * and one of node-gyp's has none of its files: they are started anew.
 */
function dropForeignBuildDir() {
  if (!existsSync(buildDir)) return;
  const cache = join(buildDir, 'CMakeCache.txt');
  const text = existsSync(cache) ? readFileSync(cache, 'utf8') : '';
  const ours = text.includes(`CMAKE_HOME_DIRECTORY:INTERNAL=${projectRoot}\n`);
  const generator =
    process.platform === 'win32' || text.includes('CMAKE_GENERATOR:INTERNAL=Unix Makefiles\n');
  if (ours && generator) return;
  console.error('build:native: build/ was made by another tool or for another folder: removed');
  rmSync(buildDir, { recursive: true, force: true });
}

/** @param {string} nodedir @param {boolean} addonOnly */
async function buildWithCmake(nodedir, addonOnly) {
  dropForeignBuildDir();
  const target = addonOnly ? 'esper_fastpath' : undefined;
  const options = { ESPER_BUILD_TESTS: 'ON' };
  await buildByCmake({ directory: projectRoot, out: buildDir, nodedir, target, options });
}

/** @param {string} nodedir */
function buildWithGyp(nodedir) {
  rmSync(buildDir, { recursive: true, force: true });
  const gyp = join(dirname(load.resolve('node-gyp/package.json')), 'bin', 'node-gyp.js');
  const args = [gyp, 'rebuild', `--nodedir=${nodedir}`, `--jobs=${availableParallelism()}`];
  const { status, error } = spawnSync(process.execPath, args, { cwd: projectRoot, stdio: 'inherit' });
  if (error) throw error;
  if (status !== 0) throw new Error(`node-gyp ended with ${status}`);
}

/**
 * @param {string} message
 * @returns {never}
 */
function fail(message) {
  console.error(`build:native: ${message}`);
  process.exit(1);
}

const { values: options } = parseArgs({
  options: {
    'addon-only': { type: 'boolean', default: false },
    'if-stale': { type: 'boolean', default: false },
    gyp: { type: 'boolean', default: false },
    nodedir: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});
if (options.help) {
  console.log(usage);
  process.exit(0);
}
if (options['if-stale'] && isFresh()) {
  console.log('build:native: the addon is up to date');
  process.exit(0);
}

const tools = missingTools(options.gyp ? ['c++', 'make', 'python3'] : ['c++', 'make', 'cmake']);
if (tools.length > 0) fail(`missing: ${tools.join(', ')}. "npm run setup" installs what the build needs.`);
const headers = findHeaders(options.nodedir);
if (!headers.found) fail(headers.reason);

try {
  if (options.gyp) buildWithGyp(headers.nodedir);
  else await buildWithCmake(headers.nodedir, options['addon-only']);
} catch (error) {
  fail(`the build failed: ${error instanceof Error ? error.message : error}`);
}
if (!existsSync(output)) fail(`the build ended well but made no ${output}`);
// A changed file that needs no new link (a comment, binding.gyp) would leave the addon older than it for ever.
utimesSync(output, new Date(), new Date());
console.log('build:native: build/Release/esper_fastpath.node is ready');
