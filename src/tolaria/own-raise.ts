import type { EmergencyLevel } from '../leyline/messages.ts';
import type { EmergencyController, Escalation } from './controller-types.ts';
import type { GuardEventBody } from './guard-types.ts';

/** Clears tried before it is left to the operator. */
const MAX_TRIES = 10;

/**
 * What the guard itself has raised, so that it takes back that and nothing else: once the run has been well for
 * `healthySteps` steps, and only while nobody else has raised anything since the last clear.
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
  #healthy = 0;
  #tries = 0;

  constructor(
    controller: EmergencyController,
    healthySteps: number,
    report: (event: GuardEventBody) => void,
  ) {
    this.#controller = controller;
    this.#healthySteps = healthySteps;
    this.#report = report;
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
    this.#healthy = 0;
    this.#tries = 0;
    return escalation;
  }

  /**
   * Raises unless this episode has reached the level already: a loss that stays high for a thousand steps is one
   * emergency, and a thousand records would push those of others out of the ring.
   */
  ensure(level: EmergencyLevel, fields: { readonly reason: string; readonly step: number }): void {
    const cleared = this.#onFlag && this.#controller.level < level;
    if (this.#level < level || cleared) this.raise(level, fields);
    this.#healthy = 0;
  }

  /** The run is not well: counting starts again. */
  unhealthyStep(): void {
    this.#healthy = 0;
  }

  /** Call while `open`. */
  healthyStep(step: number): void {
    this.#healthy += 1;
    if (this.#healthy < this.#healthySteps) return;
    this.#healthy = 0;
    this.#tries += 1;
    const reason = `training is well again: ${this.#healthySteps} healthy steps up to step ${step}`;
    this.#tryClear(reason);
  }

  #tryClear(reason: string): void {
    try {
      const result = this.#controller.clear({ reason, raisedBy: this.#ids });
      if (result.outcome === 'cleared') this.#report({ type: 'cleared', signalId: result.signalId });
      if (result.outcome === 'cleared' || result.outcome === 'not-set') {
        this.#forget();
        return;
      }
      const triesLeft = MAX_TRIES - this.#tries;
      const waitingFor = result.outcome === 'unseen' ? result.waitingFor : [];
      this.#report({ type: 'clearDeferred', outcome: result.outcome, waitingFor, triesLeft });
    } catch (error) {
      this.#report({ type: 'environment', what: 'clear of the own raise', error });
    }
    if (this.#tries >= MAX_TRIES) this.#forget();
  }

  #forget(): void {
    this.#ids.clear();
    this.#level = 0;
    this.#signalId = '';
    this.#onFlag = true;
    this.#tries = 0;
  }
}
