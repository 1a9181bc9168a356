import { existsSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { debuglog } from 'node:util';
import { errorMessage } from '../core/errors.ts';
import { NATIVE_ABI_MAJOR, NATIVE_ABI_MINOR } from './abi.ts';
import type { NativeModule } from './contract.ts';
import { NativeLoadError } from './errors.ts';
import { makeRecord, type RawNativeModule } from './record.ts';
import { createTwin } from './twin.ts';

export interface LoadedNative {
  readonly module: NativeModule;
  /** Where it came from; 'twin' is the TypeScript one on process-local memory. */
  readonly source: 'prebuild' | 'build' | 'twin';
  /** Why it is the twin. */
  readonly error?: NativeLoadError;
  /** Addons that were there and could not be used, in the order they were tried. */
  readonly passedOver: readonly NativeLoadError[];
}

export interface AbiVersion {
  readonly abiMajor: number;
  readonly abiMinor: number;
}

export interface LoadNativeOptions {
  /** Package root: holds build/ or prebuilds/. */
  readonly root: string;
  /** 'off' forces the twin; value of ESPER_FASTPATH_NATIVE. */
  readonly setting: string | undefined;
  /** Interface that the addon must have: this major version, at least this minor one. Default: that of contract.ts. */
  readonly abi?: AbiVersion;
}

interface FoundAddon {
  readonly path: string;
  readonly source: 'prebuild' | 'build';
}

/** What a file name says about its addon: runtime, interface, libc. */
interface Tags {
  readonly file: string;
}

interface NodeGypBuild {
  parseTags(file: string): Tags | undefined;
  matchTags(runtime: string, abi: string): (tags: Tags) => boolean;
  compareTags(runtime: string): (a: Tags, b: Tags) => number;
}

const BUILD_HINT = 'run: npx esper-fastpath build-native (in a checkout: npm run build:native)';

/** NODE_DEBUG=esper-fastpath tells every step. */
const debug = debuglog('esper-fastpath');
const require = createRequire(import.meta.url);
// src/native and dist/native lie equally deep, so this holds under tsx and in the published package.
const PACKAGE_ROOT = fileURLToPath(new URL('../../', import.meta.url));

const OWN_ABI: AbiVersion = Object.freeze({ abiMajor: NATIVE_ABI_MAJOR, abiMinor: NATIVE_ABI_MINOR });

let loaded: LoadedNative | undefined;

/**
 * The native addon, or the TypeScript twin with the reason. Loaded once per thread; never throws.
 * `ESPER_FASTPATH_NATIVE=off` forces the twin.
 */
export function loadNative(): LoadedNative {
  loaded ??= loadNativeFrom({ root: PACKAGE_ROOT, setting: process.env.ESPER_FASTPATH_NATIVE });
  return loaded;
}

/**
 * `loadNative` without the cache, for a given root. Never throws. The order: an addon built here (what was just
 * compiled must not hide behind a prebuilt one, and who compiled on a host had a reason), the prebuilt one, the twin.
 */
export function loadNativeFrom(options: LoadNativeOptions): LoadedNative {
  if (options.setting?.toLowerCase() === 'off') {
    const message = 'native addon switched off by ESPER_FASTPATH_NATIVE=off';
    return twin(new NativeLoadError('ESPER_NATIVE_DISABLED', message), []);
  }
  const passedOver: NativeLoadError[] = [];
  for (const found of findAddons(options.root)) {
    const module = loadAddon(found, options.abi ?? OWN_ABI);
    if (!(module instanceof NativeLoadError)) {
      debug('native addon from %s: %s', found.source, found.path);
      return Object.freeze({ module, source: found.source, passedOver: Object.freeze(passedOver) });
    }
    debug('passed over: %s', module.message);
    passedOver.push(module);
  }
  return twin(passedOver[0] ?? missing(options.root), passedOver);
}

function twin(error: NativeLoadError, passedOver: readonly NativeLoadError[]): LoadedNative {
  debug('the twin, on process-local memory: %s', error.message);
  return Object.freeze({
    module: createTwin(),
    source: 'twin',
    error,
    passedOver: Object.freeze(passedOver),
  });
}

function findAddons(root: string): readonly FoundAddon[] {
  const found: FoundAddon[] = [];
  const built = join(root, 'build', 'Release', 'esper_fastpath.node');
  if (existsSync(built)) found.push({ path: built, source: 'build' });
  else debug('no %s', built);
  const prebuilt = findPrebuilt(root);
  if (prebuilt !== undefined) found.push({ path: prebuilt, source: 'prebuild' });
  else debug('no prebuilt addon for %s-%s under %s', process.platform, process.arch, root);
  return found;
}

/** node-gyp-build's rules for a file name, without its search: that would stop at build/, were it broken or not. */
function findPrebuilt(root: string): string | undefined {
  const directory = join(root, 'prebuilds', `${process.platform}-${process.arch}`);
  if (!existsSync(directory)) return undefined;
  const rules = require('node-gyp-build') as NodeGypBuild;
  const [best] = readdirSync(directory)
    .map(rules.parseTags)
    .filter((tags) => tags !== undefined)
    .filter(rules.matchTags('node', process.versions.modules))
    .sort(rules.compareTags('node'));
  return best && join(directory, best.file);
}

function missing(root: string): NativeLoadError {
  const message = `no native addon for ${process.platform}-${process.arch} under ${root}; ${BUILD_HINT}`;
  return new NativeLoadError('ESPER_NATIVE_MISSING', message);
}

function loadAddon(found: FoundAddon, needed: AbiVersion): RawNativeModule | NativeLoadError {
  let module: RawNativeModule;
  try {
    module = require(found.path) as RawNativeModule;
  } catch (cause) {
    const message = `native addon ${found.path} does not load: ${errorMessage(cause)}; ${BUILD_HINT}`;
    return new NativeLoadError('ESPER_NATIVE_LOAD_FAILED', message, { cause });
  }
  const has = `${module.abiMajor}.${module.abiMinor}`;
  if (module.abiMajor !== needed.abiMajor || !(module.abiMinor >= needed.abiMinor)) {
    const message = `native addon ${found.path} has interface ${has}, needed is ${needed.abiMajor}.${needed.abiMinor} or a later minor one; ${BUILD_HINT}`;
    return new NativeLoadError('ESPER_NATIVE_ABI_MISMATCH', message);
  }
  module.useRecordFactory(makeRecord);
  return module;
}
