import { clearInterval, setImmediate, setInterval } from 'node:timers';
import { systemClock } from '../../core/clock.ts';
import { OptionError } from '../../core/errors.ts';
import {
  type NativeBatch,
  type NativeClearOutcome,
  type NativeClearResult,
  type NativeControl,
  type NativeCursor,
  type NativeDeadlineStats,
  type NativeFlag,
  type NativeFlagStats,
  type NativeParticipant,
  type NativeRecord,
  type NativeStaleNotice,
  type NativeTrigger,
  type NativeTriggered,
  RecordKind,
  type SegmentKind,
} from '../contract.ts';
import { NativeClosedError } from '../errors.ts';
import { TwinHeartbeatDeadline } from './heartbeat-deadline.ts';
import { acquireSegment, isCurrent, RECORD_COUNT, releaseSegment, type TwinSegment } from './segment.ts';
import { TwinStaleWatch } from './stale-watch.ts';

const FOREVER_MS = 2 ** 30;

/** One open flag object; several of one name in this thread share a segment. */
export class TwinFlag implements NativeFlag {
  readonly kind = 'process-local';
  readonly name: string;
  readonly path = '';
  readonly created: boolean;
  readonly nonce: string;
  readonly control: ArrayBuffer;
  readonly raised = new BigUint64Array(3);

