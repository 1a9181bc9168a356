#!/usr/bin/env node
/** `npm run lint`: every check, each to its end, so that one run shows all that is wrong. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { projectRoot } from './lib/source.mjs';

// Biome colours what it writes into a pipe too.
const colors = `--colors=${process.stdout.isTTY ? 'force' : 'off'}`;

/** @type {{ name: string, args: string[] }[]} */
const steps = [
  {
    name: 'format and lint',
    args: [join('node_modules', '@biomejs', 'biome', 'bin', 'biome'), 'ci', '.', colors],
  },
  { name: 'types', args: [join('node_modules', 'typescript', 'bin', 'tsc'), '-p', 'tsconfig.json'] },
  {
    name: 'types of scripts',
    args: [join('node_modules', 'typescript', 'bin', 'tsc'), '-p', 'tsconfig.scripts.json'],
  },
  ...['layers', 'enums', 'sync-pairs', 'sizes', 'errors', 'ambient'].map((check) => ({
    name: `check-${check}`,
    args: [join('scripts', `check-${check}.mjs`)],
  })),
  { name: 'options', args: [join('scripts', 'options-doc.mjs'), '--check'] },
  { name: 'traceability', args: [join('scripts', 'traceability.mjs'), '--check'] },
];

const failed = steps.filter(({ name, args }) => {
  const { status, error } = spawnSync(process.execPath, args, { cwd: projectRoot, stdio: 'inherit' });
  if (error) console.error(`lint: ${name}: ${error.message}`);
  return status !== 0;
});
if (failed.length > 0) {
  console.error(`lint: failed: ${failed.map((step) => step.name).join(', ')}`);
  process.exit(1);
}
console.log(`lint: ok, ${steps.length} checks`);
