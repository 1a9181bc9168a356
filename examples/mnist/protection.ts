import { type EmergencySignal, openEmergencySignal, openRollbackSignal } from '../../src/signals/index.ts';
import {
  controllerOptionsFrom,
  createEmergencyController,
  createTrainingGuard,
  type GuardEvent,
  guardOptionsFrom,
  type TolariaSettings,
  type TrainingGuard,
} from '../../src/tolaria/index.ts';
import { openBus } from './bus.ts';
import { tell } from './events.ts';
import { hashWeights } from './network.ts';
import type { Training } from './training.ts';

const FLUSH_DEADLINE_MS = 2000;

export interface Protection {
  readonly guard: Pick<TrainingGuard, 'step' | 'stats'>;
  readonly signalKind: EmergencySignal['kind'];
  /** Publishes what still waits, then closes everything. */
  close(): Promise<void>;
}

/** All that a trainer opens: its host's flags, the bus if there is one, and the guard. */
export async function protect(training: Training, settings: TolariaSettings): Promise<Protection> {
  const { hostId } = settings;
  const signal = openEmergencySignal(settings.emergencySignalName);
  const rollbackSignal = openRollbackSignal(settings.rollbackSignalName);
  const stopTelling = tellFlag(signal);
  const bus = await openBus({ hostId, source: 'tolaria' });
  const controller = createEmergencyController({
    signal,
    ...controllerOptionsFrom(settings),
    ...(bus && { bus }),
  });
  const guard = createTrainingGuard({
    controller,
    snapshot: training.snapshot,
    restore: training.restore,
    checksum: (state) => hashWeights(state.weights),
    rollbackSignal,
    onEvent: (event) => tellGuard(event, signal),
    ...guardOptionsFrom(settings),
  });
  return {
    guard,
    signalKind: signal.kind,
    close: async () => {
      guard.close();
      await controller.flush({ deadlineMs: FLUSH_DEADLINE_MS });
      await controller.close();
      await bus?.close();
      stopTelling();
      rollbackSignal.close();
      signal.close();
    },
  };
}

/** Tells the demo what this process sees on the flag, whoever raised or cleared it. */
function tellFlag(signal: EmergencySignal): () => void {
  return signal.subscribe(({ records }) => {
    for (const record of records) {
      const { kind, level, signalId, clearedSignalId, origin, reason, step, remote } = record;
      const monotonicMs = toMs(record.monotonicNs);
      if (kind === 'trigger') {
        tell({ type: 'flagRaised', level, signalId, origin, reason, step, remote, monotonicMs });
      } else {
        tell({ type: 'flagCleared', clearedSignalId, reason, remote, monotonicMs });
      }
    }
  });
}

/** What the guard does, while it does it: inside `step`, before the event loop gets its turn. */
function tellGuard(event: GuardEvent, signal: EmergencySignal): void {
  const { step } = event;
  if (event.type === 'anomaly') {
    const { anomaly, level, signalId } = event;
    const { kind, of, value } = anomaly;
    const baseline = 'baseline' in anomaly ? anomaly.baseline : undefined;
    const monotonicMs = toMs(signal.find(signalId)?.monotonicNs ?? event.monotonicNs);
    tell({ type: 'anomaly', step, level, kind, of, value, baseline, signalId, monotonicMs });
  }
  if (event.type === 'halt') {
    const { signalId, acknowledged } = event;
    tell({ type: 'halted', step, signalId, acknowledged, monotonicMs: toMs(event.monotonicNs) });
  }
}

function toMs(monotonicNs: bigint): number {
  return Number(monotonicNs) / 1e6;
}
