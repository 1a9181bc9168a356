import { OptionError } from '../core/errors.ts';
import { EmergencyLevel } from '../leyline/messages.ts';
import type { Phase } from '../signals/index.ts';
import type { EmergencySignal } from '../signals/types.ts';
import { TolariaError } from './errors.ts';
import { type ResolvedGuardOptions, resolveGuardOptions } from './guard-options.ts';
import { GuardReporter } from './guard-reporter.ts';
import type {
  GuardStats,
  StepOutcome,
  StepReport,
  TrainingGuard,
  TrainingGuardOptions,
} from './guard-types.ts';
import { HaltWatch } from './halt-watch.ts';
import { OwnRaise } from './own-raise.ts';
import { RollbackBudget, runRestore } from './rollback.ts';
import { Snapshots } from './snapshots.ts';
import { type Anomaly, describeAnomaly, StepJudge } from './step-judge.ts';
import { StepPace } from './step-pace.ts';
import { refuseReport, refuseTypes } from './step-report.ts';

const { EMERGENCY_LEVEL_ELEVATED, EMERGENCY_LEVEL_CONSERVATIVE, EMERGENCY_LEVEL_HALT } = EmergencyLevel;

/**
 * Watches one training through its `step()` calls. A spike of the loss raises ELEVATED; an explosion, NaN or Inf
 * raises CONSERVATIVE and restores the last known-good snapshot; a spent rollback budget, nothing left to restore, a
 * restore that throws and one past its deadline raise HALT. Takes the initial snapshot before it returns.
 * Throws `OptionError` on bad options, TolariaError ESPER_TOLARIA_ASYNC_CALLBACK when `snapshot` is asynchronous,
 * ESPER_TOLARIA_SIGNAL_IN_USE or ESPER_SIGNAL_ALREADY_JOINED when the controller's signal object has joined for
 * somebody else (each guard needs a signal object of its own), and whatever `snapshot` throws.
 */
export function createTrainingGuard<S>(options: TrainingGuardOptions<S>): TrainingGuard<S> {
  return new Guard(resolveGuardOptions(options));
}

class Guard<S> implements TrainingGuard<S> {
  readonly #options: ResolvedGuardOptions<S>;
  readonly #signal: EmergencySignal;
  readonly #reporter: GuardReporter;
  readonly #judge: StepJudge;
  readonly #snapshots: Snapshots<S>;
  readonly #own: OwnRaise;
  readonly #watch: HaltWatch;
  readonly #budget: RollbackBudget;
  readonly #pace: StepPace;
  #lastStep: number;
  #steps = 0;
  #rollbacks = 0;
  #spikesInARow = 0;
  /** The last step() said 'halt'. */
  #halted = false;
  /** The guard wanted a HALT that the flag could not take: nothing but a new guard ends it. */
  #haltedAlone = false;
  #closed = false;

