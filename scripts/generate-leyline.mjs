#!/usr/bin/env node
/**
 * proto/**\/*.proto -> src/leyline/generated/{leyline.js,leyline.d.ts}, with protobufjs-cli (pbjs, and its pbts).
 *
 * The output is never edited and not in git. `leyline.stamp` beside it records the hash of everything that went in
 * and of what came out, so that a second run does nothing and a touched output is made anew. Same input, same bytes.
 */
import { createHash } from 'node:crypto';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const require = createRequire(import.meta.url);
const root = dirname(dirname(fileURLToPath(import.meta.url)));
const protoDir = join(root, 'proto');
const outDir = join(root, 'src', 'leyline', 'generated');
const outputs = ['leyline.js', 'leyline.d.ts'];
const stampFile = join(outDir, 'leyline.stamp');

/** Why these: ESM; proto comments become docs; nothing here sends length-delimited, Any or RPC. */
const options = ['-t', 'static-module', '-w', 'esm', '--alt-comment', '--dts'];
const unused = ['--no-delimited', '--no-typeurl', '--no-service'];

/** @param {(string | Buffer)[]} parts */
const sha256 = (...parts) => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part).update('\0');
  return hash.digest('hex');
};

const protoFiles = readdirSync(protoDir, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.proto'))
  .sort()
  .map((name) => join(protoDir, name));

function hashInputs() {
  /** @type {(string | Buffer)[]} */
  const parts = [readFileSync(fileURLToPath(import.meta.url))];
  for (const name of ['protobufjs', 'protobufjs-cli']) parts.push(require(`${name}/package.json`).version);
  for (const file of protoFiles) parts.push(relative(root, file).replaceAll('\\', '/'), readFileSync(file));
  return sha256(...parts);
}

/**
 * @param {string} inputs
 * @param {string} dir
 */
const stampOf = (inputs, dir) =>
  JSON.stringify({ inputs, outputs: outputs.map((name) => sha256(readFileSync(join(dir, name)))) });

/** @param {string} inputs */
function upToDate(inputs) {
  try {
    return readFileSync(stampFile, 'utf8') === stampOf(inputs, outDir);
  } catch {
    return false; // nothing there yet, or half of it: generate
  }
}

/**
 * @param {string[]} args
 * @returns {Promise<void>}
 */
function pbjs(args) {
  const { main } = require('protobufjs-cli/pbjs');
  return new Promise((resolve, reject) => {
    main(args, (/** @type {unknown} */ error) => (error ? reject(error) : resolve()));
  });
}

/**
 * `import Long = require("long")` would bind every user's type check to a package that is only a dependency of a
 * dependency; protobufjs's own structural Long says all that is needed.
 * @param {string} types
 */
function withoutLongImport(types) {
  const line = 'import Long = require("long");';
  if (!types.includes(line)) throw new Error(`generate-leyline: expected '${line}' in the generated types`);
  return types.replace(line, 'type Long = $protobuf.Long;');
}

/** @param {string} inputs */
async function generate(inputs) {
  mkdirSync(outDir, { recursive: true });
  const work = mkdtempSync(join(outDir, '.work-'));
  try {
    const js = join(work, 'leyline.js');
    // The registry of protobufjs is global: a name of its own per content keeps two versions in one process apart.
    const registry = ['-r', `esper-leyline-${inputs.slice(0, 12)}`];
    await pbjs([...options, ...unused, ...registry, '-p', protoDir, '-o', js, ...protoFiles]);
    const dts = join(work, 'leyline.d.ts');
    writeFileSync(dts, withoutLongImport(readFileSync(dts, 'utf8')));
    writeFileSync(join(work, 'leyline.stamp'), stampOf(inputs, work));
    // Renamed, stamp last: a run that is killed or races another leaves whole files, never a false stamp.
    for (const name of [...outputs, 'leyline.stamp']) renameSync(join(work, name), join(outDir, name));
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

const inputs = hashInputs();
const fresh = upToDate(inputs);
if (!fresh) await generate(inputs);
const what = `${relative(root, outDir)} from ${protoFiles.length} .proto files`;
console.log(`leyline: ${fresh ? 'up to date' : 'generated'}: ${what} (${inputs.slice(0, 12)})`);
