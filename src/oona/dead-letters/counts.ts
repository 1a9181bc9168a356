import { BusMessageType } from '../../leyline/messages.ts';
import type { DeadLetter } from './letter.ts';

export interface LetterCounts {
  readonly total: number;
  /** Letters whose own fields are missing or make no sense. */
  readonly damaged: number;
  readonly byCode: Readonly<Record<string, number>>;
  readonly byStream: Readonly<Record<string, number>>;
  /** By the type's name; 'unreadable' for envelopes that could not be opened. */
  readonly byMessageType: Readonly<Record<string, number>>;
  readonly oldestId: string;
  readonly newestId: string;
  /** False when there are more letters than were looked at. */
  readonly complete: boolean;
}

/** More different values than this are counted together: whoever can write letters must not fill the memory. */
export const MOST_LABELS = 32;
export const OTHER = 'other';

/** Counts by label, at most MOST_LABELS of them. */
export class LabelCounts {
  readonly #counts = new Map<string, number>();

  /** Returns the label that was counted. */
  add(label: string, by = 1): string {
    const known = this.#counts.has(label) || this.#counts.size < MOST_LABELS;
    const counted = known ? label : OTHER;
    this.#counts.set(counted, (this.#counts.get(counted) ?? 0) + by);
    return counted;
  }

  toRecord(): Record<string, number> {
    return Object.fromEntries([...this.#counts].sort(([, a], [, b]) => b - a));
  }
}

/** 'BUS_MESSAGE_TYPE_TELEMETRY'; 'unreadable' where the envelope could not be opened. */
export function typeName(messageType: number | undefined): string {
  if (messageType === undefined) return 'unreadable';
  return BusMessageType[messageType] ?? `unknown (${messageType})`;
}

export class LetterCounter {
  readonly #byCode = new LabelCounts();
  readonly #byStream = new LabelCounts();
  readonly #byMessageType = new LabelCounts();
  #total = 0;
  #damaged = 0;
  #newestId = '';
  #oldestId = '';

  get total(): number {
    return this.#total;
  }

  /** Newest first. */
  add(letter: DeadLetter): void {
    this.#total += 1;
    if (letter.damaged.length > 0) this.#damaged += 1;
    this.#byCode.add(letter.reason || 'damaged');
    this.#byStream.add(letter.originStream || 'damaged');
    this.#byMessageType.add(typeName(letter.messageType));
    if (this.#newestId === '') this.#newestId = letter.letterId;
    this.#oldestId = letter.letterId;
  }

  result(complete: boolean): LetterCounts {
    return {
      total: this.#total,
      damaged: this.#damaged,
      byCode: this.#byCode.toRecord(),
      byStream: this.#byStream.toRecord(),
      byMessageType: this.#byMessageType.toRecord(),
      oldestId: this.#oldestId,
      newestId: this.#newestId,
      complete,
    };
  }
}
