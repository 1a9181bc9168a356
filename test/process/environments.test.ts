import { randomBytes } from 'node:crypto';
import { Worker } from 'node:worker_threads';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { EmergencyLevel } from '../../src/leyline/messages.ts';
import {
  type EmergencySignal,
  type OpenSignalOptions,
  openEmergencySignal,
} from '../../src/signals/index.ts';
import type { WorkerTask } from '../fixtures/signals/worker.ts';
import { startFixture } from '../helpers/fixture-process.ts';
import { until } from '../helpers/until.ts';

// Worker threads, several environments at once, and every way in which a process or thread can end with a flag open.

const test = suite('environments');
const HALT = EmergencyLevel.EMERGENCY_LEVEL_HALT;
const opened: EmergencySignal[] = [];

function openNew(options: OpenSignalOptions = {}): EmergencySignal {
  const name = `env.${process.pid}.${randomBytes(4).toString('hex')}`;
  const signal = openEmergencySignal(name, { keepAlive: false, ...options });
  assert.is(signal.kind, 'shared', signal.degraded?.reason);
  opened.push(signal);
  return signal;
}

test.after.each(() => {
  for (const signal of opened.splice(0)) {
    signal.close();
    signal.unlink();
  }
});

function startWorker(task: WorkerTask): { worker: Worker; messages: unknown[]; ended: Promise<number> } {
  const loader = JSON.stringify(import.meta.resolve('tsx/esm/api'));
  const file = JSON.stringify(new URL('../fixtures/signals/worker.ts', import.meta.url).href);
  // Loaders do not reach into worker threads: each registers its own.
  const start = `import(${loader}).then(({ register }) => (register(), import(${file})))`;
  const worker = new Worker(start, { eval: true, workerData: task });
  const messages: unknown[] = [];
  worker.on('message', (message) => messages.push(message));
  const ended = new Promise<number>((resolve, reject) => {
    worker.once('error', reject);
    worker.once('exit', resolve);
  });
  return { worker, messages, ended };
}

test('[R-F10] a trigger in a worker thread wakes the main thread, and the other way round', async () => {
  const signal = openNew();
  const heard: string[] = [];
  signal.subscribe(({ records }) => heard.push(...records.map((record) => record.signalId)));
  const { worker, messages, ended } = startWorker({ name: signal.name, mode: 'talk' });
  await until('the worker', () => messages.includes('open'));
  const mine = signal.trigger(HALT, { reason: 'from the main thread' });
  await until('the worker to hear', () => messages.includes(mine));
  worker.postMessage('trigger');
  await until('the main thread to hear', () => heard.length === 2);
  const theirs = heard[1] ?? '';
  assert.is(signal.find(theirs)?.reason, 'from the worker');
  await until('the worker to hear itself', () => messages.filter((id) => id === theirs).length === 2);
  worker.postMessage('end');
  assert.is(await ended, 0);
});

test('[R-B1] a worker with a watch open may be terminated, end by itself or exit; no ghost participant is left', async () => {
  const signal = openNew();
  const modes = ['stay', 'end', 'exit', 'stay', 'end', 'exit'] as const;
  const codes = await Promise.all(
    modes.map(async (mode) => {
      const { worker, messages, ended } = startWorker({ name: signal.name, mode });
      await until(`the worker (${mode})`, () => messages.includes('open'));
      if (mode === 'stay') await worker.terminate();
      return ended;
    }),
  );
  assert.equal(codes, [1, 0, 5, 1, 0, 5]);
  // A slot left behind would count as alive, for the process lives: every clear would wait for it.
  assert.equal(signal.participants(), []);
  signal.trigger(HALT);
  assert.is(signal.clear(signal.read()).outcome, 'cleared');
});

test('[R-B1] eight workers open, raise and close at once; the main thread hears every trigger', async () => {
  const signal = openNew();
  const heard: string[] = [];
  let overruns = 0;
  signal.subscribe((batch) => {
    heard.push(...batch.records.map((record) => record.signalId));
    overruns += batch.overruns;
  });
  const cycles = 50;
  const workers = Array.from({ length: 8 }, () => startWorker({ name: signal.name, mode: 'cycle', cycles }));
  assert.equal(await Promise.all(workers.map(({ ended }) => ended)), Array(8).fill(0));
  const raised = workers.flatMap(({ messages }) => messages[0] as string[]);
  assert.is(new Set(raised).size, 8 * cycles);
  await until('every record', () => heard.length + overruns === raised.length);
  assert.is(new Set(heard).size, heard.length);
  assert.ok(heard.every((id) => raised.includes(id)));
  assert.equal(signal.participants(), []);
});

async function live(
  way: string,
  nodeArgs: string[] = [],
): Promise<{ code: number | null; told: unknown[]; stderr: string }> {
  const child = startFixture<unknown>('signals/lifetime.ts', [openNew().name, way], { nodeArgs });
  const { code, signal, stderr } = await child.ended;
  assert.is(signal, null, `died of ${signal}: ${stderr}`);
  return { code, told: [...child.messages], stderr };
}

test('[R-B1] process.exit() with a watch open ends with the code given, also inside the callback', async () => {
  assert.is((await live('exit')).code, 7);
  assert.is((await live('exitInside')).code, 8);
});

test('[R-B1] an unreferenced watch lets the process end by itself', async () => {
  assert.is((await live('free')).code, 0);
});

test('[R-B1] a referenced watch holds the process until close()', async () => {
  const signal = openNew();
  const child = startFixture<'open'>('signals/lifetime.ts', [signal.name, 'held']);
  await child.next();
  signal.trigger(HALT);
  assert.is((await child.ended).code, 0);
});

test('[R-B1] a callback that throws is an uncaughtException, and the watch goes on', async () => {
  const { code, told } = await live('throws');
  assert.is(code, 0);
  assert.equal(told, ['callback 1 threw', 'callback 2 threw']);
});

test('[R-B1] a callback that throws and nobody who catches: the process ends as for any other error', async () => {
  const { code, stderr } = await live('throwsUncaught');
  assert.ok(code !== 0 && code !== null);
  assert.match(stderr, 'nobody catches this');
});

test('[R-B1] close() inside a callback, of the flag, in a listener, and a watch that replaces itself', async () => {
  const { code, told } = await live('closeInside');
  assert.is(code, 0);
  assert.equal(told, ['native', 'listener', true, 'replaced']);
});

test('[R-B1] close() twice; isSet() and level() afterwards', async () => {
  const { code, told } = await live('closeTwice');
  assert.is(code, 0);
  assert.equal(told, [[true, HALT]]);
});

test('[R-B1] signals that nobody closed are collected, with their memory and their slots', async () => {
  const { code, told } = await live('collect', ['--expose-gc']);
  assert.is(code, 0);
  assert.equal(told, [[100, 101], HALT]);
});

test('[R-B1] a signal is kept by its watch alone', async () => {
  const { code, told } = await live('watchedIsKept', ['--expose-gc']);
  assert.is(code, 0);
  assert.equal(told, ['heard']);
});

test('[R-B1] a closed signal gives its slot back at once, not when it is collected', async () => {
  const { code, told } = await live('manySlots');
  assert.is(code, 0);
  assert.equal(told, [[0, 1]]);
});

test.run();
