#!/usr/bin/env node
/**
 * `npm run build`: dist/ from src/. Generates the contract, compiles, copies what the compiler does not (generated
 * JavaScript and types, Redis scripts), marks the commands executable, and checks that every file that package.json
 * promises is there.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from './lib/source.mjs';

/** @param {string[]} args */
function run(args) {
  const { status, error } = spawnSync(process.execPath, args, { cwd: projectRoot, stdio: 'inherit' });
  if (error) throw error;
  if (status !== 0) process.exit(status ?? 1);
}

/** Every path below dist/ that `exports`, `bin`, `main` or `types` of package.json name. */
function promised() {
  /** @type {string[]} */
  const paths = [];
  /** @param {unknown} value */
  const collect = (value) => {
    if (typeof value === 'string') paths.push(value);
    else if (value && typeof value === 'object') for (const inner of Object.values(value)) collect(inner);
  };
  const { main, types, exports, bin } = JSON.parse(readFileSync(join(projectRoot, 'package.json'), 'utf8'));
  collect([main, types, exports, bin]);
  return [...new Set(paths)];
}

const dist = join(projectRoot, 'dist');
rmSync(dist, { recursive: true, force: true });
run([join('scripts', 'generate-leyline.mjs')]);
run([join('node_modules', 'typescript', 'bin', 'tsc'), '-p', 'tsconfig.build.json']);

const copied = [join('leyline', 'generated'), join('oona', 'lua')];
for (const dir of copied) {
  const from = join(projectRoot, 'src', dir);
  const wanted = (/** @type {string} */ path) => !/\.(?:stamp|ts)$/.test(path) || path.endsWith('.d.ts');
  if (existsSync(from)) cpSync(from, join(dist, dir), { recursive: true, filter: wanted });
}

const { bin } = JSON.parse(readFileSync(join(projectRoot, 'package.json'), 'utf8'));
const missing = promised().filter((path) => !existsSync(join(projectRoot, path)));
for (const path of missing) console.error(`build: package.json names ${path}, and the build did not make it`);
if (missing.length > 0) process.exit(1);
for (const path of Object.values(bin)) chmodSync(join(projectRoot, path), 0o755);
console.log(`build: dist/ is complete (${promised().length} entry files)`);
