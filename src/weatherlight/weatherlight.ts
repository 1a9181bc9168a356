import { type Clock, systemClock } from '../core/clock.ts';
import { type Logger, silentLogger } from '../core/logger.ts';
import { Metrics } from '../core/metrics.ts';
import { refuseUnknownKeys } from '../core/options.ts';
import { type Random, systemRandom } from '../core/random.ts';
import type { Oona } from '../oona/oona.ts';
import type { EmergencySignal } from '../signals/types.ts';
import { WeatherlightStateError } from './errors.ts';
import { createEventHub, type EventListener } from './events.ts';
import { describeSettings, type Settings } from './settings.ts';
import type { WeatherlightSnapshot } from './snapshot.ts';
import { Supervisor } from './supervisor.ts';

export interface WeatherlightDeps {
  /** This host's flag. The caller closes it. Default: opened by the settings' name, closed by stop(). */
  readonly signal?: EmergencySignal;
  /** The bus, closed by its caller; 'none' runs on shared memory alone. Default: opened by the settings. */
  readonly bus?: Oona | 'none';
  readonly clock?: Clock;
  readonly random?: Random;
  readonly metrics?: Metrics;
  readonly logger?: Logger;
}

/** How a stop went. */
export interface StopReport {
  /** True when everything ended within the deadline. */
  readonly clean: boolean;
  /** Names of what did not. */
  readonly unfinished: readonly string[];
  /** Records that no bus has taken; they stay in shared memory for the next supervisor. */
  readonly unpublished: number;
}

/** The supervisor of one host and one training run. */
export interface Weatherlight {
  readonly settings: Settings;
  readonly metrics: Metrics;
  /**
   * Attaches to the flag and begins to watch before it resolves; never waits for the bus.
   * Throws WeatherlightStateError when it was started before.
   */
  start(): Promise<void>;
  /** Drains and ends within `shutdownDeadlineMs`; again returns the same report. */
  stop(): Promise<StopReport>;
  /** Health now; after stop() as it was then. Throws WeatherlightStateError before start(). */
  snapshot(): WeatherlightSnapshot;
  /** Returns the unsubscribe. Subscribe before start() to miss nothing. */
  subscribe(listener: EventListener): () => void;
}

const DEP_KEYS = ['signal', 'bus', 'clock', 'random', 'metrics', 'logger'];

/** Throws OptionError on an unknown dependency. Opens nothing: that is start()'s. */
export function createWeatherlight(settings: Settings, deps: WeatherlightDeps = {}): Weatherlight {
  refuseUnknownKeys('createWeatherlight', deps, DEP_KEYS);
  const clock = deps.clock ?? systemClock;
  const random = deps.random ?? systemRandom;
  const metrics = deps.metrics ?? new Metrics();
  const logger = deps.logger ?? silentLogger;
  const hub = createEventHub(clock, logger);
  let supervisor: Supervisor | undefined;
  let stopping: Promise<StopReport> | undefined;

  function started(): Supervisor {
    if (supervisor === undefined)
      throw new WeatherlightStateError('Weatherlight is not started: call start() first');
    return supervisor;
  }

  return {
    settings,
    metrics,
    async start() {
      if (supervisor !== undefined)
        throw new WeatherlightStateError('Weatherlight was started before: create another');
      logger.info({ settings: describeSettings(settings) }, 'settings');
      for (const warning of settings.warnings) logger.warn({}, warning);
      const { signal, bus } = deps;
      const created = new Supervisor(settings, { signal, bus, clock, random, metrics, logger, hub });
      supervisor = created;
      try {
        await created.start();
      } catch (error) {
        supervisor = undefined;
        throw error;
      }
    },
    stop() {
      stopping ??= started().stop();
      return stopping;
    },
    snapshot: () => started().snapshot(),
    subscribe: (listener) => hub.subscribe(listener),
  };
}
