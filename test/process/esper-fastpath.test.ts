import { existsSync, writeFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { EmergencyLevel } from '../../src/leyline/messages.ts';
import { openEmergencySignal } from '../../src/signals/emergency-signal.ts';
import type { EmergencySignal } from '../../src/signals/types.ts';
import { runFastpath } from '../helpers/service.ts';
import { uniqueName } from '../helpers/weatherlight.ts';

const test = suite('esper-fastpath');
const HALT = EmergencyLevel.EMERGENCY_LEVEL_HALT;

async function withFlag(use: (signal: EmergencySignal) => Promise<void>): Promise<void> {
  const signal = openEmergencySignal(uniqueName('cli'), { keepAlive: false });
  try {
    await use(signal);
  } finally {
    signal.unlink();
    signal.close();
  }
}

function parsed(text: string): Record<string, unknown> {
  return JSON.parse(text) as Record<string, unknown>;
}

test('[R-F10] trigger raises the flag that another process holds open', async () => {
  await withFlag(async (signal) => {
    signal.join('trainer', 'loop');
    const args = [
      'trigger',
      'halt',
      '--name',
      signal.name,
      '--run-id',
      'run',
      '--reason',
      'operator says so',
    ];
    const { code, stdout, stderr } = await runFastpath([...args, '--json']);
    assert.is(code, 0, stderr);
    assert.is(stderr, '');
    const { signalId } = parsed(stdout);
    const record = signal.history().at(-1);
    assert.equal([record?.signalId, record?.level, record?.runId], [signalId, HALT, 'run']);
    assert.is(record?.reason, 'operator says so');
    assert.match(record?.origin ?? '', /^operator:/);
  });
});

test('[R-F10] trigger on a name that nobody has open says so', async () => {
  const name = uniqueName('nobody');
  const { code, stderr } = await runFastpath(['trigger', '4', '--name', name, '--reason', 'r']);
  assert.is(code, 0);
  assert.match(stderr, /no process is attached/);
  assert.is((await runFastpath(['unlink', name])).code, 0);
});

test('[R-B5] status shows what each participant does, and who is silent for too long', async () => {
  await withFlag(async (signal) => {
    signal.join('trainer', 'loop', { limitsMs: { training: 1 }, phase: 'training' });
    assert.match(
      (await runFastpath(['status', '--name', signal.name])).stdout,
      /training, silent \d+\.\d s \(limit 0\.001 s\)/,
    );
    await signal.during('checkpointing', async () => {
      assert.match(
        (await runFastpath(['status', '--name', signal.name])).stdout,
        /loop +\d+ +checkpointing +\d/,
      );
    });
    signal.suspend();
    assert.match((await runFastpath(['status', '--name', signal.name])).stdout, /training, not judged/);
  });
});

test('[R-F10] status shows the level, what stands and who takes part', async () => {
  await withFlag(async (signal) => {
    signal.join('trainer', 'loop');
    const signalId = signal.trigger(HALT, { reason: 'NaN\u001b[2J', runId: 'run' });
    const text = await runFastpath(['status', '--name', signal.name]);
    assert.is(text.code, 0);
    assert.match(text.stdout, /HALT/);
    assert.ok(text.stdout.includes(signalId) && text.stdout.includes('loop'));
    // A reason is anybody's text: it may not steer the operator's terminal.
    assert.not(text.stdout.includes('\u001b'));
    const json = parsed((await runFastpath(['status', '--name', signal.name, '--json'])).stdout);
    assert.equal([json.level, json.generation, json.kind], [4, 1, 'shared']);
    assert.is((await runFastpath(['status', '--name', signal.name, '--check'])).code, 5);
  });
});

test('[R-F10] clear waits for who has not seen it, and says who; --force is recorded', async () => {
  await withFlag(async (signal) => {
    signal.join('trainer', 'loop');
    signal.trigger(HALT, { runId: 'run' });
    const args = ['clear', '--name', signal.name, '--reason', 'over', '--level', 'halt'];
    const refused = await runFastpath(args);
    assert.is(refused.code, 1);
    assert.match(refused.stderr, /loop/);
    assert.is(signal.level(), HALT);
    assert.is((await runFastpath([...args, '--force'])).code, 0);
    assert.is(signal.level(), EmergencyLevel.EMERGENCY_LEVEL_UNSPECIFIED);
    assert.is(signal.history().at(-1)?.forced, true);
    const again = await runFastpath(args);
    assert.is(again.code, 0);
    assert.match(again.stdout, /was not set/);
  });
});

test('[R-F10] clear lowers no more than the operator means', async () => {
  await withFlag(async (signal) => {
    signal.trigger(EmergencyLevel.EMERGENCY_LEVEL_ELEVATED);
    const args = ['clear', '--name', signal.name, '--reason', 'over'];
    assert.is((await runFastpath(args)).code, 0, 'below CONSERVATIVE nothing need be said');
    signal.trigger(HALT);
    for (const more of [[], ['--force'], ['--level', 'conservative', '--force']]) {
      const refused = await runFastpath([...args, ...more]);
      assert.is(refused.code, 1, more.join(' '));
      assert.match(refused.stderr, /stands at HALT.*--level halt/);
    }
    assert.is(signal.level(), HALT);
    assert.is((await runFastpath([...args, '--level', '4'])).code, 0);
    assert.is(signal.isSet(), false);
  });
});

test('[R-F10] history lists raises and clears', async () => {
  await withFlag(async (signal) => {
    const signalId = signal.trigger(HALT, { reason: 'why', runId: 'run', step: 7 });
    signal.clear(signal.read(), { force: true });
    const { code, stdout } = await runFastpath(['history', '--name', signal.name]);
    assert.is(code, 0);
    assert.match(stdout, /forced clear/);
    assert.ok(stdout.includes(signalId) && stdout.includes('why'));
  });
});

test('[R-F10] looking at a name does not create it', async () => {
  for (const command of [['status'], ['history'], ['clear', '--reason', 'r'], ['unlink']]) {
    const name = uniqueName('absent');
    const { code, stderr } = await runFastpath([...command, '--name', name]);
    assert.is(code, 4, command.join(' '));
    assert.match(stderr, /there is no signal/);
    assert.not(existsSync(`/dev/shm/esper.${process.getuid?.()}.${name}`));
  }
});

test('[R-F10] unlink also removes a segment that nobody can attach to', async () => {
  const name = uniqueName('garbage');
  const path = `/dev/shm/esper.${process.getuid?.()}.${name}`;
  writeFileSync(path, 'no segment', { mode: 0o600 });
  const status = await runFastpath(['status', '--name', name]);
  assert.is(status.code, 3);
  assert.match(status.stderr, /ESPER_SHM_/);
  assert.is((await runFastpath(['unlink', name])).code, 0);
  assert.not(existsSync(path));
});

test('[R-F10] trigger where memory is not shared fails: nobody would have noticed', async () => {
  const env = { ESPER_FASTPATH_NATIVE: 'off' };
  const { code, stderr } = await runFastpath(
    ['trigger', 'halt', '--name', uniqueName('off'), '--reason', 'r'],
    env,
  );
  assert.is(code, 3);
  assert.match(stderr, /ESPER_NATIVE_DISABLED/);
});

test('[BAD-level-9] [BAD-name-slash] bad arguments exit with 2 and name what is allowed', async () => {
  const level = await runFastpath(['trigger', '9', '--name', 'x', '--reason', 'r']);
  assert.is(level.code, 2);
  assert.match(level.stderr, /halt \(4\)/);
  const name = await runFastpath(['status', '--name', 'a/b']);
  assert.is(name.code, 2);
  assert.match(name.stderr, /A-Z a-z/);
  assert.is((await runFastpath(['trigger', 'halt', '--name', 'x'])).code, 2);
  assert.is((await runFastpath(['no-such-command'])).code, 2);
});

test('[R-F10] the doctor finds this host fit, and says what is not', async () => {
  const { code, stdout } = await runFastpath(['doctor', '--json']);
  const report = parsed(stdout) as { ok: boolean; findings: { check: string; status: string }[] };
  assert.equal([code, report.ok], [0, true]);
  const checks = report.findings.map((finding) => finding.check);
  assert.equal(checks, ['node', 'glibc', 'addon', 'shared memory', '/dev/shm', 'settings', 'redis']);
  const env = { REDIS_URL: 'redis://:hunter2@127.0.0.1:1', ESPER_FASTPATH_NATIVE: 'off' };
  const ill = await runFastpath(['doctor'], env);
  assert.is(ill.code, 1);
  assert.match(ill.stdout, /addon +fail +twin; ESPER_NATIVE_DISABLED/);
  assert.match(ill.stdout, /redis +fail/);
  assert.not.match(ill.stdout, /hunter2/);
});

test.run();
