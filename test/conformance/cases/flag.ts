import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { TEXT_BOUNDS } from '../../../src/native/strings.ts';
import { blockFor, until } from '../../helpers/until.ts';
import { Bench, type Subject } from '../subject.ts';

const inMs = (ms: number): bigint => process.hrtime.bigint() + BigInt(ms) * 1_000_000n;
const code = (expected: string) => (error: { code?: string }) => error.code === expected;

/** The native contract itself: control block, cursors, deadlines, names. */
export function flagCases(subject: Subject): void {
  const bench = new Bench(subject);
  const test = suite(`${subject.title} flag`);
  test.after.each(() => bench.cleanUp());

  test('[R-F9] the control block holds generation, level and ticket', () => {
    const flag = bench.flag();
    const words = new Int32Array(flag.control);
    assert.is(flag.control.byteLength, 64);
    assert.is(Atomics.load(words, 1) & 7, 0);
    flag.trigger({ level: 2 });
    const triggered = flag.trigger({ level: 4 });
    assert.is(Atomics.load(words, 0), 2);
    assert.is(Atomics.load(words, 1) & 7, 4);
    assert.is(Atomics.load(words, 1) >>> 8, 1);
    assert.equal(flag.read(), { generation: 2, level: 4, ticket: 1 });
    assert.equal([triggered.ticket, triggered.generation, triggered.level], [1n, 2, 4]);
    assert.match(flag.nonce, /^[0-9a-f]{32}$/);
    assert.ok(triggered.signalId.startsWith(flag.nonce));
    assert.ok(triggered.signalId.length <= TEXT_BOUNDS.signalId);
    assert.is(bench.module.isSetCall(flag), true);
  });

  test('[R-F9] control outlives close()', () => {
    const flag = bench.flag();
    flag.trigger({ level: 3 });
    const words = new Int32Array(flag.control);
    flag.close();
    assert.is(Atomics.load(words, 1) & 7, 3);
    assert.throws(() => flag.read(), code('ESPER_NATIVE_CLOSED'));
    assert.throws(() => flag.trigger({ level: 4 }), code('ESPER_NATIVE_CLOSED'));
  });

  test('[R-B1] a cursor hands out at most what it is asked for and loses nothing between polls', () => {
    const flag = bench.flag();
    const cursor = flag.cursor('now');
    for (let i = 0; i < 10; i++) flag.trigger({ level: 1, step: BigInt(i) });
    const steps = [cursor.poll(4), cursor.poll(4), cursor.poll(4), cursor.poll(4)].map((batch) =>
      batch.records.map((r) => Number(r.step)),
    );
    assert.equal(steps, [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9], []]);
    assert.is(flag.cursor('oldest').poll(256).records.length, 10);
    assert.equal(flag.cursor('now').poll(256), { records: [], overruns: 0, holes: 0 });
  });

  test('[R-B1] overruns are counted once per cursor', () => {
    const flag = bench.flag();
    const cursor = flag.cursor('now');
    for (let i = 0; i < 1000; i++) flag.trigger({ level: 1, step: BigInt(i) });
    const batch = cursor.poll(256);
    assert.equal([batch.overruns, batch.records.length, batch.records[0]?.step], [744, 256, 744n]);
    assert.equal(cursor.poll(256), { records: [], overruns: 0, holes: 0 });
  });

  test('[R-B6] a deadline fires although nobody asks, and leaves its request as a record', async () => {
    const flag = bench.flag(undefined, 'rollback');
    const deadlineNs = inMs(20);
    const handle = flag.armDeadline(deadlineNs, { level: 2, subject: 'r1', tier: 1, deadlineNs, step: 5n });
    await until('the deadline', () => flag.read().level === 2);
    const record = flag.history().at(-1);
    assert.equal([record?.level, record?.subject, record?.tier, record?.step], [2, 'r1', 1, 5n]);
    assert.is(record?.deadlineNs, deadlineNs);
    assert.ok((record?.monotonicNs ?? 0n) >= deadlineNs, 'not before its time');
    assert.is(flag.disarm(handle), false, 'it fired');
  });

  test('[R-B6] a deadline that passed while the event loop was blocked is seen by the first look', () => {
    const flag = bench.flag(undefined, 'rollback');
    const handle = flag.armDeadline(inMs(10), { level: 2, subject: 'r2' });
    blockFor(150);
    assert.is(flag.read().level, 2);
    assert.is(flag.disarm(handle), false);
  });

  test('[R-B6] a disarmed deadline never fires', async () => {
    const flag = bench.flag(undefined, 'rollback');
    const disarmed = flag.armDeadline(inMs(40), { level: 2, subject: 'off' });
    const later = inMs(80);
    flag.armDeadline(later, { level: 1, subject: 'on' });
    assert.is(flag.disarm(disarmed), true);
    assert.is(flag.disarm(disarmed), false, 'once only');
    await until('the later deadline', () => flag.read().level > 0);
    assert.equal(
      flag.history().map((r) => r.subject),
      ['on'],
    );
  });

  test('[R-B6] 4096 deadlines can be armed, the next is refused', () => {
    const flag = bench.flag(undefined, 'rollback');
    const arm = () => flag.armDeadline(inMs(3_600_000), { level: 2 });
    const handles = Array.from({ length: 4096 }, arm);
    assert.throws(arm, code('ESPER_NATIVE_DEADLINES_FULL'));
    assert.is(flag.disarm(handles[7] ?? 0), true);
    arm();
  });

  test('[R-B6] deadlines of a closed flag do not fire', async () => {
    const name = bench.name();
    const [dying, living] = [bench.flag(name, 'rollback'), bench.flag(name, 'rollback')];
    dying.armDeadline(inMs(20), { level: 2, subject: 'dead' });
    living.armDeadline(inMs(60), { level: 1, subject: 'alive' });
    dying.close();
    await until('the living deadline', () => living.read().level > 0);
    assert.equal(
      living.history().map((r) => r.subject),
      ['alive'],
    );
  });

  test('[R-B1] a watch calls back for changes of any object, and not after unwatch', async () => {
    const name = bench.name();
    const [a, b] = [bench.flag(name), bench.flag(name)];
    let calls = 0;
    b.watch(() => calls++, { keepAlive: true, recheckMs: 10 });
    a.trigger({ level: 1 });
    await until('a call', () => calls > 0);
    b.unwatch();
    await until('the calls under way', async () => {
      const before = calls;
      await new Promise((resolve) => setTimeout(resolve, 30));
      return calls === before;
    });
    const settled = calls;
    a.trigger({ level: 2 });
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.is(calls, settled);
  });

  test('[R-F9] a clear keeps the id it is given and tells what it lowered', () => {
    const flag = bench.flag();
    const raised = flag.trigger({ level: 3 });
    const meta = { reason: 'r', origin: 'o', runId: 'u', signalId: 'clear-1', remote: true };
    assert.equal(flag.clear(1, 3, false, meta), { outcome: 'cleared', waitingFor: [], signalId: 'clear-1' });
    const record = flag.find('clear-1');
    assert.equal([record?.kind, record?.level, record?.subject], [2, 0, raised.signalId]);
    assert.equal([record?.clearedGeneration, record?.clearedLevel], [1, 3]);
    assert.equal([record?.remote, record?.published, record?.forced], [true, true, false]);
    assert.is(flag.clear(2, 0, true, {}).outcome, 'not-set');
  });

  const badNames: readonly [string, string][] = [
    ['[BAD-name-slash] a slash', 'a/b'],
    ['[BAD-name-slash] a way out of the directory', '../../etc/passwd'],
    ['[BAD-name-slash] a leading dot', '.hidden'],
    ['[BAD-name-slash] a NUL', 'nul\0'],
    ['[BAD-name-empty] an empty name', ''],
    ['[BAD-name-long] 300 characters', 'n'.repeat(300)],
  ];
  for (const [title, name] of badNames) {
    test(`${title}: refused before anything is touched`, () => {
      assert.throws(() => bench.flag(name), code('ESPER_SHM_BAD_NAME'));
      assert.throws(() => bench.module.unlink(name), code('ESPER_SHM_BAD_NAME'));
    });
  }

  test.run();
}
