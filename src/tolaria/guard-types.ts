import type { Clock } from '../core/clock.ts';
import type { FastpathError } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import type { Metrics } from '../core/metrics.ts';
import type { EmergencyLevel } from '../leyline/messages.ts';
import type { Phase, PhaseLimitsMs } from '../signals/index.ts';
import type { RollbackSignal } from '../signals/types.ts';
import type { EmergencyController } from './controller-types.ts';
import type { Anomaly } from './step-judge.ts';

/** What the guard is built from. `S` is whatever the trainer's snapshot is. */
export interface TrainingGuardOptions<S> {
  readonly controller: EmergencyController;
  /** A copy of everything that a step changes. Synchronous. Called once at construction and then between steps. */
  readonly snapshot: () => S;
  /** Puts exactly that state back. Synchronous. May be called more than once with the same snapshot. */
  readonly restore: (snapshot: S) => void;
  /** Called with each snapshot that the guard drops; for state that must be freed by hand. */
  readonly release?: (snapshot: S) => void;
  /** Taken with each snapshot and compared before a restore: finds one that was changed or aliases live state. */
  readonly checksum?: (snapshot: S) => string;

  /** Steps between snapshots, 1-1000000000; at least `confirmSteps` apart in any case. Default 1. */
  readonly snapshotEverySteps?: number;
  /** Known-good snapshots held, 1-1000; one more may be waiting to be confirmed. Default 2. */
  readonly keepSnapshots?: number;
  /** Healthy steps after a snapshot before it counts as known-good, 1-1000000. Default 5. */
  readonly confirmSteps?: number;
  /** False: none is taken at construction; then a failure before the first known-good is a HALT. Default true. */
  readonly initialSnapshot?: boolean;
  /** Step of the state at construction, a safe integer from 0. Default 0. */
  readonly initialStep?: number;
  /** Restores of one snapshot before it is quarantined, 1-1000. Default 2. */
  readonly maxAttempts?: number;

  /** Losses before the baseline judges, 1-64; before that only NaN, Inf and 1000 times the largest so far count. Default 20. */
  readonly warmupSteps?: number;
  /** A spike exceeds this many times the baseline, above 1 to 1000000, and `spikeSigmas`. Default 3. */
  readonly spikeFactor?: number;
  /** A spike exceeds the baseline by this many robust standard deviations, 0-1000000. Default 8. */
  readonly spikeSigmas?: number;
  /**
   * An explosion exceeds this many times the baseline, above 1 to 1000000, and the baseline by twice `spikeSigmas`
   * robust standard deviations. Default 15.
   */
  readonly explosionFactor?: number;
  /** The same for `gradNorm`. Default: only NaN and Inf count there. */
  readonly gradExplosionFactor?: number;
  /** The baseline never counts as less than this, in units of the loss; above 0. Default 1e-6. */
  readonly minBaselineLoss?: number;
  /** Nor as less than this share of the baseline at the end of the warm-up, 0-1. Default 0.1. */
  readonly baselineFloor?: number;
  /**
   * Loss at which this training began, above 0; stands in for the baseline at the end of the warm-up. For a run that
   * is resumed, whose own warm-up sees small losses only. Default: none.
   */
  readonly referenceLoss?: number;
  /** Spikes in a row after which the loss is taken for a new regime and learnt anew, 0 (never) to 1000000000. Default 256. */
  readonly regimeSteps?: number;

  /**
   * Longest time from one step() to the next, milliseconds, 1-86400000. When it passes, the native thread raises
   * ELEVATED although the step hangs; step() reports and publishes it. The guard's own work does not count, nor what
   * `suspendDeadline` suspends; `during` of the signal does. Default: not watched.
   */
  readonly stepDeadlineMs?: number;
  /**
   * How long this trainer may go without a step(), from the first on, before the supervisor reports it as silent; by
   * phase, see `Participation.setLimits`; 0: never. The guard's own work (snapshots, what an anomaly leads to) is
   * 'checkpointing', a restore 'restoring'. Default 300000 training and restoring, 1800000 checkpointing, 0 idle.
   */
  readonly phaseLimitsMs?: Partial<PhaseLimitsMs>;
  /** Healthy steps before the guard clears its own raise, 1-1000000. Default 20. */
  readonly healthySteps?: number;
  /** Rollbacks within `rollbackWindowMs`, or without `healthySteps` healthy steps in between; the next one is a HALT. 0-1000. Default 3. */
  readonly maxRollbacks?: number;
  /** Milliseconds, 1-86400000. Default 600000. */
  readonly rollbackWindowMs?: number;
  /** False: raise, never restore. Default true. */
  readonly rollbackEnabled?: boolean;
  /** With it, each restore runs under a native deadline that fires although the restore blocks the event loop. */
  readonly rollbackSignal?: RollbackSignal;
  /** Milliseconds, 1-3600000; used with `rollbackSignal`. Default 250. */
  readonly rollbackDeadlineMs?: number;
  /** True: a restore past its deadline raises HALT. Default true. */
  readonly haltOnRollbackDeadline?: boolean;

