/** What the dead-letter auditor knows, for metrics and health. */
import { requireRange } from '../../core/options.ts';

export interface DeadLetterCount {
  /** Entries on the dead-letter stream. */
  readonly count: number;
  /** Of those looked at, by message type name. */
  readonly byType: Readonly<Record<string, number>>;
}

/** More types than there are message types would be somebody else's entries. */
const MAX_TYPES = 64;

export class DeadLetterGauge {
  #last: DeadLetterCount | undefined;

  /** For the auditor, after each of its rounds. Throws OptionError unless `count` is 0 or more. */
  set(count: number, byType: Readonly<Record<string, number>> = {}): void {
    requireRange('dead letters', 'count', count, 0, Number.MAX_SAFE_INTEGER);
    const types = Object.fromEntries(Object.entries(byType).slice(0, MAX_TYPES));
    this.#last = Object.freeze({ count, byType: Object.freeze(types) });
  }

  /** undefined until the auditor looked. */
  get(): DeadLetterCount | undefined {
    return this.#last;
  }
}
