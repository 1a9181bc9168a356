import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { EmergencyLevel } from '../../src/leyline/messages.ts';
import type { NativeFlag, NativeModule } from '../../src/native/contract.ts';
import { loadNative } from '../../src/native/load.ts';
import { type EmergencySignal, openEmergencySignal } from '../../src/signals/index.ts';
import type { FromTrainer } from '../fixtures/signals/beating-trainer.ts';
import type { Dropped } from '../fixtures/signals/dropped-signal.ts';
import { type FixtureProcess, startFixture } from '../helpers/fixture-process.ts';
import { until } from '../helpers/until.ts';

// Silent is not dead, and dead is not silent: processes that are stopped, blocked, killed, in a namespace of their own.

const test = suite('stale');
const LIMIT_MS = 200;

const signals: EmergencySignal[] = [];
const children: FixtureProcess<FromTrainer>[] = [];

test.after.each(async () => {
  await Promise.all(children.splice(0).map((child) => child.kill()));
  for (const signal of signals.splice(0)) {
    signal.close();
    signal.unlink();
  }
});

function openNew(): EmergencySignal {
  const signal = openEmergencySignal(`stale.${process.pid}.${randomBytes(4).toString('hex')}`, {
    keepAlive: false,
  });
  assert.is(signal.kind, 'shared', signal.degraded?.reason);
  signals.push(signal);
  return signal;
}

async function startTrainer(signal: EmergencySignal, under: readonly string[] = []) {
  const child = startFixture<FromTrainer>('signals/beating-trainer.ts', [signal.name, String(LIMIT_MS)], {
    under,
  });
  children.push(child);
  await child.next();
  return child;
}

function follow(signal: EmergencySignal): string[] {
  const told: string[] = [];
  signal.onStale(({ type, participant }) => told.push(`${type} ${participant.name} ${participant.phase}`));
  return told;
}

test('[R-B5] a process in SIGSTOP is reported silent, once, and once when it goes on; killed in it, gone', async () => {
  const signal = openNew();
  const child = await startTrainer(signal);
  const told = follow(signal);
  await delay(2 * LIMIT_MS);
  assert.equal(told, [], 'it beats');
  process.kill(child.pid, 'SIGSTOP');
  await until('silent', () => told.length === 1);
  const [stopped] = signal.participants();
  assert.equal([stopped?.alive, stopped?.stale], [true, true]);
  await delay(LIMIT_MS);
  process.kill(child.pid, 'SIGCONT');
  await until('back', () => told.length === 2);
  process.kill(child.pid, 'SIGSTOP');
  await until('silent again', () => told.length === 3);
  await child.kill();
  await until('gone', () => told.length === 4);
  const [dead] = signal.participants();
  assert.equal([dead?.alive, dead?.stale], [false, false]);
  const training = ['stale', 'recovered', 'stale', 'gone'].map((type) => `${type} beating training`);
  assert.equal(told, training);
});

test('[R-B5] a process whose loop is blocked is silent although its native thread lives', async () => {
  const signal = openNew();
  const child = await startTrainer(signal);
  const told = follow(signal);
  child.send({ blockMs: 5 * LIMIT_MS });
  await until('silent', () => told.length === 1);
  const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
  assert.ok(Number(/Threads:\s+(\d+)/.exec(status)?.[1]) > 1);
  assert.is((await child.next()).type, 'unblocked');
  await until('back', () => told.length === 2);
  child.send({ phase: 'checkpointing', blockMs: 2 * LIMIT_MS });
  assert.is((await child.next()).type, 'unblocked');
  await delay(50);
  assert.equal(told, ['stale beating training', 'recovered beating training'], 'a checkpoint is no hang');
});