  readonly #open: TwinSegment;
  #closed = false;
  #slot = -1;
  #callback: (() => void) | undefined;
  #wakeScheduled = false;
  #keepAlive: NodeJS.Timeout | undefined;
  #heartbeat: TwinHeartbeatDeadline | undefined;
  readonly #stale = new TwinStaleWatch(
    () => this.#open.participants.list(),
    () => this.#scheduleWake(),
  );
  readonly #onChange = (): void => this.#scheduleWake();

  constructor(kind: SegmentKind, name: string) {
    const { segment, created } = acquireSegment(kind, name);
    this.name = name;
    this.created = created;
    this.nonce = segment.nonce;
    this.control = segment.control;
    this.#open = segment;
  }

  get #segment(): TwinSegment {
    if (this.#closed) throw new NativeClosedError(`flag ${this.name}`);
    return this.#open;
  }

  read(): NativeControl {
    return this.#segment.read();
  }

  history(): NativeRecord[] {
    const segment = this.#segment;
    segment.deadlines.fireOverdue();
    return segment.recordsFrom(segment.oldestTicket(), RECORD_COUNT);
  }

  find(signalId: string): NativeRecord | undefined {
    return this.history().find((record) => record.signalId === signalId);
  }

  trigger(request: NativeTrigger): NativeTriggered {
    const segment = this.#segment;
    requireLevel(request.level, segment.maxLevel);
    segment.deadlines.fireOverdue();
    return segment.trigger(request);
  }

  acknowledge(generation: number, level: number): boolean {
    const segment = this.#segment;
    const control = segment.read();
    segment.participants.acknowledge(this.#slot, generation);
    return control.generation === generation && control.level === level;
  }

  clear(
    generation: number,
    level: number,
    force: boolean,
    meta: { reason?: string; origin?: string; runId?: string; signalId?: string; remote?: boolean },
  ): NativeClearResult {
    const segment = this.#segment;
    const control = segment.read();
    if (control.level === 0) return refused('not-set');
    if (control.generation !== generation || control.level !== level) return refused('superseded');
    // Whoever clears has seen what it clears.
    segment.participants.markSeen(this.#slot, generation);
    const waitingFor = force ? [] : segment.participants.waitingFor(generation, this.#slot);
    if (waitingFor.length > 0) return { outcome: 'unseen', waitingFor, signalId: '' };
    const record = segment.append(
      {
        kind: RecordKind.clear,
        level: 0,
        signalId: meta.signalId ?? '',
        origin: meta.origin ?? '',
        reason: meta.reason ?? '',
        runId: meta.runId ?? '',
        step: 0n,
        published: meta.remote ?? false,
        remote: meta.remote ?? false,
        subject: segment.holderOf(level)?.signalId ?? '',
        forced: force,
        clearedGeneration: generation,
        clearedLevel: level,
        tier: 0,
        deadlineNs: 0n,
      },
      0,
    );
    return { outcome: 'cleared', waitingFor: [], signalId: record.signalId };
  }

  raise(level: number, reason: string, origin: string, runId: string, step: number): string {
    const segment = this.#segment;
    requireLevel(level, segment.maxLevel);
    segment.deadlines.fireOverdue();
    const record = segment.raise({ level, reason, origin, runId, step: BigInt(step) });
    this.raised.set([record.ticket, record.monotonicNs, record.wallNs]);
    return record.signalId;
  }

  /** Every watcher is in this process. */
  giveWay(): void {}

  join(role: string, name: string): number {
    const segment = this.#segment;
    if (this.#slot >= 0) segment.participants.rename(this.#slot, role, name);
    else this.#slot = segment.participants.join(role, name, systemClock.monotonicNs());
    return this.#slot;
  }

  leave(): void {
    this.#heartbeat?.stop();
    if (this.#slot >= 0) this.#segment.participants.leave(this.#slot);
    this.#slot = -1;
  }

  pulse(): ArrayBuffer | undefined {
    return this.#segment.participants.pulse(this.#slot);
  }

  judge(on: boolean): void {
    void this.#segment;
    this.#stale.judge(on);
  }

  takeStale(): NativeStaleNotice[] {
    return this.#stale.take();
  }

  markSeen(generation: number): void {
    this.#segment.participants.markSeen(this.#slot, generation);
  }

  participants(): NativeParticipant[] {
    return this.#segment.participants.list();
  }

  cursor(from: 'now' | 'oldest'): NativeCursor {
    const segment = this.#segment;
    let next = from === 'now' ? segment.tickets : segment.oldestTicket();
    const poll = (max: number): NativeBatch => {
      if (!Number.isInteger(max) || max < 1 || max > RECORD_COUNT) {
        throw new OptionError(`poll: max must be an integer from 1 to ${RECORD_COUNT}, got ${String(max)}`);
      }
      this.#segment.deadlines.fireOverdue();
      const oldest = segment.oldestTicket();
      const overruns = next < oldest ? Number(oldest - next) : 0;
      if (overruns > 0) next = oldest;
      const records = segment.recordsFrom(next, max);
      next += BigInt(records.length);
      return { records, overruns, holes: 0 };
    };
    return { poll, ready: () => next < segment.tickets };
  }

  watch(callback: () => void, options: { keepAlive: boolean; recheckMs: number }): void {
    const segment = this.#segment;
    this.#callback = callback;
    segment.watchers.add(this.#onChange);
    if (this.#keepAlive !== undefined) clearInterval(this.#keepAlive);
    // The twin has no handle of its own on the event loop; an interval that never matters holds the process open.
    this.#keepAlive = options.keepAlive ? setInterval(() => undefined, FOREVER_MS) : undefined;
  }

  unwatch(): void {
    this.#callback = undefined;
    this.#open.watchers.delete(this.#onChange);
    if (this.#keepAlive !== undefined) clearInterval(this.#keepAlive);
    this.#keepAlive = undefined;
  }

  unpublished(minAgeNs: bigint): NativeRecord[] {
    const newest = systemClock.monotonicNs() - minAgeNs;
    return this.history().filter((r) => !r.published && !r.remote && r.monotonicNs <= newest);
  }

  markPublished(ticket: bigint): boolean {
    return this.#segment.markPublished(ticket);
  }

  armDeadline(deadlineNs: bigint, request: NativeTrigger): number {
    const segment = this.#segment;
    requireLevel(request.level, segment.maxLevel);
    return segment.deadlines.arm(this, deadlineNs, () => segment.trigger(request));
  }

  disarm(handle: number): boolean {
    return this.#segment.deadlines.disarm(this, handle);
  }

  armHeartbeat(limitMs: number, request: NativeTrigger): boolean {
    const segment = this.#segment;
    requireLevel(request.level, segment.maxLevel);
    const pulse = this.pulse();
    this.#heartbeat?.stop();
    if (pulse === undefined) return false;
    const fire = (dueNs: bigint): void => {
      segment.trigger(request);
      segment.deadlines.note(this, dueNs);
    };
    this.#heartbeat = limitMs === 0 ? undefined : new TwinHeartbeatDeadline(pulse, limitMs, fire);
    return true;
  }

  deadlineStats(): NativeDeadlineStats {
    return this.#segment.deadlines.stats(this);
  }

  nameMoved(): boolean {
    return !isCurrent(this.#segment);
  }

  stats(): NativeFlagStats {
    const segment = this.#segment;
    return {
      tickets: segment.tickets,
      overwrittenUnpublished: segment.overwrittenUnpublished,
      repairs: 0n,
      idleWakes: 0,
      nameMoved: this.nameMoved(),
    };
  }

  close(): void {
    if (this.#closed) return;
    this.unwatch();
    this.leave();
    this.#stale.judge(false);
    this.#open.deadlines.disarmAll(this);
    this.#closed = true;
    releaseSegment(this.#open);
  }

  #scheduleWake(): void {
    if (this.#wakeScheduled) return;
    this.#wakeScheduled = true;
    setImmediate(() => {
      this.#wakeScheduled = false;
      this.#callback?.();
    });
  }
}

function refused(outcome: NativeClearOutcome): NativeClearResult {
  return { outcome, waitingFor: [], signalId: '' };
}

function requireLevel(level: number, max: number): void {
  if (!Number.isInteger(level) || level < 1 || level > max) {
    throw new OptionError(`level must be an integer from 1 to ${max}, got ${String(level)}`);
  }
}
