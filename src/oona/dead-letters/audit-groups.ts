import { OTHER, typeName } from './counts.ts';
import type { DeadLetter } from './letter.ts';

/** Dead letters with one reason, origin and message type. */
export interface LetterGroup {
  readonly code: string;
  readonly stream: string;
  readonly messageType: string;
  readonly count: number;
  readonly firstLetterId: string;
  readonly lastLetterId: string;
  /** Of the last letter, up to 256 characters; '' in the group that the rest is counted in. */
  readonly error: string;
}

/** What was not told yet. Bounded: beyond `capacity` different groups the rest is counted as one. */
export class LetterGroups {
  readonly #groups = new Map<string, LetterGroup>();
  readonly #capacity: number;
  #total = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get total(): number {
    return this.#total;
  }

  /** The largest first. */
  get groups(): readonly LetterGroup[] {
    return [...this.#groups.values()].sort((a, b) => b.count - a.count);
  }

  /** Oldest first. */
  add(letter: DeadLetter): void {
    const code = letter.reason || 'damaged';
    const stream = letter.originStream || 'damaged';
    const group = {
      code,
      stream,
      messageType: typeName(letter.messageType),
      error: letter.error.slice(0, 256),
    };
    const key = JSON.stringify([code, stream, group.messageType]);
    const fits = this.#groups.has(key) || this.#groups.size < this.#capacity;
    if (fits) this.#put(key, group, letter.letterId);
    else this.#put(OTHER, { code: OTHER, stream: OTHER, messageType: OTHER, error: '' }, letter.letterId);
    this.#total += 1;
  }

  clear(): void {
    this.#groups.clear();
    this.#total = 0;
  }

  #put(
    key: string,
    labels: Pick<LetterGroup, 'code' | 'stream' | 'messageType' | 'error'>,
    letterId: string,
  ): void {
    const known = this.#groups.get(key);
    const firstLetterId = known?.firstLetterId ?? letterId;
    this.#groups.set(key, {
      ...labels,
      count: (known?.count ?? 0) + 1,
      firstLetterId,
      lastLetterId: letterId,
    });
  }
}
