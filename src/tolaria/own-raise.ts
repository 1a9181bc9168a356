import { EmergencyLevel } from '../leyline/messages.ts';
import type { EmergencyController, Escalation } from './controller-types.ts';
import { raisesBehind } from './flag-access.ts';
import type { GuardEventBody } from './guard-types.ts';
import { withdrawalReasons, withdrawnOf } from './withdrawal.ts';

const NOTICE = EmergencyLevel.EMERGENCY_LEVEL_NOTICE;
/** Clears that are refused are tried ever more rarely, at least every so many times `healthySteps`. */
const MAX_WAIT_FACTOR = 16;

/**
 * What the guard itself has raised, so that it takes back that and nothing else: once the run has been well for
 * `healthySteps` steps, and only while no raise of anybody else stands that was not withdrawn.
 */
export class OwnRaise {
  readonly #controller: EmergencyController;
  readonly #healthySteps: number;
  readonly #report: (event: GuardEventBody) => void;
  readonly #ids = new Set<string>();
  #level = 0;
  #signalId = '';
  /** The flag took the latest raise, so its level can be believed. */
  #onFlag = true;
  /** Healthy steps since the run was last not well, and as many as the next clear waits for. */
  #healthy = 0;
  #nextTry = 0;
  #wait = 0;

  constructor(
    controller: EmergencyController,
    healthySteps: number,
    report: (event: GuardEventBody) => void,
  ) {
    this.#controller = controller;
    this.#healthySteps = healthySteps;
    this.#report = report;
    this.#restart();
  }

  /** Something is raised and not taken back. */
  get open(): boolean {
    return this.#level > 0;
  }

  /** Of the latest raise; '' when there is none. */
  get signalId(): string {
    return this.#signalId;
  }

  raise(level: EmergencyLevel, fields: { readonly reason: string; readonly step: number }): Escalation {
    const escalation = this.#controller.escalate(level, fields);
    this.#ids.add(escalation.signalId);
    this.#level = Math.max(this.#level, level);
    this.#signalId = escalation.signalId;
    this.#onFlag = escalation.error === undefined;
    this.#restart();
    return escalation;
  }

  /** Takes over what the native thread has raised for this guard; nobody but this host knows of it yet. */
  adopt(level: EmergencyLevel, signalId: string): void {
    this.#controller.announce(signalId);
    this.#ids.add(signalId);
    this.#level = Math.max(this.#level, level);
    this.#signalId = signalId;
    this.#onFlag = true;
    this.#restart();
  }

  /**
   * Raises unless this episode has reached the level already: a loss that stays high for a thousand steps is one
   * emergency, and a thousand records would push those of others out of the ring.
   */
  ensure(level: EmergencyLevel, fields: { readonly reason: string; readonly step: number }): void {
    const cleared = this.#onFlag && this.#controller.level < level;
    if (this.#level < level || cleared) this.raise(level, fields);
    this.#restart();
  }

  /** Call while `open`. True when the run has been well for `healthySteps` steps more. */
  healthyStep(step: number): boolean {
    this.#healthy += 1;
    if (this.#healthy % this.#healthySteps !== 0) return false;
    if (this.#healthy >= this.#nextTry) {
      this.#wait = Math.min(this.#wait * 2, this.#healthySteps * MAX_WAIT_FACTOR);
      this.#nextTry = this.#healthy + this.#wait;
      const reason = `training is well again: ${this.#healthy} healthy steps up to step ${step}`;
      this.#tryClear(reason, step, this.#wait);
    }
    return true;
  }

  /** Call when no step follows: one try. */
  takeBack(reason: string, step: number): void {
    this.#tryClear(reason, step, 0);
  }

  #tryClear(reason: string, step: number, nextTrySteps: number): void {
    try {
      const result = this.#controller.clear({ reason, raisedBy: this.#ids });
      if (result.outcome === 'cleared') this.#report({ type: 'cleared', signalId: result.signalId });
      if (result.outcome === 'cleared' || result.outcome === 'not-set') {
        this.#forget();
        return;
      }
      if (result.outcome === 'superseded' && !this.#withdraw(step)) {
        this.#forget();
        return;
      }
      const waitingFor = result.outcome === 'unseen' ? result.waitingFor : [];
      this.#report({
        type: 'clearDeferred',
        outcome: result.outcome,
        waitingFor,
        nextTrySteps,
      });
    } catch (error) {
      this.#report({ type: 'environment', what: 'clear of the own raise', error });
    }
  }

  /** Leaves the clear to whoever else has raised. False: nothing of this guard stands any more. */
  #withdraw(step: number): boolean {
    const { signal } = this.#controller;
    const { raises, complete } = raisesBehind(signal.history(), signal.read());
    const standing = raises.filter(({ signalId }) => this.#ids.has(signalId));
    if (standing.length === 0) return !complete;
    const withdrawn = withdrawnOf(raises);
    const left = standing.map(({ signalId }) => signalId).filter((id) => !withdrawn.has(id));
    for (const reason of withdrawalReasons(left)) {
      const { signalId } = this.#controller.escalate(NOTICE, { reason, step });
      this.#ids.add(signalId);
    }
    return true;
  }

  #forget(): void {
    this.#ids.clear();
    this.#level = 0;
    this.#signalId = '';
    this.#onFlag = true;
    this.#restart();
  }

  /** The run is not well: counting starts again. */
  #restart(): void {
    this.#healthy = 0;
    this.#nextTry = this.#healthySteps;
    this.#wait = this.#nextTry / 2;
  }
}
