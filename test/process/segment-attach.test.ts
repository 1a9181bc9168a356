import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { EmergencyLevel } from '../../src/leyline/messages.ts';
import { loadNative } from '../../src/native/load.ts';
import { openEmergencySignal } from '../../src/signals/index.ts';

// Every file that may lie where a segment should be. A trainer that meets one goes on with process-local memory and
// knows why; the file is left as it is, for it may be somebody's evidence.

const test = suite('attaching to what is not a segment');
const HEADER = { magic: 0, ready: 8, major: 12, crc: 128 };
let count = 0;
const paths: string[] = [];
test.after(() => {
  for (const path of paths) rmSync(path, { force: true, recursive: true });
});

/** Bytes of a good segment under a fresh name, and the path to stage another file at. */
function staged(): { name: string; path: string; good: Buffer } {
  const name = `attach.${process.pid}.${count++}`;
  const signal = openEmergencySignal(name);
  assert.is(signal.kind, 'shared', `${signal.degraded?.reason}; is the addon built (npm run build:native)?`);
  signal.trigger(EmergencyLevel.EMERGENCY_LEVEL_HALT, { reason: 'live' });
  const { path } = signal;
  const good = readFileSync(path);
  signal.close();
  rmSync(path);
  paths.push(path);
  return { name, path, good };
}

/** Opens the staged name, expects the fallback with that code, and that the flag still works and the file is kept. */
function expectFallback(name: string, path: string, code: string): void {
  const before = path === '' ? undefined : readIfFile(path);
  const told: string[] = [];
  const signal = openEmergencySignal(name, { attachTimeoutMs: 50, onDegraded: (d) => told.push(d.code) });
  try {
    assert.is(signal.kind, 'process-local');
    assert.is(signal.degraded?.code, code);
    assert.equal(told, [code]);
    assert.match(signal.degraded?.reason ?? '', path, 'the reason names the file');
    signal.trigger(EmergencyLevel.EMERGENCY_LEVEL_HALT);
    assert.is(signal.isSet(), true);
    assert.equal(readIfFile(path), before, 'the file is untouched');
  } finally {
    signal.close();
    rmSync(path, { force: true });
  }
}

function readIfFile(path: string): Buffer | undefined {
  try {
    return readFileSync(path, { flag: 'r' });
  } catch {
    return undefined;
  }
}

function patched(good: Buffer, offset: number, bytes: readonly number[]): Buffer {
  const copy = Buffer.from(good);
  copy.set(bytes, offset);
  return copy;
}

const write = (path: string, bytes: Uint8Array): void => writeFileSync(path, bytes, { mode: 0o600 });

test('the scaffold: an untouched copy of a segment attaches, its HALT alive', () => {
  const { name, path, good } = staged();
  write(path, good);
  const signal = openEmergencySignal(name);
  assert.is(signal.kind, 'shared');
  assert.is(signal.created, false);
  assert.is(signal.level(), EmergencyLevel.EMERGENCY_LEVEL_HALT);
  assert.is(signal.history()[0]?.reason, 'live');
  signal.close();
  signal.unlink();
});

test('[BAD-segment-foreign-owner] a segment of another user', () => {
  const { name, path, good } = staged();
  write(path, good);
  assert.is(process.getuid?.(), 0, 'this test gives a file away, which needs root');
  chownSync(path, 65534, 65534);
  expectFallback(name, path, 'ESPER_SHM_FOREIGN_OWNER');
});

test('[BAD-segment-world-writable] a segment that everybody may write', () => {
  for (const mode of [0o666, 0o602, 0o604, 0o660]) {
    const { name, path, good } = staged();
    write(path, good);
    chmodSync(path, mode);
    expectFallback(name, path, 'ESPER_SHM_LOOSE_MODE');
  }
});

test('a group segment attaches when the group is allowed', () => {
  const { name, path, good } = staged();
  write(path, good);
  chmodSync(path, 0o660);
  const signal = openEmergencySignal(name, { allowGroup: true });
  assert.is(signal.kind, 'shared');
  signal.close();
  signal.unlink();
});

test('[BAD-segment-truncated] a segment cut anywhere', () => {
  for (const size of [1, 100, 255, 256, 4096, 241_663]) {
    const { name, path, good } = staged();
    write(path, good);
    truncateSync(path, size);
    expectFallback(name, path, 'ESPER_SHM_TRUNCATED');
  }
});

