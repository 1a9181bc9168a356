import { randomBytes } from 'node:crypto';
import type { NativeHistogram, NativeHistogramSnapshot } from '../contract.ts';
import { NativeClosedError } from '../errors.ts';
import { COUNTERS_COUNT, FIRST_BUCKET, recordValue, TOTAL } from '../histogram-buckets.ts';

interface Stripe {
  readonly nonce: string;
  readonly counters: Float64Array;
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
  readonly nonce: string;
  readonly counters: Float64Array;
  readonly #stripe: Stripe;
  #closed = false;

  constructor(name: string, readOnly = false) {
    this.name = name;
    this.#stripe = stripes.get(name) ?? {
      nonce: randomBytes(16).toString('hex'),
      counters: new Float64Array(COUNTERS_COUNT),
      references: 0,
    };
    stripes.set(name, this.#stripe);
    this.#stripe.references += 1;
    this.nonce = this.#stripe.nonce;
    this.counters = readOnly ? new Float64Array(COUNTERS_COUNT) : this.#stripe.counters;
  }

  snapshot(): NativeHistogramSnapshot {
    this.#requireOpen();
    const { counters } = this.#stripe;
    const total = (index: number): number => counters[index] ?? 0;
    return {
      counts: counters.slice(FIRST_BUCKET),
      sumNs: total(TOTAL.sum),
      minNs: Math.max(0, total(TOTAL.min) - 1),
      maxNs: total(TOTAL.max),
      outOfRange: total(TOTAL.outOfRange),
      invalid: total(TOTAL.invalid),
      // All opens write the same stripe, one after the other: this thread has no other.
      refusedWriters: 0,
    };
  }

  record(valueNs: number): void {
    this.#requireOpen();
    recordValue(this.counters, valueNs);
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
