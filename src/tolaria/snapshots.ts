import { errorMessage } from '../core/errors.ts';
import { refusePromise } from './callbacks.ts';
import { TolariaError } from './errors.ts';
import type { GuardEventBody } from './guard-types.ts';
import type { JudgeState, StepJudge } from './step-judge.ts';

export interface SnapshotOptions<S> {
  readonly snapshot: () => S;
  readonly release: ((snapshot: S) => void) | undefined;
  readonly checksum: ((snapshot: S) => string) | undefined;
  readonly snapshotEverySteps: number;
  readonly keepSnapshots: number;
  readonly confirmSteps: number;
  readonly maxAttempts: number;
}

export interface Snapshot<S> {
  readonly step: number;
  readonly state: S;
  /** The baseline as it was then: losses after a rollback are judged by those that led to it. */
  readonly judge: JudgeState;
  readonly checksum: string | undefined;
  attempts: number;
}

/**
 * In-memory snapshots. One that was just taken may hold damage that no loss has shown yet (the update of a step is
 * judged by the next step's loss), so it is a candidate until `confirmSteps` healthy steps have followed; an anomaly
 * before that drops it. At most one candidate at a time: memory is bounded by `keepSnapshots` + 1 copies.
 */
export class Snapshots<S> {
  readonly #options: SnapshotOptions<S>;
  readonly #judge: StepJudge;
  readonly #report: (event: GuardEventBody) => void;
  /** Oldest first. */
  #knownGood: Snapshot<S>[] = [];
  #candidate: Snapshot<S> | undefined;
  /** Only while there is no known-good one, so that the bound on copies holds. */
  #lastQuarantined: Snapshot<S> | undefined;
  /** Healthy steps until there is something to do again. */
  #countdown: number;
  #taken = 0;
  #quarantined = 0;

  constructor(options: SnapshotOptions<S>, judge: StepJudge, report: (event: GuardEventBody) => void) {
    this.#options = options;
    this.#judge = judge;
    this.#report = report;
    this.#countdown = options.snapshotEverySteps;
  }

  get taken(): number {
    return this.#taken;
  }

  get quarantined(): number {
    return this.#quarantined;
  }

  get newest(): Snapshot<S> | undefined {
    return this.#knownGood.at(-1);
  }

  /** Nothing that a rollback would restore, but all there is to save. */
  get lastQuarantined(): Snapshot<S> | undefined {
    return this.#lastQuarantined;
  }

  /** The state before the first step: there is nothing better to go back to, so it needs no confirmation. */
  takeInitial(step: number): void {
    this.#knownGood.push(this.#take(step));
  }

  /** One healthy step more. True when there is something to do: call `work`. */
  healthyStep(): boolean {
    this.#countdown -= 1;
    return this.#countdown <= 0;
  }

  /** Confirms, takes, drops: may take long. */
  work(step: number): void {
    const { snapshotEverySteps, confirmSteps } = this.#options;
    if (this.#candidate !== undefined) {
      this.#confirm(this.#candidate);
      this.#candidate = undefined;
      this.#countdown = snapshotEverySteps - confirmSteps;
      if (this.#countdown > 0) return;
    }
    try {
      this.#candidate = this.#take(step);
      this.#countdown = confirmSteps;
      this.#report({ type: 'snapshot' });
    } catch (cause) {
      // No memory for another copy must not end a training that is well: it has older snapshots.
      this.#countdown = snapshotEverySteps;
      const message = `snapshot at step ${step} failed: ${errorMessage(cause)}`;
      const error = new TolariaError('ESPER_TOLARIA_SNAPSHOT_FAILED', message, { cause });
      this.#report({ type: 'snapshotFailed', error });
    }
  }

  /** The loss is suspect: so is what was taken shortly before. */
  suspect(): void {
    if (this.#candidate !== undefined) this.#release(this.#candidate);
    this.#candidate = undefined;
    const { snapshotEverySteps, confirmSteps } = this.#options;
    this.#countdown = Math.min(snapshotEverySteps, confirmSteps);
  }

  /**
   * The newest known-good snapshot that may still be restored, its attempt counted; those that may not are put in
   * quarantine for good. A snapshot that the run fails after again and again is not the good one it seemed to be.
   */
  takeBest(): Snapshot<S> | undefined {
    for (;;) {
      const best = this.#knownGood.at(-1);
      if (best === undefined) return undefined;
      const cause = this.#refusal(best);
      if (cause === undefined) {
        best.attempts += 1;
        return best;
      }
      this.#knownGood.pop();
      this.#quarantined += 1;
      if (cause === 'attempts' && this.#knownGood.length === 0) this.#lastQuarantined = best;
      else this.#release(best);
      this.#report({ type: 'quarantined', snapshotStep: best.step, cause });
    }
  }

  close(): void {
    this.suspect();
    for (const snapshot of this.#knownGood) this.#release(snapshot);
    this.#knownGood = [];
    this.#dropQuarantined();
  }

  #refusal(snapshot: Snapshot<S>): 'attempts' | 'checksum' | undefined {
    if (snapshot.attempts >= this.#options.maxAttempts) return 'attempts';
    const { checksum } = this.#options;
    if (checksum === undefined) return undefined;
    try {
      return checksum(snapshot.state) === snapshot.checksum ? undefined : 'checksum';
    } catch (error) {
      this.#report({ type: 'environment', what: 'checksum of a snapshot', error });
      return 'checksum';
    }
  }

  #confirm(candidate: Snapshot<S>): void {
    const { keepSnapshots } = this.#options;
    // Until the baseline judges, an explosion looks healthy: what it leads to must not push out the initial state.
    const spare = candidate.judge.ready || this.#knownGood.length === 0 ? 0 : 1;
    if (spare === keepSnapshots || !this.#judge.confirms(candidate.judge, this.#options.confirmSteps)) {
      this.#release(candidate);
      return;
    }
    this.#dropQuarantined();
    this.#knownGood.push(candidate);
    if (this.#knownGood.length > keepSnapshots) {
      const [oldest] = this.#knownGood.splice(spare, 1);
      if (oldest !== undefined) this.#release(oldest);
    }
    this.#report({ type: 'knownGood', snapshotStep: candidate.step });
  }

  #dropQuarantined(): void {
    if (this.#lastQuarantined !== undefined) this.#release(this.#lastQuarantined);
    this.#lastQuarantined = undefined;
  }

  #take(step: number): Snapshot<S> {
    const state = this.#options.snapshot();
    refusePromise('snapshot', state);
    const checksum = this.#options.checksum?.(state);
    this.#taken += 1;
    return { step, state, judge: this.#judge.save(), checksum, attempts: 0 };
  }

  #release(snapshot: Snapshot<S>): void {
    try {
      this.#options.release?.(snapshot.state);
    } catch (error) {
      this.#report({ type: 'environment', what: 'release of a snapshot', error });
    }
  }
}
