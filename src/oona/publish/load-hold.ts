/**
 * Conservative mode for a bus that is too slow or refuses. An alert says that there was trouble, for as long as its
 * windows remember it; the engine's answers say whether there is any now. So while an alert is active the answers
 * decide. Were the alert itself to decide, the mode would outlast the trouble by the whole length of a window, and what
 * the mode does to the traffic would be part of what keeps it on.
 */
import type { Clock } from '../../core/clock.ts';
import { errorCode, errorMessage } from '../../core/errors.ts';
import type { Logger } from '../../core/logger.ts';
import type { ConservativeMode, LoadReason } from './conservative-mode.ts';
import type { AnswerCounts, EngineAnswers } from './engine-answers.ts';

export interface LoadHoldParts {
  readonly mode: ConservativeMode;
  readonly answers: EngineAnswers;
  /** One append of what waits longest, else one ping, counted by `answers`. Never rejects. */
  readonly probe: () => Promise<void>;
  /** Of the mode: between two looks there is a quarter of it. */
  readonly quietMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Looks in a row with mostly bad answers that turn the mode on: one may be a pause of this process. */
const BAD_LOOKS = 3;
/** Looks in a quiet time, so that it cannot pass unlooked. */
const LOOKS_PER_QUIET = 4;
const SHORTEST_LOOK_MS = 50;
const LONGEST_LOOK_MS = 1000;

export class LoadHold {
  readonly #parts: LoadHoldParts;
  readonly #lookMs: number;
  readonly #alerts = new Set<LoadReason>();
  #badLooks = 0;
  #watching: AbortController | undefined;
  #closed = false;

  constructor(parts: LoadHoldParts) {
    this.#parts = parts;
    this.#lookMs = Math.min(LONGEST_LOOK_MS, Math.max(SHORTEST_LOOK_MS, parts.quietMs / LOOKS_PER_QUIET));
  }

  /** An alert began: from now on the engine's answers are looked at. */
  begin(alert: LoadReason): void {
    if (this.#closed) return;
    this.#alerts.add(alert);
    if (this.#watching !== undefined) return;
    const watching = new AbortController();
    this.#watching = watching;
    // What was answered before the alert is in the alert.
    this.#parts.answers.take();
    this.#badLooks = 0;
    this.#watch(watching.signal).catch((error: unknown) => {
      this.#parts.logger.error({ code: errorCode(error) }, `load hold: ${errorMessage(error)}`);
    });
  }

  end(alert: LoadReason): void {
    this.#alerts.delete(alert);
    this.#parts.mode.release(alert);
    if (this.#alerts.size === 0) this.#stop();
  }

  /** Looks no more. Idempotent. */
  close(): void {
    this.#closed = true;
    this.#stop();
  }

  #stop(): void {
    this.#watching?.abort();
    this.#watching = undefined;
  }

  async #watch(signal: AbortSignal): Promise<void> {
    const { clock, answers, probe } = this.#parts;
    while (!signal.aborted) {
      try {
        await clock.sleep(this.#lookMs, signal);
      } catch {
        return;
      }
      let counts = answers.take();
      if (counts.good + counts.bad === 0) {
        await probe();
        counts = answers.take();
      }
      if (!signal.aborted) this.#judge(counts);
    }
  }

  /** Without any answer all stays as it is: then the breaker is open, which holds the mode itself. */
  #judge({ good, bad }: AnswerCounts): void {
    const { mode } = this.#parts;
    if (good + bad === 0) return;
    if (bad > good) {
      this.#badLooks += 1;
      // Once it is on, one bad look is enough to begin the quiet time anew.
      if (mode.active || this.#badLooks >= BAD_LOOKS) for (const alert of this.#alerts) mode.hold(alert);
      return;
    }
    this.#badLooks = 0;
    for (const alert of this.#alerts) mode.release(alert);
  }
}
