import { randomBytes } from 'node:crypto';
import { systemClock } from '../../core/clock.ts';
import {
  type NativeControl,
  type NativeRecord,
  type NativeTrigger,
  type NativeTriggered,
  RecordKind,
  type SegmentKind,
} from '../contract.ts';
import { cutUtf8, TEXT_BOUNDS, utf8SizeBytes, wellFormed } from '../strings.ts';
import { TwinDeadlines } from './deadlines.ts';
import { TwinParticipants } from './participants.ts';

export const RECORD_COUNT = 256;

const CONTROL_BYTES = 64;
const TAG_MASK = 0xffffff;
const LEVEL_MASK = 7;

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
type StoredRecord = Mutable<NativeRecord>;

/** What distinguishes one record from the next; the segment adds ticket, generation, pid and times. */
export type RecordDraft = Omit<
  NativeRecord,
  'ticket' | 'generation' | 'pid' | 'reasonSizeBytes' | 'monotonicNs' | 'wallNs'
>;

const field = (text: string | undefined, maxBytes: number): string =>
  cutUtf8(wellFormed(text ?? ''), maxBytes);

/** Memory of one flag name in this thread. JavaScript runs each method whole, so nothing here can be seen half done. */
export class TwinSegment {
  readonly kind: SegmentKind;
  readonly name: string;
  readonly nonce = randomBytes(16).toString('hex');
  readonly control = new ArrayBuffer(CONTROL_BYTES);
  readonly participants = new TwinParticipants();
  readonly deadlines = new TwinDeadlines(() => systemClock.monotonicNs());
  /** Called after every applied change. */
  readonly watchers = new Set<() => void>();
  /** Flag objects that have this segment open. */
  references = 0;
  tickets = 0n;
  overwrittenUnpublished = 0n;

  readonly #words = new Int32Array(this.control);
  readonly #ring: (StoredRecord | undefined)[] = new Array(RECORD_COUNT).fill(undefined);

  constructor(kind: SegmentKind, name: string) {
    this.kind = kind;
    this.name = name;
    this.#store({ generation: 0, level: 0, ticket: TAG_MASK });
  }

  get maxLevel(): number {
    return this.kind === 'emergency' ? 4 : 2;
  }

  read(): NativeControl {
    this.deadlines.fireOverdue();
    return this.#load();
  }

