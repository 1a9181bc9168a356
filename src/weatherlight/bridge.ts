import { LeylineError } from '../leyline/errors.ts';
import type { EmergencyDelivery } from '../oona/types.ts';
import type { ClearResult } from '../signals/types.ts';
import { raisesBehind } from '../tolaria/flag-access.ts';
import { FAST_PATH_LEVEL } from '../tolaria/levels.ts';
import { uncovered } from './clear-coverage.ts';
import type { FlagContext } from './context.ts';
import type { Detection, Detector } from './detection.ts';
import { type Emergency, fromDelivery, isForeignRun, type StreamMessage } from './emergency.ts';
import type { BridgedClearOutcome } from './events.ts';
import type { ForeignRuns } from './foreign-runs.ts';
import { SeenIds } from './seen-ids.ts';

type ClearMessage = Extract<StreamMessage, { kind: 'clear' }>;

/** Time that this host's participants get to see an emergency before a remote clear lowers it by force. */
const CLEAR_ATTEMPTS = 6;
const CLEAR_RETRY_MS = 20;
const REMEMBERED_CLEARS = 1024;

export interface Bridge {
  /** Learns from a backlog which of its emergencies have ended; call it before they are handled. */
  prepare(deliveries: readonly EmergencyDelivery[]): void;
  /** Handles one entry of the emergency stream: flag first, everything else after. */
  handle(delivery: EmergencyDelivery, enteredNs: bigint, stop: AbortSignal): void;
  /** Resolves when the clears under way are done. */
  settled(): Promise<void>;
}

export interface BridgeParts {
  readonly detector: Detector;
  readonly foreignRuns: ForeignRuns;
  onDetection(detection: Detection): void;
}

/** Carries emergencies and clears of other hosts into this host's flag. They keep their ids and are born published. */
export function createBridge(context: FlagContext, parts: BridgeParts): Bridge {
  const { detector, foreignRuns } = parts;
  const { metrics, settings } = context;
  const cleared = new SeenIds(REMEMBERED_CLEARS);
  const clearsUnderWay = new Set<Promise<void>>();

  /** False for a clear of another run that is not obeyed. */
  function concernsUs({ runId }: ClearMessage): boolean {
    return settings.obeyForeignRuns || !isForeignRun(runId, settings.runId);
  }

  function rememberCleared({ clearedSignalId, alsoCleared }: ClearMessage): void {
    cleared.add(clearedSignalId);
    for (const signalId of alsoCleared) cleared.add(signalId);
  }

  function prepareOne(delivery: EmergencyDelivery): void {
    try {
      const message = fromDelivery(delivery, context.bootId);
      if (message.kind === 'clear' && concernsUs(message)) rememberCleared(message);
    } catch (error) {
      // Reported when its turn comes.
      if (!(error instanceof LeylineError)) throw error;
    }
  }

  /** A message that can be handled no better next time must not be redelivered: it is reported and dropped. */
  function read(delivery: EmergencyDelivery): StreamMessage | undefined {
    try {
      return fromDelivery(delivery, context.bootId);
    } catch (error) {
      if (!(error instanceof LeylineError)) throw error;
      metrics.increment('weatherlight.bridge.invalid_total');
      context.reportError('bridge.read', error);
      return undefined;
    }
  }

  /** A record of this host's own ring came back from the stream: it is published, whoever did it. */
  function noteOwn(signalId: string): boolean {
    const record = context.signal.find(signalId);
    if (record === undefined) return false;
    if (!record.published) context.signal.markPublished(record);
    return true;
  }

  function raise(emergency: Emergency, enteredNs: bigint): void {
    const own = noteOwn(emergency.signalId);
    if (!own && !foreignRuns.mayAct(emergency)) return;
    // A raise that a failed publish delayed can come after its own clear; it must not stand for ever.
    const late = cleared.has(emergency.signalId);
    const bridged =
      !own && !late && emergency.level >= FAST_PATH_LEVEL && !detector.knows(emergency.signalId);
    if (bridged) {
      context.signal.trigger(emergency.level, {
        reason: emergency.reason,
        origin: emergency.origin,
        runId: emergency.runId,
        step: emergency.step,
        remoteSignalId: emergency.signalId,
      });
    }
    const detection = detector.detect(emergency, 'stream', enteredNs);
    if (bridged) {
      metrics.increment('weatherlight.bridge.raised_total');
      context.emit({
        type: 'bridged',
        signalId: emergency.signalId,
        level: emergency.level,
        latencyMs: detection?.latencyMs,
      });
    }
    if (detection !== undefined) parts.onDetection(detection);
  }

  function tryClear(
    message: ClearMessage,
    force: boolean,
  ): ClearResult | { outcome: 'other-emergency' | 'incomplete' } {
    const seen = context.signal.read();
    if (seen.level === 0) return { outcome: 'not-set' };
    const { raises, complete } = raisesBehind(context.signal.history(), seen);
    const others = uncovered(raises, message, (id) => cleared.has(id));
    if (others.length > 0) return { outcome: 'other-emergency' };
    // What the ring lost, or is still being applied, may be a HALT that this clear says nothing about.
    if (!complete) return { outcome: 'incomplete' };
    const { reason, origin, runId, signalId } = message;
    return context.signal.clear(seen, { force, reason, origin, runId, remoteSignalId: signalId });
  }

  async function lower(message: ClearMessage, stop: AbortSignal): Promise<BridgedClearOutcome> {
    let incomplete = false;
    for (let attempt = 1; attempt <= CLEAR_ATTEMPTS; attempt++) {
      const force = attempt === CLEAR_ATTEMPTS || stop.aborted;
      const { outcome } = tryClear(message, force);
      if (outcome === 'cleared') return force ? 'forced' : 'cleared';
      if (outcome === 'not-set' || outcome === 'other-emergency') return outcome;
      incomplete = outcome === 'incomplete';
      if (outcome !== 'superseded') await context.clock.sleep(CLEAR_RETRY_MS, stop).catch(() => undefined);
    }
    return incomplete ? 'other-emergency' : 'gave-up';
  }

  async function clear(message: ClearMessage, stop: AbortSignal): Promise<void> {
    // Remembered first: a raise that arrives while participants get their time is late already.
    rememberCleared(message);
    const outcome = await lower(message, stop);
    metrics.increment('weatherlight.bridge.clears_total');
    context.emit({ type: 'bridgedClear', clearedSignalId: message.clearedSignalId, outcome });
    const fields = { signalId: message.signalId, clearedSignalId: message.clearedSignalId, outcome };
    context.logger.info(fields, `clear from another host: ${outcome}`);
  }

  function startClear(message: ClearMessage, stop: AbortSignal): void {
    if (noteOwn(message.signalId)) return;
    if (!concernsUs(message)) return;
    // Not awaited: a HALT behind this clear must not wait while participants get time to see the older emergency.
    const work = clear(message, stop)
      .catch((error: unknown) => context.reportError('bridge.clear', error))
      .finally(() => clearsUnderWay.delete(work));
    clearsUnderWay.add(work);
  }

  return {
    prepare(deliveries) {
      for (const delivery of deliveries) prepareOne(delivery);
    },
    handle(delivery, enteredNs, stop) {
      const message = read(delivery);
      if (message?.kind === 'clear') startClear(message, stop);
      else if (message?.kind === 'raise') raise(message.emergency, enteredNs);
    },
    async settled() {
      await Promise.all(clearsUnderWay);
    },
  };
}
