import { spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { EmergencyLevel } from '../../src/leyline/messages.ts';
import { type EmergencySignal, openEmergencySignal, type SignalStats } from '../../src/signals/index.ts';
import type { Told } from '../fixtures/signals/watcher.ts';
import { type FixtureProcess, startFixture } from '../helpers/fixture-process.ts';
import { until } from '../helpers/until.ts';

// A wake is a hint that may be lost, late or forged: by another namespace, a stopped watcher, a flood.

const test = suite('wakes');
const HALT = EmergencyLevel.EMERGENCY_LEVEL_HALT;
const FLOOD = fileURLToPath(new URL('../fixtures/signals/flood.py', import.meta.url));
/** Offsets of docs/shm-format.md. */
const SLOTS = { offset: 512, size: 192, wakeWord: 48, queue: 56 };
const NONCE = { offset: 112, size: 16 };
const RING = 256;
/** Fruitless looks a watcher spends on its queue between two re-checks. */
const LOOKS_A_RECHECK = 32;

const signals: EmergencySignal[] = [];
const children: { kill(): unknown }[] = [];

function openNew(): EmergencySignal {
  const name = `wakes.${process.pid}.${randomBytes(4).toString('hex')}`;
  const signal = openEmergencySignal(name, { keepAlive: false });
  assert.is(signal.kind, 'shared', signal.degraded?.reason);
  signals.push(signal);
  return signal;
}

test.after.each(async () => {
  await Promise.all(children.splice(0).map((child) => child.kill()));
  for (const signal of signals.splice(0)) {
    signal.close();
    signal.unlink();
  }
});

async function startWatcher(signal: EmergencySignal, recheckMs: number, under: readonly string[] = []) {
  const child = startFixture<Told>('signals/watcher.ts', [signal.name, String(recheckMs)], { under });
  children.push(child);
  const ready = await child.next();
  assert.ok(ready.type === 'ready');
  return { child, slot: ready.slot };
}

/** A command that runs another in a namespace of its own; of a user who may make one. */
function unshare(which: '--ipc' | '--net'): string[] {
  const commands = [
    ['unshare', which],
    ['unshare', '--user', '--map-current-user', which],
  ];
  const allowed = commands.find(([file = '', ...args]) => spawnSync(file, [...args, 'true']).status === 0);
  if (allowed === undefined) throw new Error('this test makes a namespace, which is not permitted here');
  return allowed;
}

/** Hints that this slot got through its futex word. */
function futexHints(signal: EmergencySignal, slot: number): number {
  return readFileSync(signal.path).readUInt32LE(SLOTS.offset + slot * SLOTS.size + SLOTS.wakeWord);
}

/** Name of the message queue of the watcher in that slot. */
function queueName(signal: EmergencySignal, slot: number): string {
  const segment = readFileSync(signal.path);
  const nonce = segment.subarray(NONCE.offset, NONCE.offset + NONCE.size).toString('hex');
  const number = segment.readBigUInt64LE(SLOTS.offset + slot * SLOTS.size + SLOTS.queue);
  return `/esper.${nonce}.${slot}.${number}`;
}

/** Sends forged hints without a pause until stopped; then tells how many were taken, or why none could be sent. */
function startFlood(queue: string, ...uid: string[]): { stop(): Promise<string> } {
  const python = spawn('python3', [FLOOD, queue, ...uid], { stdio: ['pipe', 'pipe', 'inherit'] });
  children.push(python);
  let output = '';
  python.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  const closed = once(python, 'close');
  return {
    async stop() {
      python.stdin.end();
      await closed;
      return output.trim();
    },
  };
}

async function statsOf(child: FixtureProcess<Told>): Promise<{ stats: SignalStats; atMs: number }> {
  const before = child.messages.length;
  child.send('stats');
  return until('the statistics', () => {
    const told = child.messages.slice(before).find((one) => one.type === 'stats');
    return told?.type === 'stats' ? told : undefined;
  });
}

const heardBy = (child: FixtureProcess<Told>): string[] =>
  child.messages.flatMap((told) => (told.type === 'record' ? [told.signalId] : []));

/** Returns once the process has really stopped: the signal alone takes its time. */
async function stop(pid: number): Promise<void> {
  process.kill(pid, 'SIGSTOP');
  await until('the stop', () => /\) T /.test(readFileSync(`/proc/${pid}/stat`, 'utf8')));
}

