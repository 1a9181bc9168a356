import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadNativeFrom } from '../native/load.ts';
import { print, printError } from './output.ts';
import { EXIT } from './target.ts';

export interface BuildNativeOptions {
  /** Folder whose include/node has Node's headers. */
  readonly nodedir?: string;
}

// src/cli and dist/cli lie equally deep.
const PACKAGE_ROOT = fileURLToPath(new URL('../../', import.meta.url));
const GYP = join('node-gyp', 'bin', 'node-gyp.js');

/** node-gyp: what npm says it uses, one installed beside this package, else the one that every npm brings along. */
function findNodeGyp(): string | undefined {
  const resolve = createRequire(import.meta.url).resolve;
  const beside = (): string | undefined => {
    try {
      return join(dirname(resolve('node-gyp/package.json')), 'bin', 'node-gyp.js');
    } catch {
      return undefined;
    }
  };
  const ofNpms = [dirname(process.execPath), ...(process.env.PATH ?? '').split(delimiter)]
    .filter((directory) => existsSync(join(directory, 'npm')))
    .map((directory) => join(dirname(dirname(realpathSync(join(directory, 'npm')))), 'node_modules', GYP));
  return [process.env.npm_config_node_gyp, beside(), ...ofNpms].find(
    (path) => path !== undefined && existsSync(path),
  );
}

/** Headers that came with this Node, so that none need be fetched. */
function findHeaders(): string | undefined {
  const { execPath, versions } = process;
  const wanted = `#define NODE_MAJOR_VERSION ${versions.node.split('.')[0]}\n`;
  return [dirname(dirname(execPath)), dirname(dirname(realpathSync(execPath)))].find((root) => {
    const version = join(root, 'include', 'node', 'node_version.h');
    return existsSync(version) && readFileSync(version, 'utf8').includes(wanted);
  });
}

/** Compiles the addon where this package is installed, for hosts that the prebuilt one does not fit. */
export function buildNative(options: BuildNativeOptions): number {
  const gyp = findNodeGyp();
  if (gyp === undefined) {
    printError('esper-fastpath: no node-gyp found; install it (npm install node-gyp) or npm itself');
    return EXIT.failed;
  }
  const nodedir = options.nodedir ?? findHeaders();
  const headers = nodedir === undefined ? [] : [`--nodedir=${nodedir}`];
  if (nodedir === undefined) print('no headers beside this Node: node-gyp fetches them from nodejs.org');
  const args = [gyp, 'rebuild', '--release', `--directory=${PACKAGE_ROOT}`, ...headers];
  const { status, error } = spawnSync(process.execPath, args, { stdio: 'inherit' });
  if (error !== undefined || status !== 0) {
    const why = error?.message ?? `node-gyp ended with ${status}`;
    printError(`esper-fastpath: ${why}; it needs a C++20 compiler, make and python3`);
    return EXIT.failed;
  }
  const loaded = loadNativeFrom({ root: PACKAGE_ROOT, setting: undefined });
  if (loaded.source !== 'build') {
    printError(`esper-fastpath: ${loaded.passedOver[0]?.message ?? 'the build made no addon'}`);
    return EXIT.failed;
  }
  print('the addon is built and loads');
  return EXIT.done;
}
