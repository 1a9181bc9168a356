import { mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from '../lib/source.mjs';
import { mustRun, verifyDir } from './tools.mjs';

/** Builds the library that makes system calls fail, unless it is there; the path to preload. */
export async function buildFaultShim() {
  const source = join(projectRoot, 'native', 'verify', 'shim', 'fault_shim.cc');
  const library = join(verifyDir, 'libesper_fault_shim.so');
  const made = statSync(library, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  if (made > statSync(source).mtimeMs) return library;
  mkdirSync(verifyDir, { recursive: true });
  const flags = ['-std=c++20', '-O2', '-shared', '-fPIC', '-fno-exceptions', '-Wall', '-Wextra', '-Werror'];
  await mustRun('g++', [...flags, source, '-o', library, '-ldl']);
  return library;
}
