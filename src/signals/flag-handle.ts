import { systemClock } from '../core/clock.ts';
import { errorCode, errorMessage } from '../core/errors.ts';
import type { NativeFlag, NativeModule, NativeTrigger, SegmentKind } from '../native/contract.ts';
import type { NativeMemorySampler } from '../native/memory-contract.ts';
import { AlreadyJoinedError, ParticipantsFullError, requireText, SignalClosedError } from './errors.ts';
import { openOrFallBack, type ResolvedSignalOptions, resolveSignalOptions } from './open.ts';
import { Pulse } from './pulse.ts';
import { StaleListeners } from './stale-listeners.ts';
import type { Degraded, OpenSignalOptions } from './types.ts';
import { WatchHub } from './watch.ts';

const LEVEL_MASK = 7;
/** Int32 of the control block that holds the level: the high half of the control word. */
const HOT_WORD = 1;
/** Between two attempts to follow a name. A segment that cannot be opened must not cost every wake-up an attempt. */
const FOLLOW_INTERVAL_MS = 250;
/** Bound on one attempt: it runs on the event loop of a trainer, and another follows. */
const FOLLOW_TIMEOUT_MS = 50;

/** What emergency and rollback signal have in common: one open flag, its watch hub, its end. */
export class FlagHandle {
  readonly kind: 'shared' | 'process-local';
  readonly name: string;
  readonly degraded: Degraded | undefined;
  readonly watchers: WatchHub;
  readonly stale: StaleListeners;
  readonly pulse = new Pulse();
  /** Stays in its memory although the name moved, as long as it is set. */
  pinned = false;
  readonly #segment: SegmentKind;
  readonly #options: ResolvedSignalOptions;
  readonly #module: NativeModule;
  #flag: NativeFlag;
  #control: Int32Array;
  #heartbeatDeadline: { readonly limitMs: number; readonly request: NativeTrigger } | undefined;
  #memoryAlarm: { readonly sampler: NativeMemorySampler; readonly request: NativeTrigger } | undefined;
  #member: { readonly role: string; readonly name: string } | undefined;
  #closed = false;
  #unlinked = false;
  #followed = false;
  #movedTold = false;
  #failureTold = '';
  #nextAttemptMs = 0;

  constructor(segment: SegmentKind, name: string, given: OpenSignalOptions | undefined) {
    const what = `${segment} signal`;
    const options = resolveSignalOptions(what, name, given);
    const { attachTimeoutMs, allowGroup, logger, metrics, keepAlive, recheckMs } = options;
    const subject = { what, name, gauge: `tolaria.${segment}.shared_signal_degraded` };
    const opened = openOrFallBack(subject, options, (module, kind) =>
      module.openFlag({ segment, name, kind, attachTimeoutMs, allowGroup }),
    );
    this.#segment = segment;
    this.#options = options;
    this.#flag = opened.value;
    this.#module = opened.module;
    this.#control = new Int32Array(opened.value.control);
    this.kind = opened.value.kind;
    this.name = name;
    this.degraded = opened.degraded;
    const onConsumerError = (error: unknown): void => {
      metrics?.increment('signals.watch.listener_errors_total');
      logger.error({ name, error: errorMessage(error) }, `${what}: a listener threw`);
    };
    this.watchers = new WatchHub(opened.value, {
      keepAlive,
      recheckMs,
      // After the consumers, whom the system call must not delay.
      onWake: () => void this.followName(),
      onConsumerError,
    });
    this.stale = new StaleListeners(this.watchers, () => this.flag, onConsumerError);
  }

