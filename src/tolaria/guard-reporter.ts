import { errorMessage } from '../core/errors.ts';
import type { ResolvedGuardOptions } from './guard-options.ts';
import type { GuardEvent, GuardEventBody, GuardStats } from './guard-types.ts';
import { Listeners } from './listeners.ts';
import type { Anomaly } from './step-judge.ts';

const PREFIX = 'tolaria.guard';

const COUNTER: Readonly<Record<GuardEventBody['type'], string>> = {
  anomaly: 'anomalies_total',
  rolledBack: 'rollbacks_total',
  noSnapshot: 'no_snapshot_total',
  restoreFailed: 'restore_failed_total',
  snapshot: 'snapshots_total',
  snapshotFailed: 'snapshot_failed_total',
  knownGood: 'known_good_total',
  quarantined: 'quarantined_total',
  rebased: 'rebased_total',
  cleared: 'cleared_total',
  clearDeferred: 'clear_deferred_total',
  halt: 'halts_total',
  foreignHalt: 'foreign_halts_total',
  environment: 'environment_errors_total',
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

const QUIET: readonly GuardEventBody['type'][] = ['snapshot', 'knownGood'];

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
    metrics.increment(`${PREFIX}.${COUNTER[body.type]}`);
    if (body.type === 'anomaly') this.#anomalies[KIND_COUNTER[body.anomaly.kind]] += 1;
    if (body.type === 'rolledBack') metrics.setGauge(`${PREFIX}.restore_ms`, body.durationMs);
    const event: GuardEvent = { ...body, step: this.#step(), monotonicNs: clock.monotonicNs() };
    this.#log(event);
    this.#listeners.emit(event);
  };

  #log(event: GuardEvent): void {
    const { type, step, monotonicNs: _, ...rest } = event;
    const error = 'error' in event ? { error: errorMessage(event.error) } : {};
    const fields = { ...rest, ...error, step };
    if (QUIET.includes(type)) this.#options.logger.debug(fields, `training guard: ${type}`);
    else this.#options.logger.warn(fields, `training guard: ${type}`);
  }
}
