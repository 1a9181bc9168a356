import { errorMessage } from '../core/errors.ts';
import type { ResolvedGuardOptions } from './guard-options.ts';
import type { GuardEvent, GuardEventBody, GuardStats } from './guard-types.ts';
import { Listeners } from './listeners.ts';
import type { Anomaly } from './step-judge.ts';

const PREFIX = 'tolaria.guard';

const COUNTER: Readonly<Record<GuardEventBody['type'], string>> = {
  anomaly: `${PREFIX}.anomalies_total`,
  rolledBack: `${PREFIX}.rollbacks_total`,
  noSnapshot: `${PREFIX}.no_snapshot_total`,
  restoreFailed: `${PREFIX}.restore_failed_total`,
  snapshot: `${PREFIX}.snapshots_total`,
  snapshotFailed: `${PREFIX}.snapshot_failed_total`,
  knownGood: `${PREFIX}.known_good_total`,
  quarantined: `${PREFIX}.quarantined_total`,
  rebased: `${PREFIX}.rebased_total`,
  cleared: `${PREFIX}.cleared_total`,
  clearDeferred: `${PREFIX}.clear_deferred_total`,
  halt: `${PREFIX}.halts_total`,
  foreignHalt: `${PREFIX}.foreign_halts_total`,
  environment: `${PREFIX}.environment_errors_total`,
};

const KIND_COUNTER: Readonly<
  Record<Anomaly['kind'], 'spikes' | 'explosions' | 'nonFinite' | 'deadlineMisses'>
> = {
  spike: 'spikes',
  explosion: 'explosions',
  nan: 'nonFinite',
  infinite: 'nonFinite',
  deadline: 'deadlineMisses',
};

type ReporterOptions = Pick<ResolvedGuardOptions<unknown>, 'clock' | 'metrics' | 'logger' | 'onEvent'>;

/** Counts, logs and tells what happens in a guard; nothing here reaches the training as an exception. */
export class GuardReporter {
  readonly #options: ReporterOptions;
  readonly #step: () => number;
  readonly #listeners: Listeners<GuardEvent>;
  readonly #anomalies = { spikes: 0, explosions: 0, nonFinite: 0, deadlineMisses: 0 };

  /** `step`: the step that was reported last. */
  constructor(options: ReporterOptions, step: () => number) {
    this.#options = options;
    this.#step = step;
    const { metrics, logger, onEvent } = options;
    this.#listeners = new Listeners('TrainingGuard', `${PREFIX}.listener_errors_total`, metrics, logger);
    if (onEvent !== undefined) this.#listeners.add(onEvent);
  }

  anomalies(): Pick<GuardStats, 'spikes' | 'explosions' | 'nonFinite' | 'deadlineMisses'> {
    return this.#anomalies;
  }

  readonly report = (body: GuardEventBody): void => {
    const { metrics, clock } = this.#options;
    metrics.increment(COUNTER[body.type]);
    if (body.type === 'anomaly') this.#anomalies[KIND_COUNTER[body.anomaly.kind]] += 1;
    if (body.type === 'rolledBack') metrics.setGauge(`${PREFIX}.restore_ms`, body.durationMs);
    const step = this.#step();
    this.#log(body, step);
    // A snapshot a step means two events a step.
    if (this.#listeners.any) this.#listeners.emit({ ...body, step, monotonicNs: clock.monotonicNs() });
  };

  #log(body: GuardEventBody, step: number): void {
    const { logger } = this.#options;
    if (body.type === 'snapshot') {
      logger.debug({ step }, 'training guard: snapshot');
      return;
    }
    const { type, ...rest } = body;
    const error = 'error' in body ? { error: errorMessage(body.error) } : {};
    const fields = { ...rest, ...error, step };
    if (type === 'knownGood') logger.debug(fields, 'training guard: knownGood');
    else logger.warn(fields, `training guard: ${type}`);
  }
}
