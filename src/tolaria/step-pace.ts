import { type Clock, systemClock } from '../core/clock.ts';
import { EmergencyLevel } from '../leyline/messages.ts';
import type { Phase, PhaseLimitsMs } from '../signals/index.ts';
import type { EmergencySignal } from '../signals/types.ts';
import type { GuardEventBody } from './guard-types.ts';
import type { OwnRaise } from './own-raise.ts';
import { StepClock } from './step-clock.ts';
import { type Anomaly, describeAnomaly } from './step-judge.ts';
import { StepPulse } from './step-pulse.ts';

const { EMERGENCY_LEVEL_ELEVATED: ELEVATED } = EmergencyLevel;

export interface StepPaceOptions {
  readonly signal: EmergencySignal;
  readonly own: OwnRaise;
  readonly clock: Clock;
  /** Undefined: the pace is not watched and no clock is read. */
  readonly deadlineMs: number | undefined;
  readonly limitsMs: Partial<PhaseLimitsMs>;
  readonly runId: string;
  /** The step that was reported last. */
  readonly step: () => number;
  readonly report: (event: GuardEventBody) => void;
}

/**
 * Whether the steps come in time. The native thread judges by heartbeat and phase, so that a hang is raised while it
 * lasts; step() measures the same time by the clock, for a host whose native thread did not run. What does not count
 * for one of them (the guard's own work, a suspension, a HALT) must not count for the other: it is said here to both.
 * Whichever raises, the raise is the guard's own, and taken back with the others.
 */
export class StepPace {
  readonly #options: StepPaceOptions;
  readonly #pulse: StepPulse;
  readonly #clock: StepClock | undefined;
  readonly #limitNs: bigint;
  /** Of this step; 0: in time. */
  #gapMs = 0;
  /** When step() raised by itself: the native thread may be about to raise for the same silence. */
  #noticedNs: bigint | undefined;

  /** REQUIRES: the signal has joined. */
  constructor(options: StepPaceOptions) {
    const { signal, limitsMs, runId, clock, deadlineMs, report } = options;
    this.#options = options;
    const what = 'heartbeat (emergency flag)';
    const onError = (error: unknown): void => report({ type: 'environment', what, error });
    this.#pulse = new StepPulse({ signal, limitsMs, deadlineMs, runId, onError });
    this.#clock = deadlineMs === undefined ? undefined : new StepClock(clock, deadlineMs);
    this.#limitNs = BigInt(Math.ceil((deadlineMs ?? 0) * 1e6));
  }

  /** First of all with each step, whatever becomes of it. Then what the native thread has raised is the guard's. */
  beat(): void {
    this.#pulse.beat();
    if (this.#clock !== undefined) this.#look(this.#clock);
  }

  /** With each step that is no halt. */
  goOn(): void {
    this.#pulse.begin();
    if (this.#gapMs !== 0) this.#raise(this.#gapMs);
  }

  /** The training stopped for a HALT; nobody knows how long. */
  rest(): void {
    this.#pulse.rest();
    this.#clock?.forget();
    this.#gapMs = 0;
  }

  /** What the guard does between two steps is not the step's, however long it takes. */
  ownWork<T>(run: () => T): T {
    const result = this.#pulse.during('checkpointing', run);
    this.#clock?.restart();
    return result;
  }

  restoring<T>(run: () => T): T {
    return this.#pulse.during('restoring', run);
  }

  /** What came before counts. Throws OptionError for a phase that does not exist. */
  suspend(phase: Phase | undefined): () => void {
    const endPhase = this.#pulse.suspend(phase);
    if (this.#clock === undefined) return () => endPhase?.();
    this.#look(this.#clock);
    if (this.#gapMs !== 0) this.#raise(this.#gapMs);
    const endGap = this.#clock.suspend();
    return () => {
      endGap();
      endPhase?.();
    };
  }

  /** The run has been well for a while: what was disarmed is armed again, whether the raise could be cleared or not. */
  recovered(): void {
    this.#pulse.arm();
  }

  /** `leave` ends the participation. A raise that came since the last step, and is all the guard has, is taken back. */
  close(leave: () => void): void {
    const { own, signal, step } = this.#options;
    this.#pulse.disarm();
    leave();
    const alone = !own.open;
    if (this.#clock === undefined || signal.level() === 0 || !this.#adoptRaised()) return;
    if (alone) own.takeBack(`the training was closed after step ${step()}`, step());
  }

  #look(clock: StepClock): void {
    this.#gapMs = clock.tooLong();
    if (this.#gapMs === 0 && this.#options.signal.level() === 0) return;
    if (this.#adoptRaised()) this.#gapMs = 0;
  }

  #adoptRaised(): boolean {
    const raised = this.#pulse.takeRaised();
    if (raised === undefined) return false;
    this.#options.own.adopt(raised.level, raised.signalId);
    const noticedNs = this.#noticedNs;
    this.#noticedNs = undefined;
    // One silence is one anomaly, although both have raised.
    const again = noticedNs !== undefined && raised.monotonicNs < noticedNs + this.#limitNs;
    if (!again || this.#gapMs !== 0) this.#reportLate(this.#anomaly(this.#gapMs));
    return true;
  }

  #raise(gapMs: number): void {
    const { own, step } = this.#options;
    const anomaly = this.#anomaly(gapMs);
    this.#gapMs = 0;
    this.#noticedNs = systemClock.monotonicNs();
    own.ensure(ELEVATED, { reason: describeAnomaly(anomaly, step()), step: step() });
    this.#reportLate(anomaly);
  }

  /** `gapMs` 0: the native thread has raised, and how long it was does not count or is not known. */
  #anomaly(gapMs: number): Anomaly {
    const limit = this.#options.deadlineMs ?? 0;
    return { kind: 'deadline', of: 'gap', value: gapMs === 0 ? limit : gapMs, limit };
  }

  #reportLate(anomaly: Anomaly): void {
    const { own, report } = this.#options;
    report({ type: 'anomaly', anomaly, level: ELEVATED, signalId: own.signalId });
  }
}
