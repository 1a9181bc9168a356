import { BusMessageType } from '../../leyline/messages.ts';
import type { StreamEntry } from '../transport/transport.ts';
import type { AckReason } from './counters.ts';
import type { WorkDelivery } from './work-delivery.ts';

/**
 * queued: read, no handler yet · running: in its handler · waiting: for another try · settling: decided, and the engine
 * is being told · left: stop() left it to the next owner · gone: counted and forgotten.
 */
export type WorkState = 'queued' | 'running' | 'waiting' | 'settling' | 'left' | 'gone';

/** When the entries of one read came: they share it, numbers of their own for each would cost memory and time. */
export interface Arrival {
  /** When they were asked for, monotonic milliseconds: the engine counts their idle time from then or later. */
  readonly askedAtMs: number;
  /** When they were here, monotonic milliseconds. */
  readonly atMs: number;
  /** The same, Unix milliseconds. */
  readonly wallMs: number;
}

const NOTHING = new Uint8Array(0);

/** One entry that this consumer was handed and has not done with. */
export class Work {
  entry: StreamEntry;
  state: WorkState = 'queued';
  /** When this consumer first had it. */
  readonly came: Arrival;
  /** Counted by the engine for looking at it again, without a handler being called. */
  looks = 0;
  /** Another process may have died of it: it runs alone. */
  suspect: boolean;
  /** Trimmed from the stream while this consumer had it. */
  trimmed = false;
  /** The engine has it pending under nobody's name: whatever is still done with it is done from here. */
  orphan = false;
  /** It passed the check of its age: that it waits here afterwards is no fault of its own. */
  accepted = false;
  /** Which call of the handler is the present one; what an earlier one says changes nothing. */
  attempt = 0;
  /** Of a handler that did not end at once, monotonic milliseconds. */
  startedAtMs = 0;
  /** What the handler was given last. */
  delivery: WorkDelivery | undefined;
  /** Why it is being acknowledged. */
  reason: AckReason = 'handled';
  /** Of a waiting one, monotonic milliseconds. */
  dueAtMs = 0;
  /** Waits for something of this process, not for its next delivery: it keeps its payload and its delivery count. */
  local = false;
  /** Times in a row that it waited so. */
  localWaits = 0;
  /** A call that would have decided it ended without an answer: the engine may have done it. */
  unsure = false;
  guardKey: string | undefined;
  /** Its key in the guard that the group shares, from when that was asked. */
  sharedKey: string | undefined;
  /** That guard has reserved its event for it: its handler is next. */
  cleared = false;
  /** A BusMessageType, once it is known. */
  type: number | undefined;
  eventId: string | undefined;
  #touchedAgainAtMs: number | undefined;

  constructor(entry: StreamEntry, came: Arrival, suspect: boolean) {
    this.entry = entry;
    this.came = came;
    this.suspect = suspect;
  }

  get id(): string {
    return this.entry.entryId;
  }

  get deliveryCount(): number {
    return this.entry.deliveryCount - this.looks;
  }

  get messageType(): string | undefined {
    return this.type === undefined ? undefined : BusMessageType[this.type];
  }

  /** The engine counts its idle time from this moment or a later one, monotonic milliseconds. */
  get touchedAtMs(): number {
    return this.#touchedAgainAtMs ?? this.came.askedAtMs;
  }

  set touchedAtMs(atMs: number) {
    this.#touchedAgainAtMs = atMs;
  }

  /** The engine handed out again what is still being worked on here: no new delivery. */
  lookedAt(entry: StreamEntry, touchedAtMs: number): void {
    this.looks = entry.deliveryCount - this.deliveryCount;
    this.entry = { ...this.entry, deliveryCount: entry.deliveryCount };
    this.touchedAtMs = touchedAtMs;
    this.orphan = false;
    if (entry.lost) this.trimmed = true;
  }

  /** It comes again with its next delivery; until then its bytes are only in the engine. */
  dropPayload(): void {
    this.entry = { ...this.entry, payload: NOTHING };
    this.delivery = undefined;
  }
}
