import type { Clock } from '../core/clock.ts';
import type { Logger } from '../core/logger.ts';
import type { Metrics } from '../core/metrics.ts';
import type { Random } from '../core/random.ts';
import type { EmergencyPublisher } from '../oona/types.ts';
import type { EmergencySignal } from '../signals/types.ts';
import type { WeatherlightEventBody } from './events.ts';
import type { Settings } from './settings.ts';

/** What every part of the supervisor is given; made once by `createWeatherlight`. */
export interface Context {
  readonly settings: Settings;
  /** undefined: no bus at all, this host's shared memory only. */
  readonly bus: EmergencyPublisher | undefined;
  /** Of this boot: monotonic times are compared only where it is equal. '' when unknown. */
  readonly bootId: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly metrics: Metrics;
  readonly logger: Logger;
  emit(body: WeatherlightEventBody): void;
  /** Counts, logs and keeps an internal error; never throws. */
  reportError(where: string, error: unknown): void;
}

/** The same with the flag that the part works on. */
export interface FlagContext extends Context {
  readonly signal: EmergencySignal;
}
