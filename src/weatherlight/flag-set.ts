import { existsSync } from 'node:fs';
import type { EmergencyRecord, EmergencySignal } from '../signals/types.ts';
import { endedBesides, raisesBehind } from '../tolaria/flag-access.ts';
import { uncovered } from './clear-coverage.ts';
import type { Context, FlagContext } from './context.ts';
import type { Detector } from './detection.ts';
import { createHostFlag, type HostFlag, type HostFlagHooks } from './host-flag.ts';

/**
 * This host's flag, which is one segment as long as nobody removes its file. When the name leads to another file,
 * new trainers attach to that one while those that run keep the old memory: both are then watched, and each gets
 * what the other gets, until the last participant of the old one is gone.
 */
export interface FlagSet {
  /** Where new participants attach. */
  readonly primary: HostFlag;
  all(): readonly HostFlag[];
  /** Follows the name if it moved and lets go of what nobody uses; call it now and then. */
  refresh(): void;
  /** Attaches to every flag and follows it until end(). `fail` is told what broke it. */
  begin(fail: (error: unknown) => void): void;
  /** Ends the flags' work and, when that has ended, the watch and the participation. May begin again. */
  end(): Promise<void>;
  /** One attempt for everything that nobody has published. Returns what is left. */
  drain(stop: AbortSignal): Promise<number>;
  close(): void;
}

export interface FlagSetOptions {
  readonly context: Context;
  readonly detector: Detector;
  readonly hooks: Omit<HostFlagHooks, 'onRecord'>;
  readonly first: EmergencySignal;
  /** Opens the name again; undefined when the caller owns the signal, which is then never replaced. */
  readonly reopen: (() => EmergencySignal) | undefined;
}

const REOPEN_INTERVAL_MS = 30_000;

/** A flag is lowered as a whole: only when the clear, made on `source`, knew all that stands on `target`. */
function coversAll(record: EmergencyRecord, source: EmergencySignal, target: EmergencySignal): boolean {
  const { clearedSignalId, cleared } = record;
  if (cleared === undefined) return false;
  const alsoCleared = endedBesides(source.history(), cleared, clearedSignalId);
  const { raises, complete } = raisesBehind(target.history(), target.read());
  return complete && uncovered(raises, { clearedSignalId, alsoCleared }, () => false).length === 0;
}

/** Copies a record into another segment of this host, under its own id. */
function copyRecord(record: EmergencyRecord, source: EmergencySignal, target: EmergencySignal): void {
  if (target.find(record.signalId) !== undefined) return;
  const { reason, origin, runId, step, signalId, forced } = record;
  const texts = { reason, origin, runId, remoteSignalId: signalId };
  if (record.kind === 'trigger') target.trigger(record.level, { ...texts, step });
  else if (coversAll(record, source, target)) target.clear(target.read(), { ...texts, force: forced });
}

export function createFlagSet(options: FlagSetOptions): FlagSet {
  const { context, detector, reopen } = options;
  const { clock } = context;
  const flags: HostFlag[] = [];
  /** Those that are followed. */
  const ends = new Map<HostFlag, AbortController>();
  const work = new Set<Promise<void>>();
  let run: { readonly fail: (error: unknown) => void } | undefined;
  let absenceTold = false;
  let nextAttemptMs = 0;

  function adopt(signal: EmergencySignal): HostFlag {
    const flagContext: FlagContext = { ...context, signal };
    const flag: HostFlag = createHostFlag(flagContext, detector, {
      ...options.hooks,
      onRecord(record) {
        for (const other of flags) if (other !== flag) copyRecord(record, signal, other.signal);
      },
    });
    flags.push(flag);
    if (run === undefined) return flag;
    try {
      follow(flag, run.fail);
    } catch (error) {
      // Whoever adopted it goes on; all flags are followed anew.
      run.fail(error);
    }
    return flag;
  }

  function follow(flag: HostFlag, fail: (error: unknown) => void): void {
    const end = new AbortController();
    ends.set(flag, end);
    flag.attach();
    const running = flag
      .run(end.signal)
      .catch(fail)
      .finally(() => work.delete(running));
    work.add(running);
  }

  function unfollow(flag: HostFlag): void {
    ends.get(flag)?.abort();
    ends.delete(flag);
  }

  let primary = adopt(options.first);

  function tellMoved(reattached: boolean): void {
    context.metrics.increment('weatherlight.signal.name_moved_total');
    context.emit({ type: 'nameMoved', signalName: primary.signal.name, reattached });
    const next = reattached ? 'watching the new file as well' : 'waiting for a new one to appear';
    context.logger.error({ path: primary.signal.path }, `somebody removed the segment's file; ${next}`);
  }

  function followName(): void {
    if (reopen === undefined || !primary.signal.stats().nameMoved) return;
    // Opening would create the file that an operator has just removed.
    if (!existsSync(primary.signal.path)) {
      if (!absenceTold) tellMoved(false);
      absenceTold = true;
      return;
    }
    if (clock.monotonicMs() < nextAttemptMs) return;
    const signal = reopen();
    if (signal.kind !== 'shared') {
      // What lies there now cannot be used (the open has said why); the old memory goes on.
      nextAttemptMs = clock.monotonicMs() + REOPEN_INTERVAL_MS;
      signal.close();
      return;
    }
    const old = primary.signal;
    // Not the whole ring: an emergency that ended would be raised again, and its clear has nobody's sight to wait for.
    const { raises } = raisesBehind(old.history(), old.read());
    primary = adopt(signal);
    for (const record of raises) copyRecord(record, old, signal);
    tellMoved(true);
    absenceTold = false;
  }

  function isAbandoned(flag: HostFlag): boolean {
    const others = flag.signal.participants().some((one) => one.alive && one.pid !== process.pid);
    return !others && flag.outbox.pending() === 0;
  }

  return {
    get primary() {
      return primary;
    },
    all: () => flags,
    refresh() {
      followName();
      for (const flag of [...flags]) {
        if (flag === primary || !isAbandoned(flag)) continue;
        unfollow(flag);
        flag.detach();
        flag.signal.close();
        flags.splice(flags.indexOf(flag), 1);
      }
    },
    begin(fail) {
      run = { fail };
      for (const flag of flags) follow(flag, fail);
    },
    async end() {
      run = undefined;
      for (const flag of flags) unfollow(flag);
      await Promise.all(work);
      for (const flag of flags) flag.detach();
    },
    async drain(stop) {
      const left = await Promise.all(flags.map((flag) => flag.outbox.drain(stop)));
      return left.reduce((sum, count) => sum + count, 0);
    },
    close() {
      for (const flag of flags) {
        unfollow(flag);
        flag.detach();
        if (reopen !== undefined) flag.signal.close();
      }
    },
  };
}
