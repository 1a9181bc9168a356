// Fills its memory cgroup until the kernel kills it, in synchronous loops: the main thread's and, with more than one
// thread, workers' beside it. Tells how far each loop is on stderr, which needs no event loop.
import { writeSync } from 'node:fs';
import { isMainThread, parentPort, threadId, Worker, workerData } from 'node:worker_threads';
import { createMemoryMonitor } from '../../src/faults/memory/monitor.ts';
import { openEmergencySignal } from '../../src/signals/index.ts';

interface Filling {
  /** Bytes a second of each thread; 0: as fast as it can. */
  readonly rate: number;
  readonly threads: number;
  /** The loops begin when this is no longer 0. */
  readonly go: SharedArrayBuffer;
}

const CHUNK_BYTES = 2 ** 20;
const kept: Buffer[] = [];

function fill({ rate, go }: Filling): void {
  Atomics.wait(new Int32Array(go), 0, 0);
  const begin = process.hrtime.bigint();
  for (let bytes = 0; ; bytes += CHUNK_BYTES) {
    kept.push(Buffer.alloc(CHUNK_BYTES, 1));
    const dueNs = rate === 0 ? 0 : (bytes / rate) * 1e9;
    while (Number(process.hrtime.bigint() - begin) < dueNs) {
      // Busy on purpose: nothing else may run in this thread.
    }
    if (bytes % (8 * CHUNK_BYTES) === 0) {
      writeSync(2, `${threadId} ${bytes} ${process.hrtime.bigint() - begin}\n`);
    }
  }
}

if (isMainThread) {
  const [name = '', rate = '0', threads = '1', critical = '0.95'] = process.argv.slice(2);
  const go = new SharedArrayBuffer(4);
  const filling: Filling = { rate: Number(rate), threads: Number(threads), go };
  const signal = openEmergencySignal(name, { keepAlive: false });
  const thresholds = { criticalThreshold: Number(critical), shutdownThreshold: 1 };
  const monitor = createMemoryMonitor(thresholds, { signal, errors: { emit: () => undefined } });
  monitor.start();
  const loader = JSON.stringify(import.meta.resolve('tsx/esm/api'));
  // Loaders do not reach into worker threads: each registers its own.
  const start = `import(${loader}).then(({ register }) => (register(), import(${JSON.stringify(import.meta.url)})))`;
  const workers = Array.from(
    { length: filling.threads - 1 },
    () => new Worker(start, { eval: true, workerData: filling }),
  );
  await Promise.all(workers.map((worker) => new Promise((resolve) => worker.once('message', resolve))));
  process.on('message', () => {
    Atomics.store(new Int32Array(go), 0, 1);
    Atomics.notify(new Int32Array(go), 0);
    fill(filling);
  });
  process.send?.(monitor.check().native);
} else {
  parentPort?.postMessage('ready');
  fill(workerData as Filling);
}
