import type { Clock } from '../../core/clock.ts';
import { errorMessage } from '../../core/errors.ts';
import type { Logger } from '../../core/logger.ts';
import type { Metrics } from '../../core/metrics.ts';
import type { ResolvedOptions } from '../../core/option-table.ts';
import { CONSERVATIVE_MODE_OPTIONS, type ConservativeModeOptions } from './options.ts';

/** An alert while which the engine answers badly, by objective and rule: `slo:publish_latency:fast`. */
export type LoadReason = `slo:${string}:${string}`;

/** Why the mode is on. Each begins and ends by itself. */
export type ConservativeReason = 'breaker' | LoadReason | 'manual';

/** What came with a change of the mode. */
export interface ModeChange {
  /** Entered: what turned it on. Left: all that held it since. */
  readonly reasons: readonly ConservativeReason[];
  /** How long it was on, milliseconds; 0 when it was entered. */
  readonly lastedMs: number;
}

export type ModeListener = (active: boolean, change: ModeChange) => void;

export interface ConservativeModeParts {
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly logger: Logger;
}

const ACTIVE = 'oona.conservative_mode.active';
const ENTERED = 'oona.conservative_mode.entered_total';

/**
 * On from the moment that a reason is held; off when every reason has been gone for `quietMs` and the mode was on for
 * `dwellMs`. So a bus that comes and goes does not switch it with every change.
 */
export class ConservativeMode {
  readonly #options: ResolvedOptions<typeof CONSERVATIVE_MODE_OPTIONS.rows>;
  readonly #parts: ConservativeModeParts;
  readonly #reasons = new Set<ConservativeReason>();
  /** Since it was entered, those that are gone included; there are few. */
  readonly #heldBy = new Set<ConservativeReason>();
  readonly #listeners = new Set<ModeListener>();
  #active = false;
  #enteredAtMs = 0;
  #leaving: AbortController | undefined;
  #closed = false;

  /** Throws OptionError. */
  constructor(parts: ConservativeModeParts, options: ConservativeModeOptions = {}) {
    this.#options = CONSERVATIVE_MODE_OPTIONS.resolve(options);
    this.#parts = parts;
    parts.metrics.setGauge(ACTIVE, 0);
  }

  get quietMs(): number {
    return this.#options.quietMs;
  }

  get active(): boolean {
    return this.#active;
  }

  /** Reasons held now; none while the mode is on only for its time's sake. */
  get reasons(): readonly ConservativeReason[] {
    return [...this.#reasons];
  }

  /** Turns it on, until release() of the same reason. */
  hold(reason: ConservativeReason): void {
    if (this.#closed) return;
    this.#reasons.add(reason);
    this.#heldBy.add(reason);
    this.#leaving?.abort();
    this.#leaving = undefined;
    if (this.#active) return;
    const { clock, metrics, logger } = this.#parts;
    this.#active = true;
    this.#enteredAtMs = clock.monotonicMs();
    metrics.setGauge(ACTIVE, 1);
    metrics.increment(ENTERED);
    logger.warn({ reason }, 'conservative mode: messages below HIGH wait');
    this.#tell(0);
  }

  release(reason: ConservativeReason): void {
    if (!this.#reasons.delete(reason) || this.#reasons.size > 0) return;
    void this.#leaveLater();
  }

  /** Called with what `active` has become, once for each change. */
  onChange(listener: ModeListener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Nothing changes any more. Idempotent. */
  close(): void {
    this.#closed = true;
    this.#leaving?.abort();
    this.#listeners.clear();
  }

  async #leaveLater(): Promise<void> {
    const { clock } = this.#parts;
    const leaving = new AbortController();
    this.#leaving = leaving;
    const dwellLeftMs = this.#enteredAtMs + this.#options.dwellMs - clock.monotonicMs();
    try {
      await clock.sleep(Math.max(this.#options.quietMs, dwellLeftMs), leaving.signal);
    } catch {
      return;
    }
    if (leaving.signal.aborted) return;
    this.#leaving = undefined;
    this.#active = false;
    const lastedMs = clock.monotonicMs() - this.#enteredAtMs;
    this.#parts.metrics.setGauge(ACTIVE, 0);
    this.#parts.logger.info({ lastedMs }, 'conservative mode is over');
    this.#tell(lastedMs);
  }

  #tell(lastedMs: number): void {
    const active = this.#active;
    const change = Object.freeze({ reasons: Object.freeze([...this.#heldBy]), lastedMs });
    if (!active) this.#heldBy.clear();
    for (const listener of [...this.#listeners]) {
      try {
        listener(active, change);
      } catch (error) {
        this.#parts.logger.error({ active }, `conservative mode: listener threw: ${errorMessage(error)}`);
      }
    }
  }
}
