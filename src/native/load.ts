import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { errorMessage } from '../core/errors.ts';
import { NATIVE_ABI_MAJOR } from './abi.ts';
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
}

export interface LoadNativeOptions {
  /** Package root: holds build/ or prebuilds/. */
  readonly root: string;
  /** 'off' forces the twin; value of ESPER_FASTPATH_NATIVE. */
  readonly setting: string | undefined;
  /** Expected major version of the interface. */
  readonly abiMajor: number;
}

interface FoundAddon {
  readonly path: string;
  readonly source: 'prebuild' | 'build';
}

const require = createRequire(import.meta.url);
// src/native and dist/native lie equally deep, so this holds under tsx and in the published package.
const PACKAGE_ROOT = fileURLToPath(new URL('../../', import.meta.url));

let loaded: LoadedNative | undefined;

/**
 * The native addon, or the TypeScript twin with the reason. Loaded once per thread; never throws.
 * `ESPER_FASTPATH_NATIVE=off` forces the twin.
 */
export function loadNative(): LoadedNative {
  loaded ??= loadNativeFrom({
    root: PACKAGE_ROOT,
    setting: process.env.ESPER_FASTPATH_NATIVE,
    abiMajor: NATIVE_ABI_MAJOR,
  });
  return loaded;
}

/** `loadNative` without the cache, for a given root. Never throws. */
export function loadNativeFrom(options: LoadNativeOptions): LoadedNative {
  if (options.setting?.toLowerCase() === 'off') {
    const message = 'native addon switched off by ESPER_FASTPATH_NATIVE=off';
    return twin(new NativeLoadError('ESPER_NATIVE_DISABLED', message));
  }
  const found = findAddon(options.root);
  if (found instanceof NativeLoadError) return twin(found);
  return loadAddon(found, options.abiMajor);
}

function twin(error: NativeLoadError): LoadedNative {
  return Object.freeze({ module: createTwin(), source: 'twin', error });
}

/** A local build goes first: in a checkout an older prebuilt file would hide what was just compiled. */
function findAddon(root: string): FoundAddon | NativeLoadError {
  const built = join(root, 'build', 'Release', 'esper_fastpath.node');
  if (existsSync(built)) return { path: built, source: 'build' };
  try {
    const nodeGypBuild = require('node-gyp-build') as { resolve(directory: string): string };
    const path = nodeGypBuild.resolve(root);
    // node-gyp-build also looks beside the node binary; an addon from there is not ours.
    if (path.startsWith(join(root, 'prebuilds') + sep)) return { path, source: 'prebuild' };
    return missing(root);
  } catch (cause) {
    return missing(root, cause);
  }
}

function missing(root: string, cause?: unknown): NativeLoadError {
  const message = `no native addon for ${process.platform}-${process.arch} under ${root}; run: npm run build:native`;
  return new NativeLoadError('ESPER_NATIVE_MISSING', message, { cause });
}

function loadAddon(found: FoundAddon, abiMajor: number): LoadedNative {
  let module: RawNativeModule;
  try {
    module = require(found.path) as RawNativeModule;
    module.useRecordFactory(makeRecord);
  } catch (cause) {
    const message = `native addon ${found.path} does not load: ${errorMessage(cause)}`;
    return twin(new NativeLoadError('ESPER_NATIVE_LOAD_FAILED', message, { cause }));
  }
  if (module.abiMajor !== abiMajor) {
    const message = `native addon ${found.path} has interface ${module.abiMajor}, needed is ${abiMajor}; run: npm run build:native`;
    return twin(new NativeLoadError('ESPER_NATIVE_ABI_MISMATCH', message));
  }
  return Object.freeze({ module, source: found.source });
}
