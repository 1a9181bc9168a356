import type { ErrorSink } from '../faults/error-event.ts';
import { createMemoryMonitor } from '../faults/memory/monitor.ts';
import type { MemoryMonitor } from '../faults/memory/types.ts';
import type { Adapter } from '../pipeline/adapter.ts';
import type { Bridge } from './bridge.ts';
import type { BusLink } from './bus-link.ts';
import type { Context } from './context.ts';
import type { FlagSet } from './flag-set.ts';
import type { Notice, NoticeOutlet } from './notices.ts';

/** Names of the loops that run. */
export type RunningLoops = Set<string>;

/** A loop as an adapter: one that throws is reported and started again, one that returns is done. */
export function loopOf(
  name: string,
  running: RunningLoops,
  run: (stop: AbortSignal) => Promise<void>,
): Required<Adapter<Notice>> {
  let over = new AbortController();
  let ended: Promise<unknown> = Promise.resolve();
  return {
    name,
    start({ fail }) {
      over = new AbortController();
      running.add(name);
      ended = run(over.signal)
        .catch(fail)
        .finally(() => running.delete(name));
    },
    async stop() {
      over.abort();
      await ended;
    },
  };
}

/** This host's flag: the watch, the halts, the outbox. */
export function sharedMemorySource(
  flags: FlagSet,
  outlet: NoticeOutlet,
  onWatching: () => void,
): Adapter<Notice> {
  let isTold = false;
  return {
    name: 'shared-memory',
    start(context) {
      outlet.bind(context);
      flags.begin(context.fail);
      if (!isTold) onWatching();
      isTold = true;
    },
    stop: () => flags.end(),
  };
}

/**
 * The emergency stream. Its start waits for nobody: entries come as soon as the bus answers. While the bus is away, its
 * reader connects again by itself.
 */
export function streamSource(
  link: BusLink,
  bridge: Pick<Bridge, 'settled'>,
  outlet: NoticeOutlet,
  running: RunningLoops,
): Adapter<Notice> {
  const connecting = loopOf('bus', running, (stop) => link.run(stop));
  return {
    name: 'emergency-stream',
    start(context) {
      outlet.bind(context);
      return connecting.start(context);
    },
    async stop(signal) {
      // A reader that does not end must not keep what it began from being ended.
      signal.addEventListener('abort', () => void connecting.stop(signal), { once: true });
      await link.stopReading();
      await connecting.stop(signal);
      await bridge.settled();
    },
  };
}

/** Memory of this process, where it has a limit: what all processes of a host use together is nothing of ours. */
export function memorySource(context: Context, errors: ErrorSink): Adapter<Notice> {
  const { settings, clock, metrics, logger } = context;
  const { memoryLimitBytes, memoryIntervalMs: intervalMs } = settings.ownHealth;
  let monitor: MemoryMonitor | undefined;
  return {
    name: 'memory',
    start() {
      monitor = createMemoryMonitor({ memoryLimitBytes, intervalMs }, { errors, clock, metrics, logger });
      const { source } = monitor.limit;
      if (source === 'physical') logger.info({}, 'no limit of memory is set: its use is not watched');
      else monitor.start();
    },
    stop() {
      monitor?.stop();
    },
  };
}