/** Raises so often, each time after the one before was heard. Returns the latencies in ms, lowest first. */
async function raiseInTurn(
  signal: EmergencySignal,
  child: FixtureProcess<Told>,
  count: number,
): Promise<number[]> {
  const latencies: number[] = [];
  for (let step = 0; step < count; step++) {
    const id = signal.trigger(HALT, { step });
    const told = await child.next();
    assert.ok(told.type === 'record' && told.signalId === id);
    latencies.push(told.latencyMs);
  }
  return latencies.sort((a, b) => a - b);
}

test('[R-B1] a watcher in another IPC namespace is woken through its futex word, not by the re-check', async () => {
  const recheckMs = 1000;
  const rounds = 20;
  const medians: Record<string, string> = {};
  for (const [where, under, hints] of [
    ['here', [], 0],
    ['another network namespace', unshare('--net'), 0],
    ['another IPC namespace', unshare('--ipc'), rounds],
  ] as const) {
    const signal = openNew();
    const { child, slot } = await startWatcher(signal, recheckMs, under);
    const before = futexHints(signal, slot);
    const latencies = await raiseInTurn(signal, child, rounds);
    assert.is(futexHints(signal, slot) - before, hints, `${where}: hints through the futex word`);
    assert.is((await statsOf(child)).stats.idleWakes, 0);
    medians[where] = (latencies[rounds / 2] ?? 0).toFixed(3);
    // A watcher that only re-checked would hear each of them one interval after the one before.
    assert.ok(
      (latencies[0] ?? 0) < recheckMs / 2,
      `${where}: the fastest of ${rounds} took ${latencies[0]} ms`,
    );
  }
  console.log('median wake, ms:', medians);
});

test('[R-B1] a flood of forged hints costs a bounded number of looks, and a real trigger is heard in its midst', async () => {
  const recheckMs = 20;
  const signal = openNew();
  const { child, slot } = await startWatcher(signal, recheckMs);
  const before = await statsOf(child);
  const flood = startFlood(queueName(signal, slot));
  await until('the flood', async () => (await statsOf(child)).stats.idleWakes > LOOKS_A_RECHECK);
  await delay(500);
  const id = signal.trigger(HALT, { reason: 'real' });
  await until('the real trigger', () => heardBy(child).includes(id));
  await delay(500);
  const after = await statsOf(child);
  const sent = await flood.stop();
  const looks = after.stats.idleWakes - before.stats.idleWakes;
  const rechecks = Math.ceil((after.atMs - before.atMs) / recheckMs) + 2;
  console.log({ sent, looks, rechecks });
  assert.ok(looks <= rechecks * LOOKS_A_RECHECK, `${looks} looks in ${rechecks} re-checks`);
  const later = signal.trigger(HALT, { reason: 'after the flood' });
  await until('the trigger after the flood', () => heardBy(child).includes(later));
});

test('[R-B1] a queue that was flooded is polled again, also when news came while the loop was blocked', async () => {
  const signal = openNew();
  const child = startFixture<number | 'polled'>('signals/paused-watcher.ts', [signal.name]);
  children.push(child);
  const slot = Number(await child.next());
  const flood = startFlood(queueName(signal, slot));
  child.send('flooded');
  assert.is(await child.next(), 'polled');
  await flood.stop();
});

test('[R-B1] another user cannot send hints', async () => {
  assert.is(process.getuid?.(), 0, 'this test becomes another user, which needs root');
  const signal = openNew();
  const { slot } = await startWatcher(signal, 10);
  assert.is(await startFlood(queueName(signal, slot), '65534').stop(), 'EACCES');
});

test('[R-B1] [R-F10] a watcher that was stopped gets every record once it goes on; its raiser never waits for it', async () => {
  const signal = openNew();
  const { child } = await startWatcher(signal, 10);
  await stop(child.pid);
  // Far more than its queue holds, and as many as the ring.
  const ids = Array.from({ length: RING }, (_, step) => signal.trigger(HALT, { step }));
  process.kill(child.pid, 'SIGCONT');
  await until('every record', () => heardBy(child).length >= ids.length);
  assert.equal(heardBy(child), ids);
  assert.not(child.messages.some((told) => told.type === 'lost'));

  await stop(child.pid);
  const more = Array.from({ length: RING + 44 }, (_, step) => signal.trigger(HALT, { step }));
  process.kill(child.pid, 'SIGCONT');
  await until('the last record', () => heardBy(child).at(-1) === more.at(-1));
  const lost = child.messages.find((told) => told.type === 'lost');
  assert.equal(lost, { type: 'lost', overruns: 44, holes: 0 }, 'what a lap of the ring took is told');
  assert.equal(heardBy(child).slice(ids.length), more.slice(44));
});

test.run();
