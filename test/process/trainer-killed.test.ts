// watchdog: 300 s
import { type ChildProcess, spawn } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createKeyRing } from '../../src/leyline/key-ring.ts';
import { createOona } from '../../src/oona/oona.ts';
import { createRedisTransport } from '../../src/oona/transport/redis.ts';
import { openEmergencySignal } from '../../src/signals/emergency-signal.ts';
import type { EmergencyRecord, EmergencySignal } from '../../src/signals/types.ts';
import { startRedis } from '../helpers/redis-server.ts';
import { startService } from '../helpers/service.ts';
import { until } from '../helpers/until.ts';
import { readStream, SECRET, uniqueName } from '../helpers/weatherlight.ts';

const test = suite('trainer killed');
const ROUNDS = 50;
const AT_LEAST_EACH = 10;
/** Trainers that are started ahead: each is killed, and starting one costs more than its round. */
const WARM_TRAINERS = 3;
const TRAINER = fileURLToPath(new URL('../fixtures/halting-trainer.ts', import.meta.url));

interface Trainer {
  readonly child: ChildProcess;
  readonly ready: Promise<void>;
  readonly ended: Promise<NodeJS.Signals | null>;
}

const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

function startTrainer(name: string, url: string): Trainer {
  const child = spawn(process.execPath, ['--import', 'tsx', TRAINER, name, url, SECRET], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  running.add(child);
  const ended = new Promise<NodeJS.Signals | null>((resolve) => {
    child.once('exit', (_, signal) => {
      running.delete(child);
      resolve(signal);
    });
  });
  const ready = new Promise<void>((resolve, reject) => {
    child.stdout?.once('data', () => resolve());
    void ended.then(() => reject(new Error('the trainer ended before it was ready')));
  });
  // Warm trainers are awaited later; until then a failure must not end the test process.
  ready.catch(() => undefined);
  return { child, ready, ended };
}

/** Tells the trainer to raise and kills it `delayMs` after its record is in shared memory. */
async function raiseAndKill(
  trainer: Trainer,
  signal: EmergencySignal,
  delayMs: number,
): Promise<EmergencyRecord> {
  const { pid } = trainer.child;
  const raised = new Promise<EmergencyRecord>((resolve) => {
    const unsubscribe = signal.subscribe(({ records }) => {
      const record = records.find((one) => one.pid === pid);
      if (record === undefined) return;
      // Without a delay within this very callback: some 50 µs after trigger() was entered.
      if (delayMs === 0) trainer.child.kill('SIGKILL');
      unsubscribe();
      resolve(record);
    });
  });
  trainer.child.stdin?.write('go\n');
  const record = await raised;
  if (delayMs > 0) await delay(delayMs);
  trainer.child.kill('SIGKILL');
  assert.is(await trainer.ended, 'SIGKILL');
  return record;
}

test(`[R-B7] [R-F4] SIGKILL right after trigger(HALT), ${ROUNDS} times: another host hears each exactly once`, async () => {
  const redis = await startRedis();
  const name = uniqueName('killed');
  const signal = openEmergencySignal(name);
  const service = startService({
    ESPER_LEYLINE_SECRET: SECRET,
    REDIS_URL: redis.url,
    ESPER_HOST_ID: 'host-a',
    ESPER_RUN_ID: 'run',
    TOLARIA_EMERGENCY_SIGNAL_NAME: name,
  });
  const keyRing = createKeyRing({ current: { secret: SECRET } });
  const transport = createRedisTransport({ url: redis.url });
  const hostB = createOona({ transport, keyRing, source: 'test', hostId: 'host-b' });
  const heard = new Map<string, string[]>();
  const reader = hostB.emergencyReader(({ message, attributes }) => {
    const sources = heard.get(message.signalId) ?? [];
    heard.set(message.signalId, [...sources, attributes.source ?? '']);
  });
  await reader.start();
  await service.events.next('busState', (event) => event.state === 'up');

  const raised: string[] = [];
  const by = { tolaria: 0, weatherlight: 0 };
  let maxDelayMs = 8;
  const warm = Array.from({ length: WARM_TRAINERS }, () => startTrainer(name, redis.url));
  for (let round = 0; round < ROUNDS; round++) {
    const trainer = warm.shift() as Trainer;
    await trainer.ready;
    const delayMs = Math.floor(Math.random() * (maxDelayMs + 1));
    const record = await raiseAndKill(trainer, signal, delayMs);
    if (round + WARM_TRAINERS < ROUNDS) warm.push(startTrainer(name, redis.url));
    raised.push(record.signalId);
    const [source] = await until(`round ${round}`, () => heard.get(record.signalId));
    // How long a trainer takes to publish differs between machines: the delays follow, so that both sides occur.
    if (source === 'tolaria') {
      by.tolaria += 1;
      maxDelayMs = Math.max(0, maxDelayMs - 1);
    } else {
      by.weatherlight += 1;
      maxDelayMs = Math.min(60, maxDelayMs + 1);
    }
  }

  await until('nothing left to publish', () => signal.unpublished(0).length === 0);
  const onStream = (await readStream(transport, 'oona.emergency', keyRing)).map(
    ({ attributes }) => attributes.event_id,
  );
  assert.is(new Set(raised).size, ROUNDS);
  assert.equal([...onStream].sort(), [...raised].sort());
  assert.equal([...heard.keys()].sort(), [...raised].sort());
  for (const [signalId, sources] of heard) assert.is(sources.length, 1, signalId);
  console.log(`published by the trainer ${by.tolaria}, by the supervisor ${by.weatherlight}`);
  assert.ok(by.tolaria >= AT_LEAST_EACH && by.weatherlight >= AT_LEAST_EACH);
  await until('all detected here', () => service.events.of('detected').length === ROUNDS);

  await reader.stop();
  await hostB.close();
  assert.is((await service.stop()).code, 0);
  signal.unlink();
  signal.close();
  await redis.stop();
});

test.run();
