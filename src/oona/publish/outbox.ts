import type { SignedEntry } from '../../leyline/envelope.ts';
import type { PublishRole } from './message-kinds.ts';

/** A sealed message that waits for the bus. */
export interface WaitingMessage {
  /** Of its type, by which it is counted. */
  readonly role: PublishRole;
  /** Where it goes. */
  readonly to: PublishRole;
  readonly stream: string;
  readonly dedupId: string;
  readonly entry: SignedEntry;
  /** Monotonic. */
  readonly acceptedAtMs: number;
}

/** Why a message left the outbox unpublished. */
export type OutboxDrop = 'overflow' | 'too-large' | 'expired' | 'back-pressure' | 'refused' | 'closed';

/** accepted = published + duplicates + dropped (all causes) + waiting, at any time. */
export interface OutboxStats {
  readonly accepted: number;
  readonly published: number;
  readonly duplicates: number;
  readonly dropped: Readonly<Record<OutboxDrop, number>>;
  /** The one being published now included. */
  readonly waiting: number;
  readonly waitingBytes: number;
}

export interface OutboxLimits {
  readonly maxMessages: number;
  readonly maxBytes: number;
}

const COMPACT_AT = 1024;

/** First in, first out, bounded by count and bytes; when there is no room the oldest goes. No I/O, no time. */
export class Outbox {
  readonly #limits: OutboxLimits;
  readonly #onDropped: (message: WaitingMessage, cause: OutboxDrop) => void;
  #items: (WaitingMessage | undefined)[] = [];
  #head = 0;
  #bytes = 0;
  /** Taken out and not settled. */
  #taken = 0;
  #takenBytes = 0;
  #accepted = 0;
  #published = 0;
  #duplicates = 0;
  readonly #dropped: Record<OutboxDrop, number> = {
    overflow: 0,
    'too-large': 0,
    expired: 0,
    'back-pressure': 0,
    refused: 0,
    closed: 0,
  };

  constructor(limits: OutboxLimits, onDropped: (message: WaitingMessage, cause: OutboxDrop) => void) {
    this.#limits = limits;
    this.#onDropped = onDropped;
  }

  /** The one being published now included. */
  get waiting(): number {
    return this.#items.length - this.#head + this.#taken;
  }

  get waitingBytes(): number {
    return this.#bytes + this.#takenBytes;
  }

  /** Share of the fuller limit in use, 0-1. */
  get fill(): number {
    const { maxMessages, maxBytes } = this.#limits;
    return Math.max(this.waiting / maxMessages, this.waitingBytes / maxBytes);
  }

  /** False when it alone is larger than the outbox; it is counted as dropped then. */
  push(message: WaitingMessage): boolean {
    this.#accepted += 1;
    if (sizeOf(message) > this.#limits.maxBytes) {
      this.#drop(message, 'too-large');
      return false;
    }
    this.#items.push(message);
    this.#bytes += sizeOf(message);
    this.#makeRoom();
    return true;
  }

  /** The oldest, to be settled by published(), duplicate(), drop() or putBack(). */
  take(): WaitingMessage | undefined {
    const message = this.#shift();
    if (message === undefined) return undefined;
    this.#taken += 1;
    this.#takenBytes += sizeOf(message);
    return message;
  }

  published(message: WaitingMessage): void {
    this.#untake(message);
    this.#published += 1;
  }

  duplicate(message: WaitingMessage): void {
    this.#untake(message);
    this.#duplicates += 1;
  }

  drop(message: WaitingMessage, cause: OutboxDrop): void {
    this.#untake(message);
    this.#drop(message, cause);
  }

  /** It is the oldest again, so it is the one to go when the outbox filled meanwhile. */
  putBack(message: WaitingMessage): void {
    this.#untake(message);
    if (this.#head > 0) {
      this.#head -= 1;
      this.#items[this.#head] = message;
    } else this.#items.unshift(message);
    this.#bytes += sizeOf(message);
    this.#makeRoom();
  }

  /** Drops whatever waits; the one being published is left to its publisher. */
  dropAll(cause: OutboxDrop): void {
    for (let message = this.#shift(); message !== undefined; message = this.#shift())
      this.#drop(message, cause);
  }

  stats(): OutboxStats {
    return Object.freeze({
      accepted: this.#accepted,
      published: this.#published,
      duplicates: this.#duplicates,
      dropped: Object.freeze({ ...this.#dropped }),
      waiting: this.waiting,
      waitingBytes: this.waitingBytes,
    });
  }

  /** What was taken out still holds its place. */
  #makeRoom(): void {
    const { maxMessages, maxBytes } = this.#limits;
    while (this.waiting > maxMessages || this.waitingBytes > maxBytes) {
      const oldest = this.#shift();
      if (oldest === undefined) return;
      this.#drop(oldest, 'overflow');
    }
  }

  #shift(): WaitingMessage | undefined {
    const message = this.#items[this.#head];
    if (message === undefined) return undefined;
    this.#items[this.#head] = undefined;
    this.#head += 1;
    this.#bytes -= sizeOf(message);
    if (this.#head === this.#items.length) {
      this.#items = [];
      this.#head = 0;
    } else if (this.#head >= COMPACT_AT && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return message;
  }

  #untake(message: WaitingMessage): void {
    this.#taken -= 1;
    this.#takenBytes -= sizeOf(message);
  }

  #drop(message: WaitingMessage, cause: OutboxDrop): void {
    this.#dropped[cause] += 1;
    this.#onDropped(message, cause);
  }
}

function sizeOf({ entry }: WaitingMessage): number {
  return entry.payload.length + entry.signature.length;
}
