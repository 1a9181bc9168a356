#!/usr/bin/env node
/**
 * `npm run demo`: brings the addon up to date, then runs the demo with the arguments given. Everything that the
 * build says goes to stderr: with `--json` the last line of stdout is the result, and stdout is the demo's alone.
 */
import { spawn, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { projectRoot } from './lib/source.mjs';

/**
 * Runs a script of ours to its end with its stdout on our stderr.
 * @param {string[]} args
 */
function prepare(args) {
  const { status, error } = spawnSync(process.execPath, args, { cwd: projectRoot, stdio: ['ignore', 2, 2] });
  if (error) throw error;
  if (status !== 0) process.exit(status ?? 1);
}

prepare([join('scripts', 'generate-leyline.mjs')]);
prepare([join('scripts', 'build-native.mjs'), '--if-stale', '--addon-only']);

const demo = join('examples', 'mnist', 'demo.ts');
const child = spawn(process.execPath, ['--import', 'tsx', demo, ...process.argv.slice(2)], {
  cwd: projectRoot,
  stdio: 'inherit',
});
// A Ctrl-C reaches the demo by itself (same process group). It stops its processes and ends; so do we, after it.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => child.kill('SIGTERM'));
child.on('exit', (code, signal) => {
  if (signal) console.error(`demo: ended by ${signal}`);
  process.exitCode = code ?? 1;
});
