import type { StreamEntry } from '../transport/transport.ts';
import type { Cancel } from './cancel.ts';

/**
 * queued: read, no handler yet · running: in its handler · waiting: for another try · settling: decided, and the engine
 * is being told · left: stop() left it to the next owner · gone: counted and forgotten.
 */
export type WorkState = 'queued' | 'running' | 'waiting' | 'settling' | 'left' | 'gone';

const NOTHING = new Uint8Array(0);

/** One entry that this consumer was handed and has not done with. */
export class Work {
  entry: StreamEntry;
  state: WorkState = 'queued';
  /** The engine counts its idle time from this moment or a later one, monotonic milliseconds. */
  touchedAtMs: number;
  /** When this consumer first had it, Unix milliseconds. */
  readonly firstAtMs: number;
  /** Counted by the engine for looking at it again, without a handler being called. */
  looks = 0;
  /** Another process may have died of it: it runs alone. */
  suspect: boolean;
  /** Trimmed from the stream while this consumer had it. */
  trimmed = false;
  /** It passed the checks of its age once: that it waits here afterwards is no fault of its own. */
  accepted = false;
  /** Which call of the handler is the present one; what an earlier one says changes nothing. */
  attempt = 0;
  startedAtMs = 0;
  cancel: Cancel | undefined;
  /** Of a waiting one, monotonic milliseconds. */
  dueAtMs = 0;
  /** Waits for something of this process, not for its next delivery: it keeps its payload and its delivery count. */
  local = false;
  /** Times in a row that it waited so. */
  localWaits = 0;
  /** A call that would have decided it ended without an answer: the engine may have done it. */
  unsure = false;
  guardKey: string | undefined;
  messageType: string | undefined;
  eventId: string | undefined;
  issuedAtMs: number | undefined;

  constructor(entry: StreamEntry, touchedAtMs: number, firstAtMs: number, suspect: boolean) {
    this.entry = entry;
    this.touchedAtMs = touchedAtMs;
    this.firstAtMs = firstAtMs;
    this.suspect = suspect;
  }

  get id(): string {
    return this.entry.entryId;
  }

  get deliveryCount(): number {
    return this.entry.deliveryCount - this.looks;
  }

  /** The engine handed out again what is still being worked on here: no new delivery. */
  lookedAt(entry: StreamEntry, touchedAtMs: number): void {
    this.looks = entry.deliveryCount - this.deliveryCount;
    this.entry = { ...this.entry, deliveryCount: entry.deliveryCount };
    this.touchedAtMs = touchedAtMs;
    if (entry.lost) this.trimmed = true;
  }

  /** It comes again with its next delivery; until then its bytes are only in the engine. */
  dropPayload(): void {
    this.entry = { ...this.entry, payload: NOTHING };
  }
}