  trigger(request: NativeTrigger): NativeTriggered {
    const { signalId, ticket, generation } = this.raise(request);
    return { signalId, ticket, generation, level: this.#load().level };
  }

  /** As `trigger`, but gives the whole record. */
  raise(request: NativeTrigger): NativeRecord {
    return this.append(
      {
        kind: RecordKind.trigger,
        level: request.level,
        signalId: request.signalId ?? '',
        origin: request.origin ?? '',
        reason: request.reason ?? '',
        runId: request.runId ?? '',
        step: request.step ?? 0n,
        published: request.published ?? false,
        remote: request.remote ?? false,
        subject: request.subject ?? '',
        forced: false,
        clearedGeneration: 0,
        clearedLevel: 0,
        tier: request.tier ?? 0,
        deadlineNs: request.deadlineNs ?? 0n,
      },
      Math.max(this.#load().level, request.level),
    );
  }

  /** Writes the next record and moves the control word to `level`. */
  append(draft: RecordDraft, level: number): NativeRecord {
    const ticket = this.tickets++;
    const slot = Number(ticket % BigInt(RECORD_COUNT));
    const previous = this.#ring[slot];
    if (previous !== undefined && !previous.published && !previous.remote) this.overwrittenUnpublished += 1n;
    const reason = wellFormed(draft.reason);
    const stored: StoredRecord = {
      ...draft,
      ticket,
      generation: (this.#load().generation + 1) >>> 0,
      pid: process.pid,
      signalId: field(draft.signalId, TEXT_BOUNDS.signalId) || `${this.nonce}-${ticket.toString(16)}`,
      origin: field(draft.origin, TEXT_BOUNDS.origin),
      reason: cutUtf8(reason, TEXT_BOUNDS.reason),
      reasonSizeBytes: utf8SizeBytes(reason),
      runId: field(draft.runId, TEXT_BOUNDS.runId),
      subject: field(draft.subject, TEXT_BOUNDS.subject),
      monotonicNs: systemClock.monotonicNs(),
      wallNs: BigInt(Math.round(systemClock.wallMs())) * 1_000_000n,
    };
    this.#ring[slot] = stored;
    this.#store({ generation: stored.generation, level, ticket: Number(ticket & BigInt(TAG_MASK)) });
    for (const watcher of this.watchers) watcher();
    return stored;
  }

  /** Ticket of the oldest record still in the ring. */
  oldestTicket(): bigint {
    const count = BigInt(RECORD_COUNT);
    return this.tickets > count ? this.tickets - count : 0n;
  }

  /** The record as it is now; undefined when it was overwritten or never written. */
  record(ticket: bigint): NativeRecord | undefined {
    const stored = this.#stored(ticket);
    return stored === undefined ? undefined : Object.freeze({ ...stored });
  }

  /** Records from `ticket` on, oldest first, at most `max`. */
  recordsFrom(ticket: bigint, max: number): NativeRecord[] {
    const records: NativeRecord[] = [];
    for (let next = ticket; next < this.tickets && records.length < max; next++) {
      const record = this.record(next);
      if (record !== undefined) records.push(record);
    }
    return records;
  }

  /** The emergency that holds `level`: the newest trigger of that level. A lesser one may have come after it. */
  holderOf(level: number): NativeRecord | undefined {
    const records = this.recordsFrom(this.oldestTicket(), RECORD_COUNT);
    const sinceClear = records.slice(records.findLastIndex((r) => r.kind === RecordKind.clear) + 1);
    return sinceClear.findLast((record) => record.level === level);
  }

  markPublished(ticket: bigint): boolean {
    const stored = this.#stored(ticket);
    if (stored === undefined || stored.published) return false;
    stored.published = true;
    return true;
  }

  #stored(ticket: bigint): StoredRecord | undefined {
    if (ticket < 0n) return undefined;
    const stored = this.#ring[Number(ticket % BigInt(RECORD_COUNT))];
    return stored?.ticket === ticket ? stored : undefined;
  }

  #load(): NativeControl {
    const high = Atomics.load(this.#words, 1);
    return {
      generation: Atomics.load(this.#words, 0) >>> 0,
      level: high & LEVEL_MASK,
      ticket: high >>> 8,
    };
  }

  #store(control: NativeControl): void {
    Atomics.store(this.#words, 0, control.generation | 0);
    Atomics.store(this.#words, 1, (control.ticket << 8) | control.level);
  }
}

const segments = new Map<string, TwinSegment>();
const key = (kind: SegmentKind, name: string): string => `${kind}/${name}`;

/** The segment of that name in this thread, made when there is none; pair with `releaseSegment`. */
export function acquireSegment(kind: SegmentKind, name: string): { segment: TwinSegment; created: boolean } {
  const existing = segments.get(key(kind, name));
  const segment = existing ?? new TwinSegment(kind, name);
  segments.set(key(kind, name), segment);
  segment.references += 1;
  return { segment, created: existing === undefined };
}

/** Nobody else can reach the memory once the last flag object is closed, so it goes then. */
export function releaseSegment(segment: TwinSegment): void {
  segment.references -= 1;
  if (segment.references === 0 && isCurrent(segment)) segments.delete(key(segment.kind, segment.name));
}

/** False when the name was unlinked, or leads to a newer segment. */
export function isCurrent(segment: TwinSegment): boolean {
  return segments.get(key(segment.kind, segment.name)) === segment;
}

/** Forgets the name; flag objects that have it open keep their memory. */
export function unlinkSegments(name: string): boolean {
  const emergency = segments.delete(key('emergency', name));
  const rollback = segments.delete(key('rollback', name));
  return emergency || rollback;
}
