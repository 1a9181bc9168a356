/** The actions of degradation levels: what is applied, and what is still to be undone. */
import type { DegradationAction, DegradationLevel } from './degradation-types.ts';

interface Applied {
  readonly name: string;
  readonly level: DegradationLevel;
  readonly action: DegradationAction;
}

export type ActionFailure = (name: string, step: 'apply' | 'undo', error: unknown) => void;

export class DegradationActions {
  readonly #onFailure: ActionFailure;
  /** In order of application. */
  #applied: Applied[] = [];
  /** Their undo threw. They are as good as applied: applying one again would save the degraded value as the normal. */
  readonly #stuck = new Map<DegradationAction, Applied>();

  constructor(onFailure: ActionFailure) {
    this.#onFailure = onFailure;
  }

  get stuckCount(): number {
    return this.#stuck.size;
  }

  apply(level: DegradationLevel): void {
    for (const action of level.actions) {
      const applied = { name: `${level.name}: ${action.name}`, level, action };
      if (this.#stuck.delete(action) || this.#try(applied, 'apply')) this.#applied.push(applied);
    }
  }

  /** In reverse order; one that throws does not keep the others. */
  undo(level: DegradationLevel): void {
    const undone = this.#applied.filter((applied) => applied.level === level).reverse();
    this.#applied = this.#applied.filter((applied) => applied.level !== level);
    for (const applied of undone) {
      if (!this.#try(applied, 'undo')) this.#stuck.set(applied.action, applied);
    }
  }

  undoStuck(): void {
    for (const applied of [...this.#stuck.values()].reverse()) {
      if (this.#try(applied, 'undo')) this.#stuck.delete(applied.action);
    }
  }

  names(): { readonly applied: readonly string[]; readonly stuck: readonly string[] } {
    const stuck = [...this.#stuck.values()].map(({ name }) => name);
    return { applied: [...this.#applied.map(({ name }) => name), ...stuck], stuck };
  }

  #try({ name, action }: Applied, step: 'apply' | 'undo'): boolean {
    try {
      const result: unknown = action[step]();
      // It should not be asynchronous, but may be: its failure must not end the process.
      if (result instanceof Promise) result.catch((error) => this.#onFailure(name, step, error));
      return true;
    } catch (error) {
      this.#onFailure(name, step, error);
      return false;
    }
  }
}
