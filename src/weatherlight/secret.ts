import { inspect } from 'node:util';

export const MASK = '***';

/**
 * A value that must not reach a log. Printing, inspecting or serializing it shows the masked text; only `reveal()`
 * gives the value, so each use is visible in the source.
 */
export class Secret {
  readonly #value: string;
  readonly #shown: string;

  /** `shown` is what logs get instead; the default hides everything, the length too. */
  constructor(value: string, shown: string = MASK) {
    this.#value = value;
    this.#shown = shown;
  }

  reveal(): string {
    return this.#value;
  }

  toString(): string {
    return this.#shown;
  }

  toJSON(): string {
    return this.#shown;
  }

  [inspect.custom](): string {
    return this.#shown;
  }
}