  /** True: a HALT that names another run id stops this training too. Default false: it is reported only. */
  readonly obeyForeignRuns?: boolean;
  /** Name of this trainer among the flag's participants, up to 64 bytes. Default: the run id. */
  readonly participantName?: string;
  readonly onEvent?: (event: GuardEvent) => void;
  /** Default: the controller's. */
  readonly clock?: Clock;
  readonly metrics?: Metrics;
  readonly logger?: Logger;
}

export interface StepReport {
  /** A safe integer from 0 that does not go back, except after a rollback: then down to the restored step. */
  readonly step: number;
  readonly loss: number;
  /** Norm of the gradients, from 0; NaN and Inf are anomalies. */
  readonly gradNorm?: number;
}

export type StepOutcome = 'continue' | 'rolledBack' | 'halt';

interface EventBase {
  /** Step that was reported when it happened. */
  readonly step: number;
  /** CLOCK_MONOTONIC, nanoseconds. */
  readonly monotonicNs: bigint;
}

/** Event of the guard; `GuardEventBody` is the part without the stamps. */
export type GuardEvent = GuardEventBody & EventBase;

export type GuardEventBody =
  /** Loss, gradient or pace of the training is out of bounds. `signalId`: the emergency it led to or belongs to. */
  | {
      readonly type: 'anomaly';
      readonly anomaly: Anomaly;
      readonly level: EmergencyLevel;
      readonly signalId: string;
    }
  | {
      readonly type: 'rolledBack';
      readonly toStep: number;
      /** How often this snapshot has been restored, from 1. */
      readonly attempt: number;
      readonly durationMs: number;
      /** The restore ended after its deadline. */
      readonly late: boolean;
      readonly signalId: string;
    }
  /** Nothing can be restored; a HALT follows. */
  | { readonly type: 'noSnapshot'; readonly signalId: string }
  | { readonly type: 'restoreFailed'; readonly toStep: number; readonly error: FastpathError }
  | { readonly type: 'snapshot' }
  | { readonly type: 'snapshotFailed'; readonly error: FastpathError }
  | { readonly type: 'knownGood'; readonly snapshotStep: number }
  | { readonly type: 'quarantined'; readonly snapshotStep: number; readonly cause: 'attempts' | 'checksum' }
  /** The loss stayed high without exploding; the baseline is learnt anew. */
  | { readonly type: 'rebased' }
  /** The run is well again and the guard took its own raise back. */
  | { readonly type: 'cleared'; readonly signalId: string }
  /** Somebody has not seen the raise yet, or raised too; tried again as long as the raise stands. */
  | {
      readonly type: 'clearDeferred';
      readonly outcome: 'unseen' | 'superseded';
      readonly waitingFor: readonly string[];
      /** Healthy steps until the next try; 0: none, the guard is closed and the raise stands. */
      readonly nextTrySteps: number;
    }
  | {
      readonly type: 'halt';
      readonly signalId: string;
      readonly reason: string;
      readonly acknowledged: boolean;
    }
  | { readonly type: 'foreignHalt'; readonly signalId: string; readonly runId: string }
  /** The flag, the rollback signal or a callback failed beside the training, which goes on. */
  | { readonly type: 'environment'; readonly what: string; readonly error: unknown };

export interface GuardStats {
  readonly steps: number;
  readonly spikes: number;
  readonly explosions: number;
  readonly nonFinite: number;
  readonly deadlineMisses: number;
  readonly rollbacks: number;
  readonly snapshots: number;
  readonly quarantined: number;
  /** Step of the newest known-good snapshot; undefined when there is none. */
  readonly knownGoodStep: number | undefined;
  /** Median of the recent losses and the losses from which on it is a spike and an explosion; undefined in warm-up. */
  readonly baseline:
    | { readonly loss: number; readonly spikeAt: number; readonly explosionAt: number }
    | undefined;
  /** The guard has raised something that it has not taken back yet. */
  readonly raised: boolean;
  readonly halted: boolean;
}

export interface TrainingGuard<S = unknown> {
  /**
   * To be called once each step, before or after the update. 'rolledBack': `restore` has been called, go on from
   * there, better with another learning rate or other data. 'halt': stop; the flag stands at HALT and this trainer
   * has acknowledged it. Throws `OptionError` on a report that no training can mean (wrong types, a step that goes
   * back) and TolariaError ESPER_TOLARIA_CLOSED after close(); never for what the environment does.
   */
  step(report: StepReport): StepOutcome;
  /**
   * Newest snapshot that a rollback would restore, for saving it when the training halts; when all are in quarantine,
   * the last one that went there for its attempts.
   */
  lastKnownGood(): { readonly step: number; readonly snapshot: S } | undefined;
  /**
   * The time until the returned function is called does not count for the step deadline, nor is this trainer judged by
   * others; for validation, saving. The time before it counts. `phase`: what it does meanwhile, for those who look.
   * Throws `OptionError` when there is no such phase.
   */
  suspendDeadline(phase?: Phase): () => void;
  stats(): GuardStats;
  /**
   * Leaves the flag's participants, drops the snapshots. Takes back what the native thread raised since the last step()
   * when nothing else of this guard stands; what step() knew of is left standing. Idempotent.
   */
  close(): void;
}
