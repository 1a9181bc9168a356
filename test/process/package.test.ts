// watchdog: 600 s
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

/** The package as a user gets it: packed, installed with scripts off in an empty folder, imported, type-checked. */

interface Manifest {
  readonly name: string;
  readonly exports: Readonly<Record<string, unknown>>;
  readonly bin: Readonly<Record<string, string>>;
  readonly scripts: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
}

const projectDir = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const manifest = JSON.parse(readFileSync(join(projectDir, 'package.json'), 'utf8')) as Manifest;
const specifiers = Object.keys(manifest.exports)
  .filter((path) => path !== './package.json')
  .map((path) => manifest.name + path.slice(1));

/** Every file of the package is one of these. */
const EXPECTED = [
  /^(?:package\.json|README\.md|LICENSE|CHANGELOG\.md|binding\.gyp)$/,
  /^dist\/[\w/-]+\.(?:js|d\.ts)(?:\.map)?$/,
  /^dist\/oona\/lua\/[\w-]+\.lua$/,
  /^src\/[\w/-]+\.ts$/,
  /^src\/leyline\/generated\/leyline\.(?:js|d\.ts|stamp)$/,
  /^src\/oona\/lua\/[\w-]+\.lua$/,
  /^native\/(?:sources\.txt|(?:core|addon)\/\w+\.(?:cc|h))$/,
  /^proto\/[\w/]+\.proto$/,
  /^infra\/prometheus\/[\w-]+\.rules\.yml$/,
  /^docs\/[\w/-]+\.md$/,
  /^examples\/(?:c|python)\/(?:README\.md|esper_signal\.(?:c|py))$/,
  /^prebuilds\/linux-x64\/@esper\+fastpath\.glibc\.node$/,
];
/** And these must be there. */
const REQUIRED = [
  ...['package.json', 'README.md', 'LICENSE', 'CHANGELOG.md', 'binding.gyp', 'native/sources.txt'],
  ...['docs/shm-format.md', 'docs/errors.md', 'prebuilds/linux-x64/@esper+fastpath.glibc.node'],
];

function run(command: string, args: readonly string[], cwd: string, env = process.env) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd, env, encoding: 'utf8' });
  if (error) throw error;
  return { status, stdout, stderr };
}

const test = suite('package');

let consumer = '';
let installed = '';
let tarball = '';
/** In the order of the archive, without its `package/`. */
let files: readonly string[] = [];

/** Runs a module in the consumer's folder; what it logs as JSON is the answer. */
function evaluate(code: string, env = process.env) {
  const { status, stdout, stderr } = run(
    process.execPath,
    ['--input-type=module', '-e', code],
    consumer,
    env,
  );
  assert.is(status, 0, stderr);
  return { answer: JSON.parse(stdout) as unknown, stderr };
}

/** Opens a signal by the installed package and tells where the addon came from. */
const OPEN = `
  import { EmergencyLevel, loadNative, openEmergencySignal } from '${manifest.name}';
  const signal = openEmergencySignal('package-' + process.pid, { keepAlive: false });
  signal.trigger(EmergencyLevel.EMERGENCY_LEVEL_HALT, { reason: 'installed' });
  const { kind, degraded } = signal;
  const [record] = signal.history();
  signal.unlink();
  console.log(JSON.stringify({ source: loadNative().source, kind, code: degraded?.code, reason: record?.reason }));`;

