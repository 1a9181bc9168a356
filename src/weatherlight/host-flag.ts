import { EmergencyLevel } from '../leyline/messages.ts';
import { generationReached } from '../native/generations.ts';
import type { EmergencyRecord, WatchBatch } from '../signals/types.ts';
import { raisesBehind } from '../tolaria/flag-access.ts';
import type { FlagContext } from './context.ts';
import type { Detection, Detector } from './detection.ts';
import { type Emergency, fromRecord } from './emergency.ts';
import { createHaltOrchestrator, type HaltOrchestrator, type HaltOutcome } from './halt.ts';
import { createOutbox, type Outbox } from './outbox.ts';
import { type StaleTrainers, watchStaleTrainers } from './stale-trainers.ts';

/** One open flag of this host with all that follows its records. */
export interface HostFlag {
  readonly signal: FlagContext['signal'];
  readonly outbox: Outbox;
  readonly halt: HaltOrchestrator;
  /** Trainers that live but are silent, by name. */
  staleTrainers(): readonly string[];
  /** Takes a participant slot and begins to watch, with the records that are there already. */
  attach(): void;
  /** Follows outbox and halts until aborted. */
  run(stop: AbortSignal): Promise<void>;
  /** Ends the watch and leaves the slot: nobody waits for what is not watched. */
  detach(): void;
}

export interface HostFlagHooks {
  /** False for an emergency of another run that is reported only. */
  mayAct(emergency: Emergency): boolean;
  onDetection(detection: Detection): void;
  onHaltOutcome(outcome: HaltOutcome): void;
  /** Every record, for flags that hold the same emergencies. */
  onRecord(record: EmergencyRecord): void;
}

export function createHostFlag(context: FlagContext, detector: Detector, hooks: HostFlagHooks): HostFlag {
  const { clock, metrics, settings, signal } = context;
  const outbox = createOutbox(context);
  const halt = createHaltOrchestrator(context, hooks.onHaltOutcome);
  let unsubscribe: (() => void) | undefined;
  let isAttached = false;
  let stale: StaleTrainers | undefined;

  /** Emergencies that ended long ago are no news to a supervisor that starts; those that stand are, however old. */
  function rememberEnded(): void {
    const history = signal.history();
    const standing = new Set(raisesBehind(history, signal.read()).raises.map((record) => record.signalId));
    const oldestMs = clock.wallMs() - settings.messageTtlMs;
    for (const record of history) {
      const ended = record.kind === 'trigger' && record.generation !== 0 && !standing.has(record.signalId);
      if (ended && Number(record.wallNs / 1_000_000n) < oldestMs) detector.remember(record.signalId);
    }
  }

  /** Whoever raised it, and however it was detected first: this host's trainers answer to this host's record. */
  function followHalt(record: EmergencyRecord): void {
    if (record.level < EmergencyLevel.EMERGENCY_LEVEL_HALT || signal.level() < record.level) return;
    if (!hooks.mayAct(fromRecord(record))) return;
    halt.begin({ signalId: record.signalId, generation: record.generation, triggeredNs: record.monotonicNs });
  }

  function onTrigger(record: EmergencyRecord, enteredNs: bigint): void {
    const detection = detector.detect(fromRecord(record), 'shared-memory', enteredNs);
    if (detection !== undefined) hooks.onDetection(detection);
    followHalt(record);
  }

  function onClear(record: EmergencyRecord): void {
    halt.withdraw(record.generation);
    const { clearedSignalId, signalId, forced, reason } = record;
    metrics.increment('weatherlight.emergency.clears_total');
    context.emit({ type: 'cleared', clearedSignalId, signalId, forced });
    context.logger.info({ clearedSignalId, signalId, forced, reason }, 'emergency cleared');
  }

  function onGap(batch: WatchBatch): void {
    const { overruns, holes } = batch;
    if (overruns === 0 && holes === 0) return;
    metrics.increment('weatherlight.watch.overruns_total', overruns);
    metrics.increment('weatherlight.watch.holes_total', holes);
    context.emit({ type: 'watchGap', overruns, holes });
    context.logger.error({ overruns, holes }, 'records were lost before they could be read');
  }

  function handle(record: EmergencyRecord, enteredNs: bigint): void {
    try {
      if (record.kind === 'trigger') onTrigger(record, enteredNs);
      else onClear(record);
      hooks.onRecord(record);
    } catch (error) {
      // One record that cannot be handled must not take the rest of its batch along.
      context.reportError('detection', error);
    }
  }

  function onBatch(batch: WatchBatch): void {
    const enteredNs = clock.monotonicNs();
    let latest = 0;
    for (const record of batch.records) {
      handle(record, enteredNs);
      if (latest === 0 || generationReached(record.generation, latest)) latest = record.generation;
    }
    onGap(batch);
    if (latest !== 0) signal.markSeen(latest);
    signal.heartbeat();
    outbox.kick();
  }

  return {
    signal,
    outbox,
    halt,
    staleTrainers: () => stale?.names() ?? [],
    attach() {
      isAttached = true;
      try {
        signal.join('supervisor', `weatherlight@${settings.hostId}`);
      } catch (error) {
        // All slots taken: clears do not wait for the supervisor then, everything else works.
        context.reportError('join', error);
      }
      rememberEnded();
      unsubscribe = signal.subscribe(onBatch, { from: 'oldest' });
      stale = watchStaleTrainers(context);
    },
    async run(stop) {
      await Promise.all([outbox.run(stop), halt.run(stop)]);
    },
    detach() {
      if (!isAttached) return;
      isAttached = false;
      unsubscribe?.();
      unsubscribe = undefined;
      stale?.close();
      stale = undefined;
      signal.leave();
    },
  };
}
