import { randomUUID } from 'node:crypto';
import { EmergencyLevel } from '../leyline/messages.ts';
import type { EndScope, Phase, PhaseLimitsMs } from '../signals/index.ts';
import type { EmergencySignal } from '../signals/types.ts';

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
  #training = false;
  #broken = false;
  /** Id that the native thread raises with; '' while it is not armed. */
  #armedId = '';

  /** REQUIRES: the signal has joined. */
  constructor(options: StepPulseOptions) {
    this.#options = options;
    this.#try(() => options.signal.setLimits(options.limitsMs));
  }

  /** With each step, and when the guard's own work between two steps ends. */
  beat(): void {
    // Before the first step nothing is known about the pace: compiling a model may take minutes.
    if (this.#training && !this.#broken) {
      try {
        this.#options.signal.heartbeat();
      } catch (error) {
        this.#fail(error);
      }
    } else if (!this.#broken) this.#begin();
  }

  /** Nothing is expected of a trainer that stopped for a HALT. */
  rest(): void {
    if (!this.#training) return;
    this.#training = false;
    this.#try(() => this.#options.signal.phase('idle'));
  }

  /** Judged by the limit of its own phase. */
  restoring<T>(run: () => T): T {
    return this.#broken ? run() : this.#options.signal.during('restoring', run);
  }

  suspend(phase: Phase | undefined): EndScope | undefined {
    let end: EndScope | undefined;
    this.#try(() => {
      end = this.#options.signal.suspend(phase);
    });
    return end;
  }

  /** Arms the native deadline unless it is: call when nothing of the guard's stands on the flag. */
  arm(): void {
    const { signal, deadlineMs, runId } = this.#options;
    if (deadlineMs === undefined || this.#armedId !== '' || this.#broken) return;
    const id = `step-deadline-${randomUUID()}`;
    const reason = `no step for ${deadlineMs} ms, the training hangs`;
    const fields = { reason, origin: 'tolaria', runId, signalId: id };
    this.#try(() => {
      if (signal.armHeartbeat(Math.ceil(deadlineMs), EMERGENCY_LEVEL_ELEVATED, fields)) this.#armedId = id;
    });
  }

  /** Id of what the native thread has raised since it was armed, and then no longer armed; undefined: nothing. */
  takeRaised(): string | undefined {
    const id = this.#armedId;
    let raised = false;
    if (id !== '')
      this.#try(() => {
        raised = this.#options.signal.find(id) !== undefined;
      });
    if (!raised) return undefined;
    this.close();
    return id;
  }

  close(): void {
    if (this.#armedId === '') return;
    this.#armedId = '';
    this.#try(() => this.#options.signal.disarmHeartbeat());
  }

  #begin(): void {
    this.#training = true;
    this.#try(() => this.#options.signal.phase('training'));
    this.arm();
  }

  #try(run: () => void): void {
    if (this.#broken) return;
    try {
      run();
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Once, not with every step that follows. */
  #fail(error: unknown): void {
    this.#broken = true;
    this.#options.onError(error);
  }
}
