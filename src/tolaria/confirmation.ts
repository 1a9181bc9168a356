import type { BaselineState } from './baseline.ts';

/** A candidate's losses may lie this many standard deviations above the baseline that it was taken with. */
const MAX_SIGMAS = 3;
/** Losses within so many are level, not on their way up. */
const LEVEL_SIGMAS = 1;
/** Slack for losses with next to no noise, as a share of the baseline. */
const SLACK = 0.1;
/** The baseline may stand at so many times its best. */
const MAX_RISE = 3;

/**
 * Whether the losses after a snapshot bear it out. The running baseline follows a loss that diverges slowly, and
 * everything on the way up looks healthy beside it: a snapshot is compared with the baseline of its own moment, and
 * that one with the best there has been.
 */
export class Confirmation {
  readonly #regimeSteps: number;
  #best: number | undefined;
  #levelSteps = 0;

  /** `regimeSteps`: steps at a risen level after which it is taken for the new one; 0: never. */
  constructor(regimeSteps: number) {
    this.#regimeSteps = regimeSteps;
  }

  /** `at`: the baseline when the snapshot was taken; `recent`: median of the `steps` losses since. */
  accepts(at: BaselineState, recent: number, steps: number): boolean {
    const { median, sigma, scale } = at;
    const rise = recent - median;
    const level = rise <= Math.max(LEVEL_SIGMAS * sigma, SLACK * scale);
    const best = Math.min(this.#best ?? median, median);
    this.#best = best;
    const risen = median - best > (MAX_RISE - 1) * Math.max(Math.abs(best), at.floor);
    if (!risen) {
      this.#levelSteps = 0;
      return rise <= Math.max(MAX_SIGMAS * sigma, SLACK * scale);
    }
    this.#levelSteps = level ? this.#levelSteps + steps : 0;
    if (this.#regimeSteps === 0 || this.#levelSteps < this.#regimeSteps) return false;
    this.forget();
    return true;
  }

  /** The level is learnt anew. */
  forget(): void {
    this.#best = undefined;
    this.#levelSteps = 0;
  }
}
