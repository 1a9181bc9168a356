import { type Engine, engine } from '../pipeline/engine.ts';
import type { Bridge } from './bridge.ts';
import type { BusLink } from './bus-link.ts';
import type { Context } from './context.ts';
import type { FlagSet } from './flag-set.ts';
import { keepHouse } from './housekeeping.ts';
import type { InternalErrors } from './internal-errors.ts';
import type { Notice, NoticeOutlet } from './notices.ts';
import { logSink, telemetrySink } from './sinks.ts';
import { loopOf, memorySource, type RunningLoops, sharedMemorySource, streamSource } from './sources.ts';
import type { TelemetrySender } from './telemetry.ts';

/** Notices that wait for a sink which is too slow; then the oldest give way, counted. */
const QUEUE = Object.freeze({ policy: 'dropOldest', bufferSize: 1024 } as const);
/** A sink is called for each notice when that is published: none of them waits for anything. */
const SINK = Object.freeze({ concurrency: 1024, emitTimeoutMs: 0 });
/** What the environment says about memory gets no better by being asked again soon. */
const MEMORY_RETRY = Object.freeze({ restartBaseMs: 60_000, restartCapMs: 600_000 });

export interface SupervisorEngineParts {
  readonly context: Context;
  readonly errors: InternalErrors;
  readonly flags: FlagSet;
  readonly flagOutlet: NoticeOutlet;
  readonly bridge: Bridge;
  readonly link: BusLink;
  readonly streamOutlet: NoticeOutlet;
  readonly telemetry: TelemetrySender;
  readonly running: RunningLoops;
  /** Unix time, milliseconds. */
  readonly startedAtMs: number;
  /** The flag is watched for the first time. */
  readonly onWatching: () => void;
  readonly report: (stop: AbortSignal) => Promise<void>;
}

/**
 * Sources, buses and sinks of a supervisor, not started yet. Adapters start in this order and stop in the reverse one:
 * the reader of the emergency stream, which takes work in, is the first to stop.
 */
export function createSupervisorEngine(parts: SupervisorEngineParts): Engine<Notice> {
  const { context, errors, flags, link, telemetry, running } = parts;
  const { settings, clock, random, metrics, logger } = context;
  const { shutdownDeadlineMs: stopTimeoutMs, ownHealth } = settings;
  const adapters = [
    { adapter: sharedMemorySource(flags, parts.flagOutlet, parts.onWatching), required: true },
    { adapter: loopOf('telemetry', running, (stop) => telemetry.run(stop)) },
    {
      adapter: loopOf('housekeeping', running, (stop) =>
        keepHouse(context, { link, flags, telemetry }, stop),
      ),
    },
    { adapter: loopOf('report', running, parts.report) },
    ...(ownHealth.memoryMonitor ? [{ adapter: memorySource(context, errors.bus), ...MEMORY_RETRY }] : []),
    { adapter: streamSource(link, parts.bridge, parts.streamOutlet, running) },
  ];
  const emitters = [logSink(context), telemetrySink(context, telemetry, parts.startedAtMs)];
  return engine<Notice>({
    ...{ name: 'weatherlight', clock, random, metrics, logger, errors: errors.bus },
    adapters: adapters.map((one) => ({ ...one, stopTimeoutMs })),
    emitters: emitters.map((emitter) => ({ emitter, ...SINK })),
    ...{ internal: QUEUE, external: QUEUE, stopDeadlineMs: stopTimeoutMs },
    // A supervisor sheds nothing and does not end itself: it is needed most when memory is short.
    ...{ memoryMonitor: false, gracefulDegradation: false },
  });
}
