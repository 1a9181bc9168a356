/** Finds what a native build needs: the tools on PATH and the headers of the running Node. */
import { accessSync, constants, existsSync, readFileSync, realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism, homedir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';

/** @type {Record<string, { names: string[], label: string }>} */
const tools = {
  'c++': { names: ['g++', 'clang++'], label: 'a C++20 compiler (g++ or clang++)' },
  make: { names: ['make', 'gmake'], label: 'make' },
  cmake: { names: ['cmake'], label: 'cmake' },
  python3: { names: ['python3'], label: 'python3' },
};

/** @param {string} name */
function isOnPath(name) {
  for (const dir of (process.env.PATH ?? '').split(delimiter)) {
    try {
      accessSync(join(dir, name), constants.X_OK);
      return true;
    } catch {
      // not in this folder; the next may have it
    }
  }
  return false;
}

/**
 * Labels of the tools (`c++`, `make`, `cmake`, `python3`) that are not on PATH.
 * @param {string[]} wanted
 */
export function missingTools(wanted) {
  return wanted
    .map((key) => tools[key])
    .filter((tool) => tool && !tool.names.some(isOnPath))
    .map((tool) => tool?.label);
}

const major = Number(process.versions.node.split('.')[0]);

/**
 * Major version of the headers in `nodedir/include/node`, or undefined when there are none.
 * @param {string} nodedir
 */
function headersMajor(nodedir) {
  const dir = join(nodedir, 'include', 'node');
  // uv.h too: the wake into the event loop needs it, and some header packages leave it out.
  if (!['node.h', 'node_api.h', 'uv.h', 'node_version.h'].every((name) => existsSync(join(dir, name))))
    return undefined;
  const version = /#define NODE_MAJOR_VERSION (\d+)/.exec(readFileSync(join(dir, 'node_version.h'), 'utf8'));
  return version ? Number(version[1]) : undefined;
}

/**
 * Folder whose `include/node` has the headers of the running Node: the one given, else npm's `nodedir` setting,
 * else beside the executable, else what node-gyp or cmake-js downloaded before. Nothing is downloaded.
 * @param {string | undefined} given
 * @returns {{ found: true, nodedir: string } | { found: false, reason: string }}
 */
export function findHeaders(given) {
  const { version, execPath, arch } = process;
  const candidates = given
    ? [given]
    : [
        process.env.npm_config_nodedir,
        dirname(dirname(execPath)),
        dirname(dirname(realpathSync(execPath))),
        join(homedir(), '.cache', 'node-gyp', version.slice(1)),
        join(homedir(), '.cmake-js', `node-${arch}`, version),
      ];
  for (const nodedir of candidates) {
    if (nodedir && headersMajor(nodedir) === major) return { found: true, nodedir };
  }
  const looked = [...new Set(candidates.filter(Boolean))].map((dir) => join(String(dir), 'include', 'node'));
  const reason =
    `no headers of Node ${major} in ${looked.join(', ')}. "npm run setup" installs them where the system has a ` +
    'package for them; official builds of Node carry them; else give --nodedir=DIR with DIR/include/node/node.h.';
  return { found: false, reason };
}

/**
 * Configures and builds by cmake-js. It reads the header folder from the npm configuration in the environment, and
 * takes its absence there as "download them", even when told otherwise by an option.
 *
 * @param {{ directory: string, out: string, nodedir: string, target?: string | undefined, options: Record<string, string> }} how
 *   `options`: CMake variables.
 */
export async function buildByCmake({ directory, out, nodedir, target, options }) {
  process.env.npm_config_nodedir = nodedir;
  const { BuildSystem } = createRequire(import.meta.url)('cmake-js');
  const system = new BuildSystem({
    directory,
    out,
    config: 'Release',
    // Ninja, where it appears between two builds, would change the generator of a configured folder: an error.
    preferMake: true,
    parallel: availableParallelism(),
    target,
    cMakeOptions: options,
  });
  await system.configure();
  await system.build();
}