test('[BAD-segment-oversized] a segment longer than its header says, and one longer than any segment', () => {
  for (const size of [241_665, 300_000, 100 * 1024 * 1024]) {
    const { name, path, good } = staged();
    write(path, good);
    truncateSync(path, size);
    expectFallback(name, path, 'ESPER_SHM_OVERSIZED');
  }
});

test('[BAD-segment-wrong-magic] a file that is something else', () => {
  const { name, path, good } = staged();
  write(path, patched(good, HEADER.magic, [0x7f, 0x45, 0x4c, 0x46]));
  expectFallback(name, path, 'ESPER_SHM_BAD_MAGIC');
});

test('[BAD-segment-newer-major] a segment of a later layout: both versions are named', () => {
  const { name, path, good } = staged();
  write(path, patched(good, HEADER.major, [2, 0]));
  const signal = openEmergencySignal(name, { attachTimeoutMs: 50 });
  assert.is(signal.degraded?.code, 'ESPER_SHM_BAD_VERSION');
  assert.match(signal.degraded?.reason ?? '', /version 2\.1.*reads 1\.1/);
  signal.close();
  rmSync(path);
});

test('[BAD-segment-half-initialised] empty, no magic yet, or not marked ready: waited for, then named', () => {
  const stages: ((good: Buffer) => Buffer)[] = [
    () => Buffer.alloc(0),
    () => Buffer.alloc(241_664),
    (good) => patched(good, HEADER.ready, [0, 0, 0, 0]),
  ];
  for (const stage of stages) {
    const { name, path, good } = staged();
    write(path, stage(good));
    expectFallback(name, path, 'ESPER_SHM_HALF_INITIALISED');
  }
});

test('[BAD-segment-garbage] random bytes, and a header whose checksum is wrong', () => {
  const { name, path, good } = staged();
  const garbage = Buffer.alloc(241_664);
  let state = 12345;
  for (let i = 0; i < garbage.length; i++) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    garbage[i] = state >>> 16;
  }
  write(path, garbage);
  expectFallback(name, path, 'ESPER_SHM_BAD_MAGIC');
  const other = staged();
  write(other.path, patched(good, 48, [1]));
  expectFallback(other.name, other.path, 'ESPER_SHM_BAD_HEADER');
});

test('[BAD-segment-garbage] a good header over garbage: no crash, records told as holes or not at all', () => {
  const { name, path, good } = staged();
  let state = 99;
  const bytes = Buffer.from(good);
  for (let i = 512; i < bytes.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[i] = state >>> 24;
  }
  write(path, bytes);
  const signal = openEmergencySignal(name);
  assert.is(signal.kind, 'shared');
  signal.history();
  signal.participants();
  const id = signal.trigger(EmergencyLevel.EMERGENCY_LEVEL_HALT, { reason: 'still heard' });
  assert.ok(id.length > 0);
  assert.is(signal.level(), EmergencyLevel.EMERGENCY_LEVEL_HALT);
  signal.close();
  signal.unlink();
});

test('a symbolic link and a directory are not followed or opened', () => {
  const { name, path, good } = staged();
  const elsewhere = `${path}.target`;
  write(elsewhere, good);
  symlinkSync(elsewhere, path);
  expectFallback(name, path, 'ESPER_SHM_NOT_REGULAR_FILE');
  rmSync(elsewhere);
});

test('a FIFO does not hang the open', () => {
  const { name, path } = staged();
  execFileSync('mkfifo', ['-m', '600', path]);
  const signal = openEmergencySignal(name, { attachTimeoutMs: 50 });
  assert.is(signal.degraded?.code, 'ESPER_SHM_NOT_REGULAR_FILE');
  signal.close();
  rmSync(path);
});

test('a segment of the wrong kind', () => {
  const { name, path, good } = staged();
  write(path, good);
  const { module } = loadNative();
  const options = { name, kind: 'shared', attachTimeoutMs: 50, allowGroup: false } as const;
  assert.throws(
    () => module.openFlag({ segment: 'rollback', ...options }),
    (error: { code?: string }) => error.code === 'ESPER_SHM_WRONG_KIND',
  );
  rmSync(path);
});

test.run();
