import type { ResolvedMemoryOptions } from './options.ts';

/** What became of a wish to collect garbage now. */
export type ForcedGcOutcome =
  | { readonly ran: true; readonly reclaimedBytes: number; readonly reclaimedShare: number }
  /** 'forbidden': the option; 'missing': no `--expose-gc`; 'back-off' and 'futile': see the options. */
  | { readonly ran: false; readonly why: 'forbidden' | 'missing' | 'back-off' | 'futile' };

export type ForcedGcOptions = Pick<ResolvedMemoryOptions, 'forceGc' | 'gcBackoffMs' | 'gcMinReclaim'>;

/** `gc` of `node --expose-gc`: of all, or of young objects only. */
type Collect = (options?: { readonly type: 'minor' }) => void;

/** A full collection blocks the loop for as long as the heap is large: rarely, and not when it does not help. */
export class ForcedGc {
  readonly #options: ForcedGcOptions;
  readonly #usedBytes: () => number;
  readonly #collect: () => Collect | undefined;
  #notBeforeMs = Number.NEGATIVE_INFINITY;
  #futile = false;
  #count = 0;

  constructor(
    options: ForcedGcOptions,
    usedBytes: () => number,
    // Looked up each time: who starts without `--expose-gc` can set `globalThis.gc` later, from a context made after
    // `v8.setFlagsFromString('--expose-gc')`.
    collect: () => Collect | undefined = () => globalThis.gc as Collect | undefined,
  ) {
    this.#options = options;
    this.#usedBytes = usedBytes;
    this.#collect = collect;
  }

  get count(): number {
    return this.#count;
  }

  run(nowMs: number): ForcedGcOutcome {
    const collect = this.#collect();
    if (!this.#options.forceGc) return { ran: false, why: 'forbidden' };
    if (collect === undefined) return { ran: false, why: 'missing' };
    if (this.#futile) return { ran: false, why: 'futile' };
    if (nowMs < this.#notBeforeMs) return { ran: false, why: 'back-off' };
    this.#notBeforeMs = nowMs + this.#options.gcBackoffMs;
    const before = this.#usedBytes();
    collect();
    // V8 leaves the buffers that it found to a thread, and counts them as used until the next collection of any kind.
    // Without that one hundreds of megabytes that were given back look like nothing, and collecting like a waste.
    collect({ type: 'minor' });
    this.#count += 1;
    const reclaimedBytes = Math.max(0, before - this.#usedBytes());
    const reclaimedShare = before > 0 ? reclaimedBytes / before : 0;
    this.#futile = reclaimedShare < this.#options.gcMinReclaim;
    return { ran: true, reclaimedBytes, reclaimedShare };
  }

  /** The pressure is gone: the next one may find other garbage. */
  eased(): void {
    this.#futile = false;
  }
}
