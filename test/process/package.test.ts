// watchdog: 240 s
import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

/** The package as a user gets it: packed, unpacked into a project of its own, imported and type-checked there. */

interface Manifest {
  readonly name: string;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly exports: Readonly<Record<string, unknown>>;
  readonly bin: Readonly<Record<string, string>>;
}

const projectDir = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const manifest = JSON.parse(readFileSync(join(projectDir, 'package.json'), 'utf8')) as Manifest;
const specifiers = Object.keys(manifest.exports)
  .filter((path) => path !== './package.json')
  .map((path) => manifest.name + path.slice(1));

function run(command: string, args: readonly string[], cwd: string, env = process.env) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd, env, encoding: 'utf8' });
  if (error) throw error;
  return { status, stdout, stderr };
}

const test = suite('package');

let consumer = '';
let installed = '';

// Not a hook: uvu swallows an error in one, and with it why npm or the build refused.
test('the package is built, packed and unpacked', () => {
  consumer = realpathSync(mkdtempSync(join(tmpdir(), 'esper-package-')));
  const packed = run('npm', ['pack', '--pack-destination', consumer], projectDir);
  assert.is(packed.status, 0, packed.stdout + packed.stderr);
  const tarball = readdirSync(consumer).find((name) => name.endsWith('.tgz'));
  assert.ok(tarball);
  const modules = join(consumer, 'node_modules');
  installed = join(modules, manifest.name);
  mkdirSync(installed, { recursive: true });
  assert.is(run('tar', ['-xzf', tarball, '-C', installed, '--strip-components=1'], consumer).status, 0);
  for (const name of [...Object.keys(manifest.dependencies), '@types/node']) {
    mkdirSync(dirname(join(modules, name)), { recursive: true });
    symlinkSync(join(projectDir, 'node_modules', name), join(modules, name));
  }
  writeFileSync(join(consumer, 'package.json'), '{ "type": "module", "private": true }');
});

test.after(() => {
  if (consumer !== '') rmSync(consumer, { recursive: true, force: true });
});

test('every entry of the exports map can be imported and offers something', () => {
  for (const specifier of specifiers) {
    const code = `const m = await import('${specifier}'); console.log(Object.keys(m).length);`;
    const { status, stdout, stderr } = run(process.execPath, ['--input-type=module', '-e', code], consumer);
    assert.is(status, 0, `${specifier}: ${stderr}`);
    assert.ok(Number(stdout) > 0, `${specifier} exports nothing`);
  }
});

test('every entry has types that a strict project accepts', () => {
  const lines = specifiers.map(
    (specifier, at) => `import * as m${at} from '${specifier}';\nexport { m${at} };`,
  );
  // Types that did not resolve would be `any` and hide everything; they would also make this no error.
  lines.push(`// @ts-expect-error no such name\nimport { noSuchName } from '${manifest.name}/signals';`);
  lines.push('export const wrong = noSuchName;');
  writeFileSync(join(consumer, 'use.ts'), lines.join('\n'));
  const options = { module: 'nodenext', target: 'es2023', strict: true, noEmit: true, types: ['node'] };
  writeFileSync(
    join(consumer, 'tsconfig.json'),
    JSON.stringify({ compilerOptions: { ...options, exactOptionalPropertyTypes: true }, files: ['use.ts'] }),
  );
  const tsc = join(projectDir, 'node_modules', 'typescript', 'bin', 'tsc');
  const { status, stdout } = run(process.execPath, [tsc, '-p', consumer], consumer);
  assert.is(status, 0, stdout);
});

test('a layer’s files that are not in the exports map stay private', () => {
  const code = `await import('${manifest.name}/dist/core/errors.js');`;
  const { status, stderr } = run(process.execPath, ['--input-type=module', '-e', code], consumer);
  assert.is(status, 1);
  assert.match(stderr, 'ERR_PACKAGE_PATH_NOT_EXPORTED');
});

test('the commands are there, executable, and start', () => {
  for (const [name, path] of Object.entries(manifest.bin)) {
    const command = join(installed, path);
    assert.match(readFileSync(command, 'utf8'), /^#!\/usr\/bin\/env node\n/);
    const { status, stdout, stderr } = run(command, ['--help'], consumer);
    assert.is(status, 0, `${name}: ${stderr}`);
    assert.match(stdout, 'Usage');
  }
});

test('the package holds what it needs and no more, and runs no script on install', () => {
  for (const path of [
    'binding.gyp',
    'CMakeLists.txt',
    'native/sources.txt',
    'proto',
    'LICENSE',
    'README.md',
  ]) {
    assert.ok(existsSync(join(installed, path)), `${path} is not in the package`);
  }
  for (const path of ['test', 'bench', 'build', 'scripts', 'node_modules']) {
    assert.not.ok(existsSync(join(installed, path)), `${path} is in the package`);
  }
  const { scripts } = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>;
  };
  for (const hook of ['preinstall', 'install', 'postinstall']) assert.is(scripts[hook], undefined);
});

test('the addon loads from where the package is, once it is built there', () => {
  const built = join(projectDir, 'build', 'Release', 'esper_fastpath.node');
  assert.ok(existsSync(built), 'the addon is not built: npm run build:native');
  const at = join(installed, 'build', 'Release');
  mkdirSync(at, { recursive: true });
  copyFileSync(built, join(at, 'esper_fastpath.node'));
  const code = `const { loadNative } = await import('${manifest.name}/native'); console.log(loadNative().source);`;
  const { stdout, stderr } = run(process.execPath, ['--input-type=module', '-e', code], consumer);
  assert.is(stdout.trim(), 'build', stderr);
});

test.run();
