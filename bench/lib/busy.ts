import { setTimeout as sleep } from 'node:timers/promises';
import { openEmergencySignal } from '../../src/signals/index.ts';
import type { Cleanup } from './cleanup.ts';
import { EMERGENCY_STREAM } from './escalate.ts';
import type { Report } from './report.ts';
import { summarize } from './samples.ts';
import { StreamObserver } from './stream-observer.ts';
import { BENCH_RUN_ID, startWeatherlight } from './weatherlight-process.ts';
import { Worker } from './worker.ts';

export interface ToTrainer {
  readonly type: 'go';
  readonly step: number;
  readonly busyMs: number;
}
export type FromTrainer =
  | { readonly type: 'ready' }
  | { readonly type: 'done'; readonly signalId: string; readonly enteredNs: string };

/** How long the trainer's loop is blocked, right after trigger(). */
const BUSY_MS = 500;
const GIVE_UP_MS = 5_000;

async function publishedMs(
  observer: StreamObserver,
  done: { signalId: string; enteredNs: string },
): Promise<number> {
  for (let waitedMs = 0; waitedMs < GIVE_UP_MS; waitedMs += 10) {
    const seenNs = observer.seenNs(done.signalId);
    if (seenNs !== undefined) return Number(seenNs - BigInt(done.enteredNs)) / 1e6;
    await sleep(10);
  }
  throw new Error(`signal ${done.signalId} was never published`);
}

/**
 * trigger() entered to the emergency readable on the stream, while the trainer's event loop is blocked: the supervisor
 * finds the record in the ring and publishes it. The reader's own hop from Redis is part of the figure.
 */
export async function measureBusyLoop(
  setup: { redisUrl: string; prefix: string; cleanup: Cleanup },
  count: number,
  report: Report,
): Promise<void> {
  const segment = `${setup.prefix}-busy`;
  const signal = openEmergencySignal(segment);
  setup.cleanup.add(() => {
    signal.unlink();
    signal.close();
  });
  const weatherlight = await startWeatherlight(
    { hostId: segment, signalName: segment, redisUrl: setup.redisUrl },
    setup.cleanup,
  );
  const trainer = new Worker<ToTrainer, FromTrainer>('busy-trainer.ts', [segment, BENCH_RUN_ID]);
  setup.cleanup.add(() => trainer.stop());
  await trainer.expect('ready');
  const observer = new StreamObserver(setup.redisUrl, EMERGENCY_STREAM, '0');
  setup.cleanup.add(() => observer.close());

  const samples: number[] = [];
  for (let step = 0; step <= count; step++) {
    const done = await trainer.request({ type: 'go', step, busyMs: BUSY_MS }, 'done');
    const ms = await publishedMs(observer, done);
    // The first one warms up the supervisor's code.
    if (step > 0) samples.push(ms);
  }
  await trainer.stop();
  await weatherlight.stop();
  const summary = summarize(samples);
  report.record('busy_loop_to_published', 'ms', summary);
  report.printTable(`Trainer's loop blocked for ${BUSY_MS} ms right after trigger() (ms)`, [
    { name: 'trigger() entered → readable on the stream', summary },
  ]);
}