test('[R-B5] in a pid namespace of its own: seen alive, named while silent, and its death shows', async () => {
  const under = ['unshare', '--pid', '--fork', '--kill-child'];
  const [file = '', ...args] = under;
  assert.is(spawnSync(file, [...args, 'true']).status, 0, 'needs the right to make a pid namespace');
  const signal = openNew();
  const child = await startTrainer(signal, under);
  const told = follow(signal);
  assert.equal([signal.participants()[0]?.pid, signal.participants()[0]?.alive], [1, true]);
  child.send({ blockMs: 2 * LIMIT_MS });
  await until('silent', () => told.length === 1);
  signal.trigger(EmergencyLevel.EMERGENCY_LEVEL_HALT);
  child.send({ blockMs: 600_000 });
  await child.kill();
  await until('dead', () => signal.participants()[0]?.alive === false);
  const { missing } = signal.acknowledgements(signal.read().generation);
  assert.equal([missing.live, missing.stale, missing.dead.map(({ name }) => name)], [[], [], ['beating']]);
  const next = openEmergencySignal(signal.name, { keepAlive: false });
  signals.push(next);
  assert.is(next.join('trainer', 'next'), 0, 'its slot is used again');
});

async function dropped(way: string): Promise<Dropped> {
  const args = [openNew().name, way];
  const child = startFixture<Dropped>('signals/dropped-signal.ts', args, { nodeArgs: ['--expose-gc'] });
  const told = await child.next();
  assert.is((await child.ended).code, 0);
  return told;
}

test('[R-B5] who holds the end of a scope holds the slot: a dropped signal never writes into another', async () => {
  const { held, ended, letGo } = await dropped('scope');
  const other = '1 other training 60000 false';
  assert.equal(held, ['0 dropped restoring 0 true', other]);
  assert.equal(ended, ['0 dropped training 500 false', other]);
  assert.equal(letGo, [other]);
});

test('[R-B5] a dropped signal whose heartbeat deadline was disarmed gives its slot back', async () => {
  const other = '0 other training 60000 false';
  const { held, letGo } = await dropped('disarmed');
  assert.equal([held, letGo], [[other], [other]]);
});

function openFlag(name: string): NativeFlag {
  const options = { segment: 'emergency', name, kind: 'shared', attachTimeoutMs: 1000, allowGroup: false };
  return loadNative().module.openFlag(options as Parameters<NativeModule['openFlag']>[0]);
}

test('[R-B5] a closed flag keeps no descriptor, whatever is held of it', () => {
  const { name } = openNew();
  const open = (): number => readdirSync('/proc/self/fd').length;
  const before = open();
  const held = Array.from({ length: 50 }, () => {
    const flag = openFlag(name);
    flag.join('trainer', 'passing');
    const cursor = flag.cursor('now');
    flag.close();
    return { control: flag.control, cursor };
  });
  assert.is(open(), before);
  assert.ok(held.every(({ cursor, control }) => !cursor.ready() && control.byteLength === 64));
});

test('[R-B6] a heartbeat deadline refused in the new segment costs no trigger and keeps nobody in the old one', () => {
  const { module } = loadNative();
  let opened = 0;
  const native: NativeModule = {
    ...module,
    openFlag(options) {
      const flag = module.openFlag(options);
      opened += 1;
      if (opened === 1) return flag;
      const refuse = (): never => {
        throw Object.assign(new Error('the system gives no thread'), { code: 'ESPER_NATIVE_THREAD' });
      };
      return Object.defineProperty(flag, 'armHeartbeat', { value: refuse });
    },
  };
  const old = openNew();
  const warned: unknown[] = [];
  const ignore = (): void => undefined;
  const logger = { debug: ignore, info: ignore, error: ignore, warn: (one: object) => void warned.push(one) };
  const mine = openEmergencySignal(old.name, { keepAlive: false, native, logger });
  signals.push(mine);
  mine.join('trainer', 'mover', { limitsMs: { training: 60_000 }, phase: 'training' });
  assert.ok(mine.armHeartbeat(60_000, EmergencyLevel.EMERGENCY_LEVEL_HALT));
  rmSync(old.path);
  mine.trigger(EmergencyLevel.EMERGENCY_LEVEL_NOTICE);
  assert.is(opened, 2, 'it followed the name');
  assert.ok(warned.some((one) => (one as { code?: string }).code === 'ESPER_NATIVE_THREAD'));
  assert.equal(old.participants(), []);
  assert.equal(
    mine.participants().map((one) => [one.name, one.limitMs]),
    [['mover', 60_000]],
  );
});

test.run();
