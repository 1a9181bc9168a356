// watchdog: 240 s
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { EmergencyLevel } from '../../src/leyline/messages.ts';
import { type EmergencyRecord, openEmergencySignal } from '../../src/signals/index.ts';
import { until } from '../helpers/until.ts';

/** examples/c and examples/python attach to the documented layout: what Node raises they see, and the reverse. */

const projectDir = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const { EMERGENCY_LEVEL_HALT: HALT, EMERGENCY_LEVEL_ELEVATED: ELEVATED } = EmergencyLevel;
const LANGUAGES = ['c', 'python'] as const;
type Language = (typeof LANGUAGES)[number];

const work = mkdtempSync(join(tmpdir(), 'esper-foreign-'));
const program = join(work, 'esper_signal');
const script = join(projectDir, 'examples', 'python', 'esper_signal.py');
const commands: Readonly<Record<Language, readonly string[]>> = {
  c: [program],
  python: ['python3', '-B', script],
};
let count = 0;

const test = suite('other languages');
const running = new Set<ChildProcess>();
test.after(() => {
  for (const child of running) child.kill('SIGKILL');
  // Those of tests that failed.
  for (let i = 0; i < count; i++)
    rmSync(`/dev/shm/esper.${process.geteuid?.()}.foreign.${process.pid}.${i}`, { force: true });
  rmSync(work, { recursive: true, force: true });
});

function full(language: Language, name: string, args: readonly string[]) {
  const [command = '', ...before] = commands[language];
  return { command, args: [...before, '--name', name, ...args] };
}

function call(language: Language, name: string, ...given: readonly string[]) {
  const { command, args } = full(language, name, given);
  return spawnSync(command, args, { encoding: 'utf8' });
}

/** Runs it while this process goes on; `lines` grows. */
function start(language: Language, name: string, ...given: readonly string[]) {
  const { command, args } = full(language, name, given);
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  running.add(child);
  const output = { text: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output.text += text;
  });
  const ended = once(child, 'close').then(() => running.delete(child));
  return { child, ended, output };
}

/** A fresh signal and what its watcher hears. */
function watched() {
  const name = `foreign.${process.pid}.${count++}`;
  const signal = openEmergencySignal(name);
  assert.is(signal.kind, 'shared', signal.degraded?.reason);
  const heard: EmergencyRecord[] = [];
  signal.subscribe(({ records }) => heard.push(...records));
  const close = (): void => {
    signal.close();
    signal.unlink();
  };
  return { name, signal, heard, close };
}

test('[R-B9] the C example compiles without a warning, and both tell how they are used', () => {
  const source = join(projectDir, 'examples', 'c', 'esper_signal.c');
  execFileSync('cc', ['-std=c11', '-O2', '-Wall', '-Wextra', '-Werror', '-o', program, source]);
  for (const language of LANGUAGES) {
    const [command = '', ...before] = commands[language];
    const { status, stdout } = spawnSync(command, [...before, '--help'], { encoding: 'utf8' });
    assert.is(status, 0);
    for (const word of ['status', 'history', 'watch', 'halt']) assert.match(stdout, word);
    assert.is(call(language, `foreign.${process.pid}.absent`, 'status').status, 4);
  }
});

for (const language of LANGUAGES) {
  test(`[R-B9] ${language} raises a HALT: a watcher in Node is woken, and the record is whole`, async () => {
    const { name, signal, heard, close } = watched();
    const reason = 'loss is NaN — prüfen: ✓';
    assert.is(call(language, name, 'halt', '--reason', reason, '--origin', 'test').status, 0);
    await until('the HALT', () => heard.length === 1);
    const [record] = heard;
    assert.equal([record?.level, record?.origin, record?.reason], [HALT, 'test', reason]);
    assert.is(record?.reasonSizeBytes, Buffer.byteLength(reason));
    assert.is(record?.signalId, `${signal.segmentId}-0`);
    assert.equal(signal.read(), { generation: 1, level: HALT });
    close();
  });

  test(`[R-B9] ${language}: a reason that is too long is cut at a code point, its size told`, async () => {
    const { name, heard, close } = watched();
    assert.is(call(language, name, 'halt', '--reason', `x${'é'.repeat(300)}`).status, 0);
    await until('the HALT', () => heard.length === 1);
    assert.is(heard[0]?.reason, `x${'é'.repeat(191)}`);
    assert.is(heard[0]?.reasonSizeBytes, 601);
    close();
  });

  test(`[R-B9] ${language} sees what Node raises: status, history, watch`, async () => {
    const { name, signal, close } = watched();
    const before = signal.trigger(ELEVATED, { reason: 'before', origin: 'node' });
    assert.match(call(language, name, 'status').stdout, 'level=2 ELEVATED generation=1 tickets=1 ');
    const { child, ended, output } = start(language, name, 'watch', '--count', '2');
    await until('the watch', () => output.text.includes('watching from 1'));
    signal.trigger(HALT, { reason: 'während', origin: 'node' });
    await until('the HALT', () => output.text.includes('1 HALT '));
    signal.clear(signal.read(), { reason: 'done', force: true });
    await ended;
    assert.is(child.exitCode, 0);
    assert.match(output.text, `pid=${process.pid} id=${signal.segmentId}-1 origin=node reason=während\n`);
    assert.match(output.text, /2 clear .*reason=done\n/);
    assert.match(call(language, name, 'status').stdout, 'level=0 CLEAR generation=3 ');
    const [first = '', ...rest] = call(language, name, 'history').stdout.trim().split('\n');
    assert.is(first, `0 ELEVATED pid=${process.pid} id=${before} origin=node reason=before`);
    assert.is(rest.length, 2);
    close();
  });

  test(`[R-B9] ${language} dies between two steps: whoever comes next repairs`, async () => {
    for (const step of ['ticket', 'claim', 'complete', 'apply']) {
      const { name, signal, heard, close } = watched();
      const dead = call(language, name, 'halt', '--reason', `died after ${step}`, '--die-after', step);
      assert.is(dead.signal, 'SIGKILL');
      const raised = step === 'complete' || step === 'apply';
      if (raised) await until('the HALT of the dead', () => heard.length === 1);
      assert.is(signal.level(), raised ? HALT : 0);
      signal.trigger(ELEVATED, { reason: 'after it' });
      await until('the next record', () => heard.at(-1)?.reason === 'after it');
      assert.equal(
        heard.map(({ reason }) => reason),
        [...(raised ? [`died after ${step}`] : []), 'after it'],
      );
      assert.is(signal.read().generation, raised ? 2 : 1, 'each was applied once');
      close();
    }
  });

  test(`[R-B9] ${language} repairs what another one left, without Node`, () => {
    const name = `foreign.${process.pid}.${count++}`;
    const signal = openEmergencySignal(name, { keepAlive: false });
    const other = language === 'c' ? 'python' : 'c';
    call(other, name, 'halt', '--reason', 'nobody applied this', '--die-after', 'complete');
    assert.is(signal.level(), 0);
    assert.match(call(language, name, 'status').stdout, 'level=4 HALT generation=1 tickets=1 repaired=1');
    assert.is(signal.level(), HALT);
    signal.close();
    signal.unlink();
  });
}

