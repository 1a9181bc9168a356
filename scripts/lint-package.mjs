#!/usr/bin/env node
/** `npm run lint:package`: publint and "are the types wrong" on the packed file, as a user would get it. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { projectRoot } from './lib/source.mjs';

const usage = `Usage: npm run lint:package -- [file.tgz]

Checks a packed package (without one: packs it first): publint, every message an error, and attw for ES modules.`;

/**
 * @param {string} command
 * @param {string[]} args
 */
function run(command, args) {
  const { status, error } = spawnSync(command, args, { cwd: projectRoot, stdio: 'inherit' });
  if (error) throw error;
  return status === 0;
}

/** @param {string} directory */
function pack(directory) {
  if (!run('npm', ['pack', '--silent', '--pack-destination', directory])) throw new Error('npm pack failed');
  const name = readdirSync(directory).find((file) => file.endsWith('.tgz'));
  if (name === undefined) throw new Error('npm pack made no file');
  return join(directory, name);
}

const [given] = process.argv.slice(2);
if (given === '--help') {
  console.log(usage);
  process.exit(0);
}
const directory = mkdtempSync(join(tmpdir(), 'esper-lint-package-'));
try {
  const tarball = given === undefined ? pack(directory) : resolve(given);
  const bin = (/** @type {string} */ name) => join(projectRoot, 'node_modules', '.bin', name);
  const checks = {
    publint: run(bin('publint'), ['run', tarball, '--strict', '--level', 'suggestion']),
    // The package is ESM only, and says so: what require() or a resolver without `exports` would see is no finding.
    attw: run(bin('attw'), [
      tarball,
      '--profile',
      'esm-only',
      '--no-emoji',
      '--no-color',
      '--no-definitely-typed',
    ]),
  };
  for (const [name, ok] of Object.entries(checks))
    if (!ok) console.error(`lint:package: ${name} found something`);
  process.exitCode = Object.values(checks).every(Boolean) ? 0 : 1;
} finally {
  rmSync(directory, { recursive: true, force: true });
}