  /** The open flag. Throws SignalClosedError after close(). */
  get flag(): NativeFlag {
    if (this.#closed) throw new SignalClosedError(`signal ${this.name}`);
    return this.#flag;
  }

  get path(): string {
    return this.#flag.path;
  }

  get created(): boolean {
    return this.#flag.created;
  }

  get segmentId(): string {
    return this.#flag.nonce;
  }

  /** True once it left the segment that it was opened with. */
  get followed(): boolean {
    return this.#followed;
  }

  /** Level now. No native call, no allocation, safe after close(): the block outlives the flag. */
  level(): number {
    return Atomics.load(this.#control, HOT_WORD) & LEVEL_MASK;
  }

  /** Throws ParticipantsFullError when no slot is free, AlreadyJoinedError when its own is held in another role. */
  join(role: string, name: string): number {
    const member = { role: requireText('join', 'role', role), name: requireText('join', 'name', name) };
    const held = this.#member;
    // One slot for both would count the trainer as stopped as soon as the supervisor has seen the HALT.
    if (held !== undefined && held.role !== member.role)
      throw new AlreadyJoinedError(this.name, `${held.role}:${held.name}`);
    const slot = this.flag.join(member.role, member.name);
    if (slot < 0) throw new ParticipantsFullError(this.name);
    this.#member = member;
    this.pulse.attach(this.flag);
    return slot;
  }

  leave(): void {
    const { flag } = this;
    this.pulse.leave();
    this.disarmHeartbeat();
    flag.leave();
    this.#member = undefined;
  }

  /** False before join(). */
  armHeartbeat(limitMs: number, request: NativeTrigger): boolean {
    if (this.#member === undefined) return false;
    const before = this.#heartbeatDeadline;
    // Before the call: one that throws may leave the deadline of before armed, and leave() must still end that.
    this.#heartbeatDeadline = { limitMs, request };
    if (this.flag.armHeartbeat(limitMs, request)) return true;
    this.#heartbeatDeadline = before;
    return false;
  }

  disarmHeartbeat(): void {
    const deadline = this.#heartbeatDeadline;
    this.#heartbeatDeadline = undefined;
    if (deadline !== undefined) this.flag.armHeartbeat(0, deadline.request);
  }

  armMemory(sampler: NativeMemorySampler, request: NativeTrigger): void {
    sampler.arm(this.flag, request);
    if (this.#memoryAlarm?.sampler !== sampler) this.disarmMemory();
    this.#memoryAlarm = { sampler, request };
  }

  disarmMemory(sampler = this.#memoryAlarm?.sampler): void {
    if (sampler !== this.#memoryAlarm?.sampler) return;
    sampler?.disarm();
    this.#memoryAlarm = undefined;
  }

  /**
   * When somebody removed the segment's file, whoever opens the name from then on shares another flag: attaches to
   * that one, creating it if there is none. Returns whether it did. Never throws; when it cannot be opened, the old
   * memory goes on, and the native watch calls again every half second as long as the name leads elsewhere.
   */
  followName(): boolean {
    if (this.#closed || this.kind !== 'shared' || !this.#flag.nameMoved()) return false;
    if (!this.#movedTold) {
      this.#movedTold = true;
      this.#options.metrics?.increment('signals.watch.name_moved_total');
      this.#warn({}, 'its name was removed or leads elsewhere');
    }
    if (!this.#options.followName || this.#unlinked || this.pinned) return false;
    const nowMs = systemClock.monotonicMs();
    if (nowMs < this.#nextAttemptMs) return false;
    this.#nextAttemptMs = nowMs + FOLLOW_INTERVAL_MS;
    const flag = this.#openAgain();
    if (flag === undefined) return false;
    this.#settleIn(flag);
    return true;
  }

  close(): void {
    if (this.#closed) return;
    this.watchers.close();
    this.#closed = true;
    this.disarmMemory();
    this.pulse.detach();
    this.#flag.close();
  }

  /** Process-local memory has no name outside; removing it here could only hit a shared segment of somebody else. */
  unlink(): void {
    if (this.kind !== 'shared') return;
    // Before the file goes: a wake-up in between would create it anew.
    this.#unlinked = true;
    this.#module.unlink(this.name);
  }

  /** Opens what the name leads to and moves the consumers there; undefined when that fails. */
  #openAgain(): NativeFlag | undefined {
    const { allowGroup, attachTimeoutMs, metrics } = this.#options;
    let flag: NativeFlag | undefined;
    try {
      flag = this.#module.openFlag({
        segment: this.#segment,
        name: this.name,
        kind: 'shared',
        attachTimeoutMs: Math.min(attachTimeoutMs, FOLLOW_TIMEOUT_MS),
        allowGroup,
      });
      this.watchers.moveTo(flag);
      return flag;
    } catch (error) {
      flag?.close();
      metrics?.increment('signals.watch.reattach_failed_total');
      const code = errorCode(error) ?? 'ESPER_SHM_SYSTEM';
      // Tried twice a second for as long as it lasts: told once for each reason.
      if (code !== this.#failureTold)
        this.#warn({ code, reason: errorMessage(error) }, 'what has its name now cannot be attached');
      this.#failureTold = code;
      return undefined;
    }
  }

  #settleIn(flag: NativeFlag): void {
    const old = this.#flag;
    this.#flag = flag;
    this.#control = new Int32Array(flag.control);
    this.#followed = true;
    this.#movedTold = false;
    this.#failureTold = '';
    this.#nextAttemptMs = 0;
    this.stale.followed();
    this.pulse.detach();
    try {
      this.#takePart(flag);
    } catch (error) {
      // What called followName() goes on with a signal that works; the old memory must not keep this participant.
      this.#warn(
        { code: errorCode(error), reason: errorMessage(error) },
        'its part in the new segment is not whole',
      );
    }
    // Whoever still uses the old memory must not wait for this participant to see what is raised there.
    old.leave();
    old.close();
    this.#options.metrics?.increment('signals.watch.reattached_total');
    this.#warn({ created: flag.created }, 'attached to the new segment of its name');
  }

  /** Slot, heartbeat deadline and memory alarm, as they were in the segment before. */
  #takePart(flag: NativeFlag): void {
    if (this.#member !== undefined) {
      const slot = flag.join(this.#member.role, this.#member.name);
      if (slot < 0) this.#warn({}, 'no participant slot is free in its new segment');
      else this.pulse.attach(flag);
    }
    const deadline = this.#heartbeatDeadline;
    if (deadline !== undefined) flag.armHeartbeat(deadline.limitMs, deadline.request);
    this.#memoryAlarm?.sampler.arm(flag, this.#memoryAlarm.request);
  }

  #warn(fields: Record<string, unknown>, what: string): void {
    const { name, path } = this;
    try {
      this.#options.logger.warn({ name, path, ...fields }, `${this.#segment} signal: ${what}`);
    } catch {
      // A logger that throws must not cost the caller the id of what it has just raised.
    }
  }
}
