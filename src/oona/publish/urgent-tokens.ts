import type { Clock } from '../../core/clock.ts';
import { requireRange } from '../../core/options.ts';

const MINUTE_MS = 60_000;
/** Sixty refills of a sixtieth add up to a little less than one in floating point. */
const ROUNDING = 1e-9;

/**
 * How many messages a minute that are urgent but no emergencies may use the emergency stream: a bucket that holds
 * `maxPerMin` tokens and fills at that rate. Emergencies themselves take none here; repeats of them are bounded where
 * they are raised. Times come from the monotonic clock, so a step of the wall clock neither opens nor shuts it.
 */
export class UrgentTokens {
  readonly #maxPerMin: number;
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  #tokens: number;
  #filledAtMs: number;

  /** `maxPerMin`: 0-1000000. Throws OptionError. */
  constructor(maxPerMin: number, clock: Pick<Clock, 'monotonicMs'>) {
    this.#maxPerMin = requireRange('urgent tokens', 'maxPerMin', maxPerMin, 0, 1_000_000);
    this.#clock = clock;
    this.#tokens = maxPerMin;
    this.#filledAtMs = clock.monotonicMs();
  }

  /** False when there is none. */
  take(): boolean {
    this.#refill();
    if (this.#tokens < 1 - ROUNDING) return false;
    this.#tokens = Math.max(0, this.#tokens - 1);
    return true;
  }

  /** The publish was not stored: its token is there for the next one. */
  giveBack(): void {
    this.#refill();
    this.#tokens = Math.min(this.#maxPerMin, this.#tokens + 1);
  }

  #refill(): void {
    const nowMs = this.#clock.monotonicMs();
    const gained = ((nowMs - this.#filledAtMs) * this.#maxPerMin) / MINUTE_MS;
    this.#tokens = Math.min(this.#maxPerMin, this.#tokens + gained);
    this.#filledAtMs = nowMs;
  }
}
