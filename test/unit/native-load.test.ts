import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { NATIVE_ABI_MAJOR, NATIVE_ABI_MINOR } from '../../src/native/abi.ts';
import { loadNative, loadNativeFrom } from '../../src/native/load.ts';

const test = suite<{ root: string }>('loading the addon');
const packageRoot = fileURLToPath(new URL('../../', import.meta.url));

test.before.each((context) => {
  context.root = mkdtempSync(join(tmpdir(), 'esper-load-'));
});
test.after.each((context) => rmSync(context.root, { recursive: true, force: true }));

const from = (root: string, setting?: string) => loadNativeFrom({ root, setting });

test('[R-F9] nothing built: the twin, and how to build', ({ root }) => {
  const { module, source, error } = from(root);
  assert.is(source, 'twin');
  assert.is(error?.code, 'ESPER_NATIVE_MISSING');
  assert.match(error?.message ?? '', 'npx esper-fastpath build-native');
  assert.is(module.abiMajor, NATIVE_ABI_MAJOR);
});

test('[R-F9] a file that is no addon: the twin, and the loader’s own words', ({ root }) => {
  mkdirSync(join(root, 'build', 'Release'), { recursive: true });
  writeFileSync(join(root, 'build', 'Release', 'esper_fastpath.node'), 'not an ELF file');
  const { source, error } = from(root);
  assert.is(source, 'twin');
  assert.is(error?.code, 'ESPER_NATIVE_LOAD_FAILED');
  assert.instance(error?.cause, Error);
});

test('[R-F9] a prebuilt file of this platform is found', ({ root }) => {
  const directory = join(root, 'prebuilds', `${process.platform}-${process.arch}`);
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, '@esper+fastpath.node'), 'not an ELF file');
  const { error } = from(root);
  assert.is(error?.code, 'ESPER_NATIVE_LOAD_FAILED');
  assert.match(error?.message ?? '', directory);
});

test('[R-F9] a prebuilt file of another platform is not ours', ({ root }) => {
  const directory = join(root, 'prebuilds', 'plan9-mips');
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, '@esper+fastpath.node'), 'not an ELF file');
  assert.is(from(root).error?.code, 'ESPER_NATIVE_MISSING');
});

test('[R-F9] the addon of another interface version is not used', () => {
  const other = [
    { abiMajor: NATIVE_ABI_MAJOR + 1, abiMinor: NATIVE_ABI_MINOR },
    { abiMajor: NATIVE_ABI_MAJOR, abiMinor: NATIVE_ABI_MINOR + 1 },
  ];
  for (const abi of other) {
    const { source, error } = loadNativeFrom({ root: packageRoot, setting: undefined, abi });
    assert.is(source, 'twin');
    assert.is(error?.code, 'ESPER_NATIVE_ABI_MISMATCH', 'needs the built addon: npm run build:native');
  }
  const abi = { abiMajor: NATIVE_ABI_MAJOR, abiMinor: 0 };
  assert.is(loadNativeFrom({ root: packageRoot, setting: undefined, abi }).source, 'build');
});

test('[R-F9] the built addon loads, once', () => {
  assert.is(from(packageRoot).source, 'build', 'needs the built addon: npm run build:native');
  assert.is(loadNative(), loadNative());
});

test('[R-X5] a broken local build: the prebuilt addon instead, and what was passed over', ({ root }) => {
  const built = join(packageRoot, 'build', 'Release', 'esper_fastpath.node');
  const prebuilds = join(root, 'prebuilds', `${process.platform}-${process.arch}`);
  for (const directory of [join(root, 'build', 'Release'), prebuilds])
    mkdirSync(directory, { recursive: true });
  writeFileSync(join(root, 'build', 'Release', 'esper_fastpath.node'), 'not an ELF file');
  copyFileSync(built, join(prebuilds, '@esper+fastpath.glibc.node'));
  const { source, error, passedOver } = from(root);
  assert.is(source, 'prebuild');
  assert.is(error, undefined);
  assert.equal(
    passedOver.map(({ code }) => code),
    ['ESPER_NATIVE_LOAD_FAILED'],
  );
});

test('[R-X5] of several prebuilt files the most specific', ({ root }) => {
  const prebuilds = join(root, 'prebuilds', `${process.platform}-${process.arch}`);
  mkdirSync(prebuilds, { recursive: true });
  // Before and after it by name.
  for (const file of ['@esper+fastpath.a.node', '@esper+fastpath.node'])
    writeFileSync(join(prebuilds, file), 'not an ELF file');
  const built = join(packageRoot, 'build', 'Release', 'esper_fastpath.node');
  copyFileSync(built, join(prebuilds, '@esper+fastpath.glibc.node'));
  assert.is(from(root).source, 'prebuild');
});

test('[R-X5] neither can be used: the twin, the first reason, and each of them', ({ root }) => {
  const prebuilds = join(root, 'prebuilds', `${process.platform}-${process.arch}`);
  for (const directory of [join(root, 'build', 'Release'), prebuilds])
    mkdirSync(directory, { recursive: true });
  writeFileSync(join(root, 'build', 'Release', 'esper_fastpath.node'), 'not an ELF file');
  writeFileSync(join(prebuilds, '@esper+fastpath.glibc.node'), 'not an ELF file');
  const { source, error, passedOver } = from(root);
  assert.is(source, 'twin');
  assert.is(passedOver.length, 2);
  assert.is(error, passedOver[0]);
  assert.match(passedOver[1]?.message ?? '', '@esper+fastpath.glibc.node');
});

test('[R-X5] an addon for another libc is not tried', ({ root }) => {
  const prebuilds = join(root, 'prebuilds', `${process.platform}-${process.arch}`);
  mkdirSync(prebuilds, { recursive: true });
  const other = existsSync('/etc/alpine-release') ? 'glibc' : 'musl';
  writeFileSync(join(prebuilds, `@esper+fastpath.${other}.node`), 'not an ELF file');
  assert.is(from(root).error?.code, 'ESPER_NATIVE_MISSING');
});

test('[R-F9] the setting switches the addon off', () => {
  for (const setting of ['off', 'OFF']) {
    const { source, error } = from(packageRoot, setting);
    assert.equal([source, error?.code], ['twin', 'ESPER_NATIVE_DISABLED']);
  }
  assert.is(from(packageRoot, 'on').source, 'build', 'needs the built addon: npm run build:native');
});

test.run();