  constructor(options: ResolvedGuardOptions<S>) {
    const { controller, initialStep, stepDeadlineMs, clock, participantName, obeyForeignRuns } = options;
    this.#options = options;
    this.#signal = controller.signal;
    this.#lastStep = initialStep;
    this.#reporter = new GuardReporter(options, () => this.#lastStep);
    const report = this.#reporter.report;
    this.#judge = new StepJudge(options);
    this.#snapshots = new Snapshots(options, this.#judge, report);
    if (options.initialSnapshot) this.#snapshots.takeInitial(initialStep);
    this.#own = new OwnRaise(controller, options.healthySteps, report);
    this.#budget = new RollbackBudget(options.maxRollbacks, options.rollbackWindowMs, clock);
    // Last: a constructor that throws must leave no participant behind.
    try {
      this.#watch = new HaltWatch({ controller, participantName, obeyForeignRuns, report });
    } catch (error) {
      this.#snapshots.close();
      throw error;
    }
    this.#pace = new StepPace({
      signal: this.#signal,
      own: this.#own,
      clock,
      deadlineMs: stepDeadlineMs,
      limitsMs: options.phaseLimitsMs,
      runId: controller.runId,
      step: () => this.#lastStep,
      report,
    });
  }

  step(report: StepReport): StepOutcome {
    if (typeof report !== 'object' || report === null) refuseReport(report);
    const { step, loss, gradNorm } = report;
    if (typeof loss !== 'number' || (gradNorm !== undefined && typeof gradNorm !== 'number'))
      refuseTypes(report);
    if (!Number.isSafeInteger(step) || step < this.#lastStep || this.#closed) this.#refuseStep(step);
    this.#lastStep = step;
    this.#steps += 1;
    this.#pace.beat();
    if (this.#signal.level() !== 0 || this.#halted) {
      this.#halted = this.#mustStop();
      if (this.#halted) return this.#rest();
    }
    this.#pace.goOn();
    if (!this.#judge.accept(loss, gradNorm)) return this.#unhealthy(report);
    this.#spikesInARow = 0;
    if (this.#own.open && this.#own.healthyStep(step)) this.#recovered();
    if (this.#snapshots.healthyStep()) this.#pace.ownWork(() => this.#snapshots.work(step));
    return 'continue';
  }

  lastKnownGood(): { readonly step: number; readonly snapshot: S } | undefined {
    const best = this.#snapshots.newest ?? this.#snapshots.lastQuarantined;
    return best === undefined ? undefined : { step: best.step, snapshot: best.state };
  }

  suspendDeadline(phase?: Phase): () => void {
    return this.#closed ? () => undefined : this.#pace.suspend(phase);
  }

  stats(): GuardStats {
    return Object.freeze({
      ...this.#reporter.anomalies(),
      steps: this.#steps,
      rollbacks: this.#rollbacks,
      snapshots: this.#snapshots.taken,
      quarantined: this.#snapshots.quarantined,
      knownGoodStep: this.#snapshots.newest?.step,
      baseline: this.#judge.limits(),
      raised: this.#own.open,
      halted: this.#halted,
    });
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#pace.close(() => this.#watch.close());
    this.#snapshots.close();
  }

  #mustStop(): boolean {
    if (this.#haltedAlone) return true;
    if (this.#signal.level() !== 0) return this.#watch.mustStop();
    this.#watch.resume();
    return false;
  }

  #recovered(): void {
    this.#budget.recovered();
    this.#pace.recovered();
  }

  #rest(): 'halt' {
    this.#pace.rest();
    return 'halt';
  }

  #unhealthy(report: StepReport): StepOutcome {
    const { loss, gradNorm } = report;
    if (gradNorm !== undefined && gradNorm < 0) refuseTypes(report);
    const anomaly = this.#judge.inspect(loss, gradNorm);
    const outcome = this.#pace.ownWork(() => this.#respond(anomaly));
    this.#halted = outcome === 'halt';
    return this.#halted ? this.#rest() : outcome;
  }

  #respond(anomaly: Anomaly): StepOutcome {
    this.#snapshots.suspect();
    return anomaly.kind === 'spike' ? this.#spike(anomaly) : this.#failure(anomaly);
  }

  #spike(anomaly: Anomaly): StepOutcome {
    this.#own.ensure(EMERGENCY_LEVEL_ELEVATED, this.#reasonFor(anomaly));
    this.#reportAnomaly(anomaly, EMERGENCY_LEVEL_ELEVATED);
    this.#spikesInARow += 1;
    if (this.#spikesInARow === this.#options.regimeSteps) {
      // For good at this height, the loss is what it is now; against the old baseline it would be ill for ever.
      this.#judge.rebase();
      this.#reporter.report({ type: 'rebased' });
    }
    return 'continue';
  }

  /** Explosion, NaN or Inf: flag first, then the model. */
  #failure(anomaly: Anomaly): StepOutcome {
    this.#spikesInARow = 0;
    const fields = this.#reasonFor(anomaly);
    if (!this.#options.rollbackEnabled) {
      this.#own.ensure(EMERGENCY_LEVEL_CONSERVATIVE, fields);
      this.#reportAnomaly(anomaly, EMERGENCY_LEVEL_CONSERVATIVE);
      return 'continue';
    }
    this.#own.raise(EMERGENCY_LEVEL_CONSERVATIVE, fields);
    this.#reportAnomaly(anomaly, EMERGENCY_LEVEL_CONSERVATIVE);
    if (this.#budget.spend()) return this.#rollBack(fields.reason);
    const { maxRollbacks, rollbackWindowMs } = this.#options;
    const budget = `${maxRollbacks} in ${rollbackWindowMs / 1000} s or in a row`;
    return this.#halt(`rollback budget of ${budget} is spent: ${fields.reason}`);
  }

  #rollBack(reason: string): StepOutcome {
    const { controller, restore, rollbackSignal, rollbackDeadlineMs, clock } = this.#options;
    const signalId = this.#own.signalId;
    const snapshot = this.#snapshots.takeBest();
    if (snapshot === undefined) {
      this.#reporter.report({ type: 'noSnapshot', signalId });
      return this.#halt(`nothing is left to restore: ${reason}`);
    }
    const onSignalError = (error: unknown): void => this.#reportSignalError(error);
    const { runId } = controller;
    const request = { requestId: signalId, reason };
    const options = { restore, rollbackSignal, rollbackDeadlineMs, runId, clock, onSignalError };
    const result = this.#pace.restoring(() => runRestore(snapshot, request, options));
    if (result.outcome === 'failed') {
      this.#reporter.report({ type: 'restoreFailed', toStep: snapshot.step, error: result.error });
      return this.#halt(`${result.error.message}, after ${reason}`);
    }
    const { durationMs, late } = result;
    this.#judge.restore(snapshot.judge);
    this.#rollbacks += 1;
    const { step: toStep, attempts: attempt } = snapshot;
    this.#reporter.report({ type: 'rolledBack', toStep, attempt, durationMs, late, signalId });
    if (late) return this.#late(toStep, durationMs, reason);
    this.#lastStep = toStep;
    return 'rolledBack';
  }

  #late(toStep: number, durationMs: number, reason: string): StepOutcome {
    const { rollbackDeadlineMs, haltOnRollbackDeadline } = this.#options;
    const overrun = `restore of step ${toStep} took ${Math.round(durationMs)} ms, at most ${rollbackDeadlineMs} ms are allowed`;
    if (haltOnRollbackDeadline) return this.#halt(`${overrun}; after ${reason}`);
    this.#lastStep = toStep;
    this.#clearExpired(overrun);
    return 'rolledBack';
  }

  /** An expired rollback that is tolerated must not look like one that still hangs. */
  #clearExpired(reason: string): void {
    try {
      this.#options.rollbackSignal?.clear({ reason, origin: 'tolaria' });
    } catch (error) {
      this.#reportSignalError(error);
    }
  }

  #halt(reason: string): StepOutcome {
    const escalation = this.#own.raise(EMERGENCY_LEVEL_HALT, { reason, step: this.#lastStep });
    this.#haltedAlone = escalation.error !== undefined;
    const { signalId } = escalation;
    if (this.#haltedAlone) this.#reporter.report({ type: 'halt', signalId, reason, acknowledged: false });
    else this.#watch.mustStop();
    return 'halt';
  }

  #reportSignalError(error: unknown): void {
    this.#reporter.report({ type: 'environment', what: 'rollback signal', error });
  }

  #reasonFor(anomaly: Anomaly): { readonly reason: string; readonly step: number } {
    return { reason: describeAnomaly(anomaly, this.#lastStep), step: this.#lastStep };
  }

  #reportAnomaly(anomaly: Anomaly, level: EmergencyLevel): void {
    this.#reporter.report({ type: 'anomaly', anomaly, level, signalId: this.#own.signalId });
  }

  #refuseStep(step: number): never {
    if (this.#closed)
      throw new TolariaError('ESPER_TOLARIA_CLOSED', 'TrainingGuard.step: the guard is closed');
    const from = this.#lastStep;
    throw new OptionError(
      `TrainingGuard.step: step must be a safe integer from ${from} on, got ${String(step)}`,
    );
  }
}
