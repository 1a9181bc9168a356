import { Baseline, type BaselineState } from './baseline.ts';
import { Confirmation } from './confirmation.ts';

export interface JudgeOptions {
  readonly warmupSteps: number;
  readonly spikeFactor: number;
  readonly spikeSigmas: number;
  readonly explosionFactor: number;
  readonly gradExplosionFactor: number | undefined;
  readonly regimeSteps: number;
  readonly minBaselineLoss: number;
  readonly baselineFloor: number;
  readonly referenceLoss: number | undefined;
}

/** What is out of bounds, and which bound it was. */
export type Anomaly =
  | { readonly kind: 'nan' | 'infinite'; readonly of: 'loss' | 'gradNorm'; readonly value: number }
  | {
      readonly kind: 'spike' | 'explosion';
      readonly of: 'loss' | 'gradNorm';
      readonly value: number;
      readonly baseline: number;
      readonly limit: number;
    }
  /** Too long between two steps, milliseconds. */
  | { readonly kind: 'deadline'; readonly of: 'gap'; readonly value: number; readonly limit: number };

export interface JudgeState {
  /** False during the warm-up. */
  readonly ready: boolean;
  readonly loss: BaselineState;
  readonly gradNorm: BaselineState | undefined;
}

/** Every finite number is at most this; only NaN and +Inf fail the comparison. */
const ANY_FINITE = Number.MAX_VALUE;
/** Losses after which the warm-up has a limit of its own. */
const FIRST_LOSSES = 4;
/** That limit, in multiples of the largest loss so far: what passes it has lost all proportion. */
const WARMUP_EXPLOSION_FACTOR = 1000;

/** Decides whether a step is healthy, against baselines that only healthy steps feed. */
export class StepJudge {
  readonly #options: JudgeOptions;
  readonly #loss: Baseline;
  readonly #gradNorm: Baseline | undefined;
  readonly #confirmation: Confirmation;
  /** Up to here nothing is wrong: the one comparison of a healthy step. */
  #quietLoss = ANY_FINITE;
  #quietGradNorm = ANY_FINITE;

  constructor(options: JudgeOptions) {
    this.#options = options;
    this.#confirmation = new Confirmation(options.regimeSteps);
    const {
      warmupSteps: warmup,
      minBaselineLoss,
      baselineFloor: floorFraction,
      referenceLoss: reference = 0,
      gradExplosionFactor,
    } = options;
    this.#loss = new Baseline({ warmup, minScale: minBaselineLoss, floorFraction, reference });
    this.#gradNorm =
      gradExplosionFactor === undefined
        ? undefined
        : new Baseline({ warmup, minScale: Number.MIN_VALUE, floorFraction, reference: 0 });
  }

