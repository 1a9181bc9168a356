import type { Metrics } from '../../src/core/metrics.ts';

/** How a request that handed in a payload ended. */
export type Outcome =
  /** 200: every emitter has it. */
  | 'delivered'
  /** 503 with Retry-After: nobody will ever see it. */
  | 'refused'
  /** 4xx: the request makes no sense. */
  | 'rejected'
  /** The client was gone before its answer. */
  | 'abandoned';

export interface Account extends Readonly<Record<Outcome, number>> {
  readonly received: number;
}

/** received = delivered + refused + rejected + abandoned, plus what is under way. */
export class Books {
  readonly #metrics: Metrics;
  readonly #counts = { received: 0, delivered: 0, refused: 0, rejected: 0, abandoned: 0 };

  constructor(metrics: Metrics) {
    this.#metrics = metrics;
    for (const name of Object.keys(this.#counts)) metrics.increment(`relay.payloads.${name}_total`, 0);
  }

  received(): void {
    this.#count('received');
  }

  ended(outcome: Outcome): void {
    this.#count(outcome);
  }

  account(): Account {
    return { ...this.#counts };
  }

  #count(name: keyof Account): void {
    this.#counts[name] += 1;
    this.#metrics.increment(`relay.payloads.${name}_total`);
  }
}
