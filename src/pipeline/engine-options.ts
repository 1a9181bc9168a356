import { clockRow, loggerRow, metricsRow, randomRow } from '../core/common-rows.ts';
import { OptionError } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import { integer, text } from '../core/option-rows.ts';
import { type GivenOptions, optionTable, type ResolvedOptions } from '../core/option-table.ts';
import { refuseUnknownKeys } from '../core/options.ts';
import type { DegradationOptions } from '../faults/degradation-options.ts';
import type { DegradationLevel } from '../faults/degradation-types.ts';
import type { ErrorBus } from '../faults/error-bus.ts';
import type { ErrorHandler } from '../faults/error-handler.ts';
import { logHandler } from '../faults/handlers/log.ts';
import { stderrLogger } from '../faults/last-resort.ts';
import type { MemoryMonitorOptions } from '../faults/memory/options.ts';
import type { MemoryMonitor } from '../faults/memory/types.ts';
import { ErrorSeverity } from '../leyline/messages.ts';
import type { Adapter } from './adapter.ts';
import type { BusOptions } from './bus-options.ts';
import type { Emitter } from './emitter.ts';
import type { AdapterOptions, EmitterOptions } from './part-options.ts';
import type { Transform } from './transform.ts';

export const ENGINE_OPTIONS = optionTable(
  {
    owner: 'engine',
    title: 'Engine',
    intro: 'Adapters, buses, transforms and emitters of one pipeline, started and stopped as one.',
  },
  {
    name: text({
      text: 'As events and logs name it.',
      pattern: /^[\w.-]{1,64}$/,
      allowed: '1-64 letters, digits, _ . -',
      default: 'engine',
    }),
    transformTimeoutMs: integer({
      text: 'For all transforms of one event together, to an eighth more; 0: for ever.',
      atLimit: 'Their signal is aborted and the event fails.',
      unit: 'ms',
      default: 30_000,
      min: 0,
      max: 86_400_000,
    }),
    stopDeadlineMs: integer({
      text: 'For the whole stop: adapters, what is queued, emitters, error handlers.',
      atLimit:
        'What is left is dropped and counted, what runs is aborted, and the report names what would not stop.',
      unit: 'ms',
      default: 10_000,
      min: 1,
      max: 3_600_000,
    }),
    degradedBufferPercent: integer({
      text: 'What degradation leaves of `bufferSize` and `maxBytes`.',
      atLimit: 'Fuller queues take nothing more; what they have is not dropped for it.',
      unit: '%',
      default: 25,
      min: 1,
      max: 100,
    }),
    degradedRatePerSecond: integer({
      text: 'Events a second that each adapter may take in while degraded, unless it is exempt.',
      atLimit: 'publish() waits, deliver() is refused with `retryAfterMs`.',
      unit: 'events/s',
      default: 10,
      min: 0,
      max: 1_000_000,
    }),
    clock: clockRow,
    random: randomRow,
    logger: loggerRow,
    metrics: metricsRow,
  },
);

export type ResolvedEngineOptions = ResolvedOptions<typeof ENGINE_OPTIONS.rows>;

/** An adapter, or one with options beside it. */
export type GivenAdapter<T> = Adapter<T> | (AdapterOptions & { readonly adapter: Adapter<T> });
export type GivenEmitter<T> = Emitter<T> | (EmitterOptions & { readonly emitter: Emitter<T> });

export interface EngineParts<In, Out> {
  readonly adapters?: readonly GivenAdapter<In>[];
  readonly emitters?: readonly GivenEmitter<Out>[];
  /** Between the buses, in this order. None: events go on as they are. */
  readonly transforms?: readonly Transform<never, unknown>[];
  /** From the adapters to the transforms. */
  readonly internal?: Omit<BusOptions<In>, 'name' | 'errors' | 'clock'>;
  /** From the transforms to the emitters. */
  readonly external?: Omit<BusOptions<Out>, 'name' | 'errors' | 'clock'>;
  /** The error bus of the process. Default: one of its own, which ends with it. */
  readonly errors?: ErrorBus;
  /**
   * Listen to the error bus as long as the engine lives. Default: where the error bus is the engine's own, what is WARNING or
   * worse goes to `logger`, or as JSON lines to stderr; with [] errors are only counted.
   */
  readonly errorHandlers?: readonly ErrorHandler[];
  /** Options of a memory monitor of its own, a monitor that somebody else starts and stops, or false for none. */
  readonly memoryMonitor?: MemoryMonitorOptions | MemoryMonitor | false;
  /** Default true: by memory pressure. False: only by hand. An object: options, and further levels of yours. */
  readonly gracefulDegradation?:
    | boolean
    | (DegradationOptions & { readonly levels?: readonly DegradationLevel[] });
  /** Stops the engine when it aborts. */
  readonly signal?: AbortSignal;
}

export type EngineOptions<In, Out> = GivenOptions<typeof ENGINE_OPTIONS.rows> & EngineParts<In, Out>;

const PARTS: readonly string[] = [
  ...['adapters', 'emitters', 'transforms', 'internal', 'external', 'errors', 'errorHandlers'],
  ...['memoryMonitor', 'gracefulDegradation', 'signal'],
];

/** Throws OptionError. */
export function splitOptions<In, Out>(given: EngineOptions<In, Out>) {
  if (typeof given !== 'object' || given === null) throw new OptionError('engine: options must be an object');
  refuseUnknownKeys('engine', given, [...PARTS, ...Object.keys(ENGINE_OPTIONS.rows)]);
  const entries = Object.entries(given);
  const options = ENGINE_OPTIONS.resolve(Object.fromEntries(entries.filter(([key]) => !PARTS.includes(key))));
  const parts: EngineParts<In, Out> = Object.fromEntries(entries.filter(([key]) => PARTS.includes(key)));
  const errorHandlers =
    parts.errorHandlers ?? (parts.errors === undefined ? [usualHandler(given.logger)] : []);
  return { options, parts: Object.freeze({ ...parts, errorHandlers }) };
}

function usualHandler(logger: Logger = stderrLogger): ErrorHandler {
  return logHandler({ logger, minSeverity: ErrorSeverity.ERROR_SEVERITY_WARNING });
}
