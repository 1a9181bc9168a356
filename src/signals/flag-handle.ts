import { errorMessage } from '../core/errors.ts';
import type { NativeFlag, NativeModule, SegmentKind } from '../native/contract.ts';
import { ParticipantsFullError, requireText, SignalClosedError } from './errors.ts';
import { openOrFallBack, type ResolvedSignalOptions, resolveSignalOptions } from './open.ts';
import type { Degraded, OpenSignalOptions } from './types.ts';
import { WatchHub } from './watch.ts';

const LEVEL_MASK = 7;
/** Int32 of the control block that holds the level: the high half of the control word. */
const HOT_WORD = 1;

/** What emergency and rollback signal have in common: one open flag, its watch hub, its end. */
export class FlagHandle {
  readonly kind: 'shared' | 'process-local';
  readonly name: string;
  readonly path: string;
  readonly created: boolean;
  readonly degraded: Degraded | undefined;
  readonly watchers: WatchHub;
  readonly #flag: NativeFlag;
  readonly #module: NativeModule;
  readonly #control: Int32Array;
  #closed = false;
  #nameMoved = false;

  constructor(segment: SegmentKind, name: string, given: OpenSignalOptions | undefined) {
    const what = `${segment} signal`;
    const options = resolveSignalOptions(what, name, given);
    const { attachTimeoutMs, allowGroup, logger, metrics, keepAlive, recheckMs } = options;
    const subject = { what, name, gauge: `tolaria.${segment}.shared_signal_degraded` };
    const opened = openOrFallBack(subject, options, (module, kind) =>
      module.openFlag({ segment, name, kind, attachTimeoutMs, allowGroup }),
    );
    this.#flag = opened.value;
    this.#module = opened.module;
    this.#control = new Int32Array(opened.value.control);
    this.kind = opened.value.kind;
    this.name = name;
    this.path = opened.value.path;
    this.created = opened.value.created;
    this.degraded = opened.degraded;
    this.watchers = new WatchHub(opened.value, {
      keepAlive,
      recheckMs,
      onWake: () => this.#noticeMovedName(options, what),
      onConsumerError: (error) => {
        metrics?.increment('signals.watch.listener_errors_total');
        logger.error({ name, error: errorMessage(error) }, `${what}: a listener threw`);
      },
    });
  }

  /** The open flag. Throws SignalClosedError after close(). */
  get flag(): NativeFlag {
    if (this.#closed) throw new SignalClosedError(`signal ${this.name}`);
    return this.#flag;
  }

  /** Level now. No native call, no allocation, safe after close(): the block outlives the flag. */
  level(): number {
    return Atomics.load(this.#control, HOT_WORD) & LEVEL_MASK;
  }

  /** Throws ParticipantsFullError when no slot is free. */
  join(role: string, name: string): number {
    const slot = this.flag.join(requireText('join', 'role', role), requireText('join', 'name', name));
    if (slot < 0) throw new ParticipantsFullError(this.name);
    return slot;
  }

  /**
   * Somebody removed the segment's file, so whoever opens the name from now on shares another flag. Told once; the
   * memory that is open here goes on working. Runs after the consumers, whom the system call must not delay.
   */
  #noticeMovedName(options: ResolvedSignalOptions, what: string): void {
    if (this.#nameMoved || this.#closed || !this.#flag.stats().nameMoved) return;
    this.#nameMoved = true;
    options.metrics?.increment('signals.watch.name_moved_total');
    options.logger.warn(
      { name: this.name, path: this.path },
      `${what}: its name was removed or leads elsewhere`,
    );
  }

  close(): void {
    if (this.#closed) return;
    this.watchers.close();
    this.#closed = true;
    this.#flag.close();
  }

  /** Process-local memory has no name outside; removing it here could only hit a shared segment of somebody else. */
  unlink(): void {
    if (this.kind === 'shared') this.#module.unlink(this.name);
  }
}
