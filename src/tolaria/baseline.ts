/** Values that the window holds: enough for a steady median, few enough that a falling loss is followed. */
export const BASELINE_WINDOW = 64;

/** Makes the MAD of normal noise an estimate of its standard deviation. */
const MAD_TO_SIGMA = 1.4826;

/** What a baseline knew at one moment; made by `save()`, good for any baseline. */
export interface BaselineState {
  readonly recent: readonly number[];
  readonly count: number;
  readonly head: number;
  readonly referenceScale: number;
  readonly median: number;
  readonly sigma: number;
  readonly scale: number;
  /** Least that the scale may be. */
  readonly floor: number;
}

export interface BaselineOptions {
  /** Values before the baseline judges, 1 to BASELINE_WINDOW. */
  readonly warmup: number;
  /** The scale is never taken below this, in units of the value. */
  readonly minScale: number;
  /** Nor below this share of the scale at the end of the warm-up. */
  readonly floorFraction: number;
  /** Stands in for that scale where it is larger. Default: none. */
  readonly reference?: number;
}

/**
 * Running baseline of a training's loss: median and median absolute deviation (MAD) over the last BASELINE_WINDOW
 * accepted values, both exact. Up to half of the window may be arbitrary without moving either beyond the good
 * values (breakdown point 1/2), so what slips in does not drag it; refused values are not pushed at all.
 * The identifier "median + k * 1.4826 * MAD" is Hampel's: F. R. Hampel, "The influence curve and its role in robust
 * estimation", JASA 69 (1974); L. Davies and U. Gather, "The identification of multiple outliers", JASA 88 (1993).
 *
 * push() costs one walk over part of the sorted window and one over half of it, and creates no objects.
 */
export class Baseline {
  readonly #options: BaselineOptions;
  /** In order of arrival, a ring. An array of numbers is copied on the heap; a typed array's copy costs an allocation outside. */
  readonly #recent: number[] = new Array<number>(BASELINE_WINDOW).fill(0);
  readonly #sorted = new Float64Array(BASELINE_WINDOW);
  readonly #scratch = new Float64Array(BASELINE_WINDOW);
  #count = 0;
  #head = 0;
  #median = 0;
  #mad = 0;
  /** Scale when the warm-up ended; 0 before. */
  #referenceScale = 0;

  constructor(options: BaselineOptions) {
    this.#options = options;
  }

  /** True once it may judge. */
  get ready(): boolean {
    return this.#count >= this.#options.warmup;
  }

  /** Values in the window. */
  get count(): number {
    return this.#count;
  }