for (const language of LANGUAGES) {
  test(`[R-B9] ${language} raises over one who died before it marked its record: neither is applied twice`, async () => {
    const name = `foreign.${process.pid}.${count++}`;
    // It watches nothing yet, so that nobody else marks that record.
    const signal = openEmergencySignal(name);
    const startAt = process.hrtime.bigint() + 1_500_000_000n;
    const raising = ['--reason', 'over it', '--start-at', `${startAt}`];
    const { child, ended } = start(language, name, 'halt', ...raising);
    // Attached well before the other dies: what attaching repairs must not help.
    await until('attached', () => readFileSync(`/proc/${child.pid}/maps`, 'utf8').includes(signal.path));
    const dying = ['--start-at', `${startAt - 500_000_000n}`, '--die-after', 'apply'];
    call(language, name, 'halt', '--reason', 'applied, not marked', ...dying);
    await ended;
    const heard: EmergencyRecord[] = [];
    signal.subscribe(({ records }) => heard.push(...records), { from: 'oldest' });
    await until('both', () => heard.length === 2);
    assert.is(signal.read().generation, 2);
    signal.close();
    signal.unlink();
  });
}

const ROUNDS = 8;
/** Of each language in a round; the three together must fit into the ring, or the watcher could be overrun. */
const EACH = 42;
const LEAD_NS = 400_000_000n;
const PAUSE_MS = 0.2;

test(`[R-B9] ${3 * ROUNDS * EACH} raises by Node, C and Python at the same time: none is lost`, async () => {
  const { name, signal, heard, close } = watched();
  const nap = new Int32Array(new SharedArrayBuffer(4));
  for (let round = 1; round <= ROUNDS; round++) {
    const startAt = process.hrtime.bigint() + LEAD_NS;
    const shared = ['--repeat', `${EACH}`, '--start-at', `${startAt}`];
    const others = [
      start('c', name, 'halt', '--reason', 'from C', '--origin', 'c', '--pause-us', '200', ...shared),
      start('python', name, 'halt', '--reason', 'from Python', '--origin', 'python', ...shared),
    ];
    await until('the time to begin', () => process.hrtime.bigint() >= startAt);
    for (let i = 0; i < EACH; i++) {
      signal.trigger(HALT, { reason: 'from Node', origin: 'node' });
      Atomics.wait(nap, 0, 0, PAUSE_MS);
    }
    await Promise.all(others.map(({ ended }) => ended));
    assert.equal(
      others.map(({ child }) => child.exitCode),
      [0, 0],
    );
    await until('every record of the round', () => heard.length === 3 * EACH * round);
  }
  const total = 3 * ROUNDS * EACH;
  assert.is(new Set(heard.map(({ signalId }) => signalId)).size, total);
  assert.is(signal.read().generation, total, 'each was applied once');
  const texts = { c: 'from C', python: 'from Python', node: 'from Node' };
  for (const [origin, reason] of Object.entries(texts)) {
    const own = heard.filter((record) => record.origin === origin && record.reason === reason);
    assert.is(own.length, ROUNDS * EACH, origin);
  }
  const mixed = heard.filter((record, at) => at > 0 && heard[at - 1]?.origin !== record.origin).length;
  assert.ok(mixed > 3 * ROUNDS, `they did not raise at the same time: ${mixed} changes of origin`);
  close();
});

test.run();
