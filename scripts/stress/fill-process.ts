// Watches its memory and, when told to, fills it in synchronous loops until it is killed: no JavaScript but the loops runs.
import { isMainThread, Worker, workerData } from 'node:worker_threads';
import { createMemoryMonitor } from '../../src/faults/memory/monitor.ts';
import { openEmergencySignal } from '../../src/signals/index.ts';

export interface FillOrder {
  /** Of all threads together, bytes a second; 0: as fast as they can. */
  readonly rate: number;
}

export interface FillReady {
  readonly native: boolean;
  readonly limitBytes: number;
}

interface Shared {
  /** 0: wait; then the start, on the clock of process.hrtime, and the rate of each thread. */
  readonly go: Int32Array;
  readonly rate: Float64Array;
}

const CHUNK_BYTES = 2 ** 20;
const kept: Buffer[] = [];

/** Does not return. */
function fill(rate: number): never {
  const begin = process.hrtime.bigint();
  for (let bytes = 0; ; bytes += CHUNK_BYTES) {
    kept.push(Buffer.alloc(CHUNK_BYTES, 1));
    const dueNs = rate === 0 ? 0 : (bytes / rate) * 1e9;
    while (Number(process.hrtime.bigint() - begin) < dueNs) {
      // Busy on purpose: a sleep would let the loop go on.
    }
  }
}

function workAlong({ go, rate }: Shared): void {
  Atomics.wait(go, 0, 0);
  fill(rate[0] ?? 0);
}

function watch([name = '', threads = '1', critical = '0.95']: readonly string[]): void {
  const signal = openEmergencySignal(name, { keepAlive: false });
  const criticalThreshold = Number(critical);
  const shutdownThreshold = (criticalThreshold + 1) / 2;
  const errors = { emit: () => undefined };
  const monitor = createMemoryMonitor(
    { criticalThreshold, shutdownThreshold },
    { signal, runId: 'fill', errors },
  );
  monitor.start();
  const shared: Shared = {
    go: new Int32Array(new SharedArrayBuffer(4)),
    rate: new Float64Array(new SharedArrayBuffer(8)),
  };
  const others = Array.from(
    { length: Number(threads) - 1 },
    () => new Worker(new URL(import.meta.url), { workerData: shared }),
  );
  process.on('message', ({ rate }: FillOrder) => {
    shared.rate[0] = rate / Number(threads);
    Atomics.store(shared.go, 0, 1);
    Atomics.notify(shared.go, 0);
    fill(shared.rate[0]);
  });
  void Promise.all(others.map((worker) => new Promise((resolve) => worker.once('online', resolve)))).then(
    () => {
      const { native, limit } = monitor.check();
      process.send?.({ native, limitBytes: limit.limitBytes } satisfies FillReady);
    },
  );
}

if (isMainThread) watch(process.argv.slice(2));
else workAlong(workerData as Shared);
