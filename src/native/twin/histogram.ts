import type { NativeHistogram, NativeHistogramSnapshot } from '../contract.ts';
import { NativeClosedError } from '../errors.ts';
import { BUCKET_COUNT, recordValue, TOTAL, TOTALS_COUNT } from '../histogram-buckets.ts';

interface Stripe {
  readonly counts: Float64Array;
  readonly totals: Float64Array;
  references: number;
}

const stripes = new Map<string, Stripe>();

/** Forgets the name; histogram objects that have it open keep their memory. */
export function unlinkHistogram(name: string): boolean {
  return stripes.delete(name);
}

/** One open histogram object; all of one name in this thread write the same single stripe. */
export class TwinHistogram implements NativeHistogram {
  readonly kind = 'process-local';
  readonly name: string;
  readonly path = '';
  readonly counts: Float64Array;
  readonly totals: Float64Array;
  readonly #stripe: Stripe;
  #closed = false;

  constructor(name: string) {
    this.name = name;
    this.#stripe = stripes.get(name) ?? {
      counts: new Float64Array(BUCKET_COUNT),
      totals: new Float64Array(TOTALS_COUNT),
      references: 0,
    };
    stripes.set(name, this.#stripe);
    this.#stripe.references += 1;
    this.counts = this.#stripe.counts;
    this.totals = this.#stripe.totals;
  }

  snapshot(): NativeHistogramSnapshot {
    this.#requireOpen();
    const total = (index: number): number => this.totals[index] ?? 0;
    return {
      counts: this.counts.slice(),
      sumNs: total(TOTAL.sum),
      minNs: Math.max(0, total(TOTAL.min) - 1),
      maxNs: total(TOTAL.max),
      outOfRange: total(TOTAL.outOfRange),
      invalid: total(TOTAL.invalid),
    };
  }

  record(valueNs: number): void {
    this.#requireOpen();
    recordValue(this.counts, this.totals, valueNs);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#stripe.references -= 1;
    if (this.#stripe.references === 0 && stripes.get(this.name) === this.#stripe) stripes.delete(this.name);
  }

  #requireOpen(): void {
    if (this.#closed) throw new NativeClosedError(`histogram ${this.name}`);
  }
}