  /** Largest absolute value of the window; 0 while it is empty. */
  get largest(): number {
    if (this.#count === 0) return 0;
    return Math.max(Math.abs(this.#sorted[0] as number), Math.abs(this.#sorted[this.#count - 1] as number));
  }

  /** Median of the window; 0 while it is empty. */
  get median(): number {
    return this.#median;
  }

  /** Estimate of the noise's standard deviation. */
  get sigma(): number {
    return this.#mad * MAD_TO_SIGMA;
  }

  /**
   * What "n times the baseline" is measured in. For values from 0 up this is the median: at least half of them lie
   * in [0, median], so their MAD cannot exceed it. For losses of either sign the MAD steps in; the floor keeps the
   * noise of a loss near zero from looking like an explosion.
   */
  get scale(): number {
    return Math.max(Math.abs(this.#median), this.#mad, this.#floor);
  }

  get #floor(): number {
    return Math.max(this.#options.minScale, this.#options.floorFraction * this.#referenceScale);
  }

  /** Median of the last `steps` values, at most the whole window. */
  recentMedian(steps: number): number {
    const count = Math.min(steps, this.#count);
    for (let back = 0; back < count; back++) {
      const at = (this.#head - 1 - back + BASELINE_WINDOW) % BASELINE_WINDOW;
      insert(this.#scratch, back, this.#recent[at] as number);
    }
    return count === 0 ? 0 : (this.#scratch[count >> 1] as number);
  }

  /** The value that is `factor` times the baseline. */
  times(factor: number): number {
    return this.#median + (factor - 1) * this.scale;
  }

  /** Takes one finite value into the window; the oldest one goes when it is full. */
  push(value: number): void {
    if (this.#count < BASELINE_WINDOW) {
      insert(this.#sorted, this.#count, value);
      this.#count += 1;
    } else {
      replace(this.#sorted, this.#recent[this.#head] as number, value);
    }
    this.#recent[this.#head] = value;
    this.#head = (this.#head + 1) % BASELINE_WINDOW;
    this.#measure();
    if (this.#referenceScale === 0 && this.ready)
      this.#referenceScale = Math.max(this.scale, this.#options.reference ?? 0);
  }

  save(): BaselineState {
    return {
      recent: this.#recent.slice(),
      count: this.#count,
      head: this.#head,
      referenceScale: this.#referenceScale,
      median: this.#median,
      sigma: this.sigma,
      scale: this.scale,
      floor: this.#floor,
    };
  }

  restore(state: BaselineState): void {
    for (const [at, value] of state.recent.entries()) this.#recent[at] = value;
    this.#count = state.count;
    this.#head = state.head;
    this.#referenceScale = state.referenceScale;
    this.#sorted.set(state.recent);
    this.#sorted.subarray(0, state.count).sort();
    this.#measure();
  }

  /** Forgets everything; the next values are a warm-up again. */
  reset(): void {
    this.#count = 0;
    this.#head = 0;
    this.#referenceScale = 0;
    this.#measure();
  }

  #measure(): void {
    if (this.#count === 0) {
      this.#median = 0;
      this.#mad = 0;
      return;
    }
    const middle = this.#count >> 1;
    const odd = (this.#count & 1) === 1;
    const upper = this.#sorted[middle] as number;
    this.#median = odd ? upper : (this.#sorted[middle - 1] as number) / 2 + upper / 2;
    this.#mad = medianDeviation(this.#sorted, this.#count, this.#median);
  }
}

/** Keeps `sorted[0, count)` in order and adds `value`; there is room for it. */
function insert(sorted: Float64Array, count: number, value: number): void {
  let at = count;
  while (at > 0 && (sorted[at - 1] as number) > value) {
    sorted[at] = sorted[at - 1] as number;
    at -= 1;
  }
  sorted[at] = value;
}

/** Swaps `gone`, which is in `sorted`, for `value`, moving only what lies between the two. */
function replace(sorted: Float64Array, gone: number, value: number): void {
  let at = indexOf(sorted, gone);
  const last = sorted.length - 1;
  while (at < last && (sorted[at + 1] as number) < value) {
    sorted[at] = sorted[at + 1] as number;
    at += 1;
  }
  while (at > 0 && (sorted[at - 1] as number) > value) {
    sorted[at] = sorted[at - 1] as number;
    at -= 1;
  }
  sorted[at] = value;
}

function indexOf(sorted: Float64Array, value: number): number {
  let low = 0;
  let high = sorted.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] as number) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * Median of |x - center| over the sorted x: the deviations are two ordered runs that start at the center and go
 * outwards, so merging them up to the middle finds it without sorting again. With an even count the upper of the
 * two middle ones is taken.
 */
function medianDeviation(sorted: Float64Array, count: number, center: number): number {
  let right = count >> 1;
  let left = right - 1;
  let deviation = 0;
  for (let taken = 0; taken <= count >> 1; taken++) {
    const below = left >= 0 ? center - (sorted[left] as number) : Number.POSITIVE_INFINITY;
    const above = right < count ? (sorted[right] as number) - center : Number.POSITIVE_INFINITY;
    if (below < above) {
      deviation = below;
      left -= 1;
    } else {
      deviation = above;
      right += 1;
    }
  }
  return deviation;
}