  /** True: healthy, and taken into the baseline. False: ask `inspect`; the baseline has not moved. Creates no objects. */
  accept(loss: number, gradNorm: number | undefined): boolean {
    if (!(loss <= this.#quietLoss) || loss < -ANY_FINITE) return false;
    if (gradNorm !== undefined && !(gradNorm >= 0 && gradNorm <= this.#quietGradNorm)) return false;
    this.#loss.push(loss);
    if (this.#gradNorm !== undefined && gradNorm !== undefined) this.#gradNorm.push(gradNorm);
    this.#setLimits();
    return true;
  }

  /** Why `accept` said no, the worst first. */
  inspect(loss: number, gradNorm: number | undefined): Anomaly {
    const nonFinite = findNonFinite('loss', loss) ?? findNonFinite('gradNorm', gradNorm);
    if (nonFinite !== undefined) return nonFinite;
    const explosionAt = this.#explosionAt();
    const baseline = this.#loss.median;
    if (loss > explosionAt)
      return { kind: 'explosion', of: 'loss', value: loss, baseline, limit: explosionAt };
    if (gradNorm !== undefined && gradNorm > this.#quietGradNorm) {
      const { median = 0 } = this.#gradNorm ?? {};
      const limit = this.#quietGradNorm;
      return { kind: 'explosion', of: 'gradNorm', value: gradNorm, baseline: median, limit };
    }
    return { kind: 'spike', of: 'loss', value: loss, baseline, limit: this.#spikeAt() };
  }

  /** Undefined during the warm-up. */
  limits(): { readonly loss: number; readonly spikeAt: number; readonly explosionAt: number } | undefined {
    if (!this.#loss.ready) return undefined;
    return { loss: this.#loss.median, spikeAt: this.#spikeAt(), explosionAt: this.#explosionAt() };
  }

  /** Whether the last `steps` losses bear out the snapshot that `state` was saved with. */
  confirms(state: JudgeState, steps: number): boolean {
    return !state.ready || this.#confirmation.accepts(state.loss, this.#loss.recentMedian(steps), steps);
  }

  save(): JudgeState {
    return { ready: this.#loss.ready, loss: this.#loss.save(), gradNorm: this.#gradNorm?.save() };
  }

  restore(state: JudgeState): void {
    this.#loss.restore(state.loss);
    if (state.gradNorm !== undefined) this.#gradNorm?.restore(state.gradNorm);
    this.#setLimits();
  }

  /** Forgets the baselines; the next steps are a warm-up again. */
  rebase(): void {
    this.#loss.reset();
    this.#gradNorm?.reset();
    this.#confirmation.forget();
    this.#setLimits();
  }

  #explosionAt(): number {
    const { explosionFactor, spikeSigmas, minBaselineLoss } = this.#options;
    if (this.#loss.ready)
      return Math.max(
        this.#loss.times(explosionFactor),
        this.#loss.median + 2 * spikeSigmas * this.#loss.sigma,
      );
    const { count, largest } = this.#loss;
    // All at zero tell nothing about what is large.
    if (count < FIRST_LOSSES || largest <= minBaselineLoss) return ANY_FINITE;
    return Math.min(Math.max(explosionFactor, WARMUP_EXPLOSION_FACTOR) * largest, ANY_FINITE);
  }

  /** Both at once: a multiple alone mistakes a steady small loss's noise, sigmas alone a noisy loss's tail. */
  #spikeAt(): number {
    const { spikeFactor, spikeSigmas } = this.#options;
    return Math.max(this.#loss.times(spikeFactor), this.#loss.median + spikeSigmas * this.#loss.sigma);
  }

  #setLimits(): void {
    // Never Infinity, which +Inf itself would not exceed.
    this.#quietLoss = this.#loss.ready
      ? Math.min(this.#spikeAt(), this.#explosionAt(), ANY_FINITE)
      : this.#explosionAt();
    const grad = this.#gradNorm;
    if (grad === undefined) return;
    const limit = grad.ready ? grad.times(this.#options.gradExplosionFactor ?? ANY_FINITE) : ANY_FINITE;
    this.#quietGradNorm = Math.min(limit, ANY_FINITE);
  }
}

function findNonFinite(of: 'loss' | 'gradNorm', value: number | undefined): Anomaly | undefined {
  if (value === undefined || Number.isFinite(value)) return undefined;
  return { kind: Number.isNaN(value) ? 'nan' : 'infinite', of, value };
}

/** One line for people: the reason of the emergency. */
export function describeAnomaly(anomaly: Anomaly, step: number): string {
  const { of, value } = anomaly;
  if (anomaly.kind === 'deadline') {
    return `${format(value)} ms since the last step, at step ${step}; at most ${anomaly.limit} ms are allowed`;
  }
  if (!('baseline' in anomaly)) return `${of} is ${value} at step ${step}`;
  const { baseline, limit } = anomaly;
  const verb = anomaly.kind === 'spike' ? 'spiked' : 'exploded';
  return `${of} ${verb} to ${format(value)} at step ${step}; baseline ${format(baseline)}, limit ${format(limit)}`;
}

function format(value: number): string {
  return String(Number(value.toPrecision(4)));
}
