#!/usr/bin/env node
/** `npm run prebuilds`: the addon that goes into the package, for hosts without a compiler. `--help` tells more. */
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { buildByCmake, findHeaders, missingTools } from './lib/native-tools.mjs';
import { listFiles, projectRoot } from './lib/source.mjs';
import { FLOOR, needsOf } from './lib/symbol-floor.mjs';

const usage = `Usage: npm run prebuilds -- [options]

Builds the addon for linux-x64 with glibc ${FLOOR.GLIBC} or later, checks that it needs no more than that, loads it once,
and puts it where the loader looks: prebuilds/linux-x64/. One binary serves all versions of Node from 20.19 on.

  --if-stale       do nothing when it is newer than its sources
  --nodedir=DIR    where Node's headers are: DIR/include/node/node.h (default: found beside node)
  --help           this text`;

const buildDir = join(projectRoot, '.cache', 'prebuild');
// node-gyp-build reads the tags between the dots: any Node version (Node-API), glibc only.
const output = join(projectRoot, 'prebuilds', 'linux-x64', '@esper+fastpath.glibc.node');

/** Newest source of the addon is older than the addon. */
function isFresh() {
  const built = statSync(output, { throwIfNoEntry: false });
  if (!built) return false;
  const sources = listFiles(
    projectRoot,
    ['native/core', 'native/addon', 'native/prebuild'],
    ['.cc', '.h', '.cmake'],
  );
  return [
    ...sources,
    'native/sources.txt',
    'CMakeLists.txt',
    'scripts/prebuild.mjs',
    'scripts/lib/symbol-floor.mjs',
  ]
    .map((path) => statSync(join(projectRoot, path)))
    .every((stat) => stat.mtimeMs <= built.mtimeMs);
}

/** @param {string} nodedir @returns {Promise<string>} where the addon is */
async function build(nodedir) {
  // From nothing: what is published must not depend on what was configured here before.
  rmSync(buildDir, { recursive: true, force: true });
  const options = {
    ESPER_BUILD_TESTS: 'OFF',
    CMAKE_PROJECT_INCLUDE: join(projectRoot, 'native', 'prebuild', 'prebuild.cmake'),
  };
  await buildByCmake({ directory: projectRoot, out: buildDir, nodedir, target: 'esper_fastpath', options });
  return join(buildDir, 'Release', 'esper_fastpath.node');
}

/** @param {string} path */
function checkNeeds(path) {
  const { newest, above } = needsOf(path);
  if (above.length > 0) {
    const hint = 'native/prebuild/old_glibc.cc is the place for a function that an older glibc lacks';
    throw new Error(`the addon needs more than the floor allows: ${above.join(', ')}. ${hint}`);
  }
  return Object.entries(newest).map(([set, version]) => `${set}_${version}`);
}

/** A symbol that nobody defines shows when the addon is loaded, not when it is linked. @param {string} path */
function checkLoads(path) {
  const code = 'const m = require(process.argv[1]); if (typeof m.openFlag !== "function") process.exit(1);';
  const args = ['-e', code, path];
  const { status, stderr, error } = spawnSync(process.execPath, args, {
    encoding: 'utf8',
    env: { ...process.env, LD_BIND_NOW: '1' },
  });
  if (error) throw error;
  if (status !== 0) throw new Error(`the addon does not load: ${stderr}`);
}

/**
 * @param {string} message
 * @returns {never}
 */
function fail(message) {
  console.error(`prebuild: ${message}`);
  process.exit(1);
}

const { values: options } = parseArgs({
  options: {
    'if-stale': { type: 'boolean', default: false },
    nodedir: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});
const shown = relative(projectRoot, output);
if (options.help) {
  console.log(usage);
  process.exit(0);
}
if (options['if-stale'] && isFresh()) {
  console.log(`prebuild: ${shown} is up to date`);
  process.exit(0);
}
if (process.platform !== 'linux' || process.arch !== 'x64' || existsSync('/etc/alpine-release'))
  fail('the package is packed on linux-x64 with glibc: its prebuilt addon is made there and for there');
const tools = missingTools(['c++', 'make', 'cmake']);
if (tools.length > 0) fail(`missing: ${tools.join(', ')}. "npm run setup" installs what the build needs.`);
const headers = findHeaders(options.nodedir);
if (!headers.found) fail(headers.reason);

try {
  const built = await build(headers.nodedir);
  const needs = checkNeeds(built);
  checkLoads(built);
  mkdirSync(dirname(output), { recursive: true });
  // Copied beside and renamed: whoever packs meanwhile gets the old one or the new one, whole.
  copyFileSync(built, `${output}.tmp`);
  renameSync(`${output}.tmp`, output);
  console.log(`prebuild: ${shown}, ${statSync(output).size} bytes, needs ${needs.join(', ')}`);
} catch (error) {
  fail(error instanceof Error ? error.message : String(error));
}
