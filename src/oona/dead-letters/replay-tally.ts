import type { Logger } from '../../core/logger.ts';
import type { Metrics } from '../../core/metrics.ts';
import type { DeadLetter } from './letter.ts';
import type { EngineFailure, ReplayReport, ReplayResult } from './types.ts';

const METRICS: Readonly<Record<ReplayResult['outcome'], string>> = Object.freeze({
  replayed: 'oona.dead_letters.replayed_total',
  'already-replayed': 'oona.dead_letters.already_replayed_total',
  refused: 'oona.dead_letters.replay_refused_total',
  'not-found': 'oona.dead_letters.replay_not_found_total',
  failed: 'oona.dead_letters.replay_failed_total',
});

/** Counts and logs what became of each letter of one replay. */
export class ReplayTally {
  readonly #metrics: Metrics;
  readonly #logger: Logger;
  readonly #results: ReplayResult[] = [];
  #failure: EngineFailure | undefined;
  #more = false;

  constructor(metrics: Metrics, logger: Logger) {
    this.#metrics = metrics;
    this.#logger = logger;
  }

  get size(): number {
    return this.#results.length;
  }

  get failure(): EngineFailure | undefined {
    return this.#failure;
  }

  add(result: ReplayResult, letter?: DeadLetter): void {
    const { outcome, letterId } = result;
    this.#results.push(result);
    this.#metrics.increment(METRICS[outcome]);
    const fields = { letterId, outcome, origin: letter?.originStream, cause: letter?.reason };
    switch (result.outcome) {
      case 'replayed':
      case 'already-replayed':
        if (result.asIs) this.#metrics.increment('oona.dead_letters.replayed_as_is_total');
        if (!result.removed) this.#metrics.increment('oona.dead_letters.remove_failed_total');
        this.#logger.info(
          { ...fields, entryId: result.entryId, asIs: result.asIs, removed: result.removed },
          'dead letter replayed',
        );
        return;
      case 'failed': {
        const { code, reason, retryable } = result;
        this.#failure = { code, reason, retryable };
        this.#logger.warn({ ...fields, code }, `dead letter not replayed: ${reason}`);
        return;
      }
      case 'refused':
        this.#logger.info({ ...fields, code: result.code }, `replay refused: ${result.reason}`);
        return;
      case 'not-found':
        this.#logger.info(fields, 'no such dead letter');
    }
  }

  /** Letters were left that the filter means. */
  endEarly(): void {
    this.#more = true;
  }

  /** The letters themselves could not be read. */
  fail(failure: EngineFailure): void {
    this.#failure = failure;
    this.#more = true;
    this.#metrics.increment(METRICS.failed);
    this.#logger.warn({ code: failure.code }, `dead letters not read: ${failure.reason}`);
  }

  report(): ReplayReport {
    const count = (outcome: ReplayResult['outcome']): number =>
      this.#results.filter((result) => result.outcome === outcome).length;
    return {
      replayed: count('replayed'),
      alreadyReplayed: count('already-replayed'),
      refused: count('refused'),
      notFound: count('not-found'),
      failed: count('failed'),
      results: this.#results,
      more: this.#more,
      ...(this.#failure && { failure: this.#failure }),
    };
  }
}