// Not a hook: uvu swallows an error in one, and with it why npm or the build refused.
test('[R-X5] it is built and packed, and installs with scripts off in an empty folder', () => {
  consumer = realpathSync(mkdtempSync(join(tmpdir(), 'esper-package-')));
  const packed = run('npm', ['pack', '--pack-destination', consumer], projectDir);
  assert.is(packed.status, 0, packed.stdout + packed.stderr);
  const name = readdirSync(consumer).find((file) => file.endsWith('.tgz'));
  assert.ok(name);
  tarball = join(consumer, name);
  files = run('tar', ['-tzf', tarball], consumer)
    .stdout.trim()
    .split('\n')
    .map((path) => path.replace(/^package\//, ''));
  writeFileSync(join(consumer, 'package.json'), '{ "type": "module", "private": true }');
  const types = `@types/node@${manifest.devDependencies['@types/node']}`;
  const flags = ['--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund'];
  const result = run('npm', ['install', ...flags, tarball, types], consumer);
  assert.is(result.status, 0, result.stderr);
  installed = join(consumer, 'node_modules', manifest.name);
});

test.after(() => {
  if (consumer !== '') rmSync(consumer, { recursive: true, force: true });
});

test('[R-X5] it holds what it needs and nothing unexpected', () => {
  assert.equal(
    files.filter((path) => !EXPECTED.some((pattern) => pattern.test(path))),
    [],
  );
  assert.equal(
    REQUIRED.filter((path) => !files.includes(path)),
    [],
  );
  const sources = readFileSync(join(projectDir, 'native', 'sources.txt'), 'utf8')
    .trim()
    .split('\n');
  assert.equal(
    sources.filter((path) => !files.includes(`native/${path}`)),
    [],
  );
  const { scripts } = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8')) as Manifest;
  for (const hook of ['preinstall', 'install', 'postinstall']) assert.is(scripts[hook], undefined);
});

test('[R-X5] publint and attw find nothing', () => {
  const script = join('scripts', 'lint-package.mjs');
  const { status, stdout, stderr } = run(process.execPath, [script, tarball], projectDir);
  assert.is(status, 0, stdout + stderr);
});

test('[R-X5] a signal of the installed package is shared, by the prebuilt addon', () => {
  const { answer, stderr } = evaluate(OPEN);
  assert.equal(answer, { source: 'prebuild', kind: 'shared', reason: 'installed' }, stderr);
});

test('every entry of the exports map can be imported and offers something', () => {
  for (const specifier of specifiers) {
    const { answer } = evaluate(
      `const m = await import('${specifier}'); console.log(Object.keys(m).length);`,
    );
    assert.ok(Number(answer) > 0, `${specifier} exports nothing`);
  }
});

test('every entry has types that a strict project accepts, by both ways to resolve them', () => {
  const lines = specifiers.map(
    (specifier, at) => `import * as m${at} from '${specifier}';\nexport { m${at} };`,
  );
  lines.push(`import { openEmergencySignal, type EmergencySignal } from '${manifest.name}';`);
  lines.push('const signal: EmergencySignal = openEmergencySignal("types");');
  lines.push('export const set: boolean = signal.isSet();');
  // Types that did not resolve would be `any` and hide everything; they would also make this no error.
  lines.push('// @ts-expect-error a boolean is no string\nexport const no: string = signal.isSet();');
  lines.push(`// @ts-expect-error no such name\nimport { noSuchName } from '${manifest.name}/signals';`);
  lines.push('export const wrong = noSuchName;');
  writeFileSync(join(consumer, 'use.ts'), lines.join('\n'));
  const tsc = join(projectDir, 'node_modules', 'typescript', 'bin', 'tsc');
  for (const [module, moduleResolution] of [
    ['nodenext', 'nodenext'],
    ['preserve', 'bundler'],
  ]) {
    const options = {
      module,
      moduleResolution,
      target: 'es2023',
      strict: true,
      noEmit: true,
      types: ['node'],
    };
    const compilerOptions = { ...options, exactOptionalPropertyTypes: true };
    writeFileSync(join(consumer, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['use.ts'] }));
    const { status, stdout } = run(process.execPath, [tsc, '-p', consumer], consumer);
    assert.is(status, 0, `${moduleResolution}: ${stdout}`);
  }
});

test('a layer’s files that are not in the exports map stay private', () => {
  const code = `await import('${manifest.name}/dist/core/errors.js');`;
  const { status, stderr } = run(process.execPath, ['--input-type=module', '-e', code], consumer);
  assert.is(status, 1);
  assert.match(stderr, 'ERR_PACKAGE_PATH_NOT_EXPORTED');
});

test('the commands are there, executable, and start', () => {
  for (const name of Object.keys(manifest.bin)) {
    const command = join(consumer, 'node_modules', '.bin', name);
    assert.match(readFileSync(command, 'utf8'), /^#!\/usr\/bin\/env node\n/);
    const { status, stdout, stderr } = run(command, ['--help'], consumer);
    assert.is(status, 0, `${name}: ${stderr}`);
    assert.match(stdout, 'Usage');
  }
});

test('[R-X5] a prebuilt addon that does not load: the twin, a warning, and the doctor tells', () => {
  const [prebuilt = ''] = files.filter((path) => path.endsWith('.node'));
  writeFileSync(join(installed, prebuilt), 'not an ELF file');
  const { answer, stderr } = evaluate(OPEN);
  const expected = { source: 'twin', kind: 'process-local', code: 'ESPER_NATIVE_LOAD_FAILED' };
  assert.equal(answer, { ...expected, reason: 'installed' });
  assert.match(stderr, 'is process-local only');
  const doctor = run(join(consumer, 'node_modules', '.bin', 'esper-fastpath'), ['doctor'], consumer);
  assert.is(doctor.status, 1);
  assert.match(doctor.stdout, /addon +fail +twin; ESPER_NATIVE_LOAD_FAILED/);
});

test('[R-X5] no prebuilt addon: the twin, a warning, and every step when NODE_DEBUG asks', () => {
  rmSync(join(installed, 'prebuilds'), { recursive: true });
  const { answer, stderr } = evaluate(OPEN, { ...process.env, NODE_DEBUG: 'esper-fastpath' });
  const expected = { source: 'twin', kind: 'process-local', code: 'ESPER_NATIVE_MISSING' };
  assert.equal(answer, { ...expected, reason: 'installed' });
  assert.match(stderr, 'is process-local only');
  for (const step of ['no prebuilt addon', 'esper_fastpath.node', 'the twin']) assert.match(stderr, step);
});

test('[R-X5] the documented command compiles it where it is installed', () => {
  const command = join(consumer, 'node_modules', '.bin', 'esper-fastpath');
  const { status, stdout, stderr } = run(command, ['build-native'], consumer);
  assert.is(status, 0, stdout + stderr);
  assert.equal(evaluate(OPEN).answer, { source: 'build', kind: 'shared', reason: 'installed' });
});

test.run();
