import { randomUUID } from 'node:crypto';
import { errorCode, OptionError } from '../core/errors.ts';
import { EmergencyLevel } from '../leyline/messages.ts';
import type { EndScope, Phase, PhaseLimitsMs } from '../signals/index.ts';
import type { EmergencyRecord, EmergencySignal } from '../signals/types.ts';

const { EMERGENCY_LEVEL_ELEVATED } = EmergencyLevel;

export interface StepPulseOptions {
  readonly signal: EmergencySignal;
  readonly limitsMs: Partial<PhaseLimitsMs>;
  /** Silence after which the native thread raises ELEVATED, whether JavaScript runs or not; undefined: never. */
  readonly deadlineMs: number | undefined;
  readonly runId: string;
  /** Told when the flag fails beside the training, which goes on. */
  readonly onError: (error: unknown) => void;
}

/** What the host can see of the steps: a heartbeat with each, the phase, and a deadline that a hung step cannot hold up. */
export class StepPulse {
  readonly #options: StepPulseOptions;
  /** Codes of the errors that were told: a flag that fails with every step is told of once. */
  readonly #told = new Set<string>();
  #training = false;
  /** The signal was closed: there is no slot to beat in and no deadline any more. */
  #closed = false;
  #armed = false;
  /** Id that the native thread raises with; '' when there is none. Kept when arming failed: it may be half armed. */
  #armedId = '';
  /** Where the flag stood when it was searched for that id last. */
  #lookedAt = '';

  /** REQUIRES: the signal has joined. */
  constructor(options: StepPulseOptions) {
    this.#options = options;
    this.#try(() => options.signal.setLimits(options.limitsMs));
  }

  /** First of all with each step: from here on the native thread has nothing to raise for the step before. */
  beat(): void {
    if (this.#closed) return;
    try {
      this.#options.signal.heartbeat();
    } catch (error) {
      this.#fail(error);
    }
  }

  /** With each step that is no halt. Before the first one nothing is known about the pace: compiling may take minutes. */
  begin(): void {
    if (this.#training) return;
    this.#training = true;
    this.#try(() => this.#options.signal.phase('training'));
    this.arm();
  }

  /** Nothing is expected of a trainer that stopped for a HALT. */
  rest(): void {
    if (!this.#training) return;
    this.#training = false;
    this.#try(() => this.#options.signal.phase('idle'));
  }

  /** Judged by the limit of that phase, and by no step deadline. */
  during<T>(phase: Phase, run: () => T): T {
    if (this.#closed) return run();
    let begun = false;
    try {
      return this.#options.signal.during(phase, () => {
        begun = true;
        return run();
      });
    } catch (error) {
      if (begun) throw error;
      this.#fail(error);
      return run();
    }
  }

  /** Throws OptionError for a phase that does not exist. */
  suspend(phase: Phase | undefined): EndScope | undefined {
    let end: EndScope | undefined;
    this.#try(() => {
      end = this.#options.signal.suspend(phase);
    });
    return end;
  }

  /** Arms the native deadline unless it is. */
  arm(): void {
    const { signal, deadlineMs, runId } = this.#options;
    if (deadlineMs === undefined || this.#armed) return;
    if (this.#armedId === '') this.#armedId = `step-deadline-${randomUUID()}`;
    const reason = `no step for ${deadlineMs} ms, the training hangs`;
    const fields = { reason, origin: 'tolaria', runId, signalId: this.#armedId };
    this.#try(() => {
      this.#armed = signal.armHeartbeat(Math.ceil(deadlineMs), EMERGENCY_LEVEL_ELEVATED, fields);
    });
  }

  /** What was raised until now can still be taken. */
  disarm(): void {
    if (this.#armed) this.#try(() => this.#options.signal.disarmHeartbeat());
    this.#armed = false;
  }

  /** What the native thread has raised since it was armed, which then it is no longer; undefined: nothing. */
  takeRaised(): EmergencyRecord | undefined {
    const id = this.#armedId;
    if (id === '') return undefined;
    let raised: EmergencyRecord | undefined;
    this.#try(() => {
      if (this.#movedOn()) raised = this.#options.signal.find(id);
    });
    if (raised === undefined) return undefined;
    this.disarm();
    this.#armedId = '';
    return raised;
  }

  /** Another's emergency may stand for hours: the ring is searched when something came, not with each step. */
  #movedOn(): boolean {
    const { signal } = this.#options;
    const standsAt = `${signal.segmentId}/${signal.read().generation}`;
    if (standsAt === this.#lookedAt) return false;
    this.#lookedAt = standsAt;
    return true;
  }

  #try(run: () => void): void {
    if (this.#closed) return;
    try {
      run();
    } catch (error) {
      this.#fail(error);
    }
  }

  /** A caller's mistake is the caller's. What the environment does costs what it costs, and no more than that. */
  #fail(error: unknown): void {
    if (error instanceof OptionError) throw error;
    const code = errorCode(error) ?? '';
    if (code === 'ESPER_SIGNAL_CLOSED') this.#closed = true;
    if (this.#told.has(code)) return;
    this.#told.add(code);
    this.#options.onError(error);
  }
}
