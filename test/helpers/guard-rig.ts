import { randomUUID } from 'node:crypto';
import { openEmergencySignal } from '../../src/signals/emergency-signal.ts';
import {
  createEmergencyController,
  createTrainingGuard,
  type GuardEvent,
  type StepOutcome,
  type TrainingGuardOptions,
} from '../../src/tolaria/index.ts';
import { createManualClock } from './manual-clock.ts';

/** Stands for a model: it knows the step it is from. */
interface State {
  readonly step: number;
}

/** A guard on a real flag (process-local) whose losses the test makes up. */
export function createGuardRig(options: Partial<TrainingGuardOptions<State>> = {}) {
  const name = `test-${randomUUID()}`;
  const signal = openEmergencySignal(name, { kind: 'process-local', keepAlive: false });
  const clock = createManualClock();
  const controller = createEmergencyController({ signal, runId: 'run' });
  const restored: number[] = [];
  const events: GuardEvent[] = [];
  const held = new Set<State>();
  let step = options.initialStep ?? 0;
  const guard = createTrainingGuard<State>({
    controller,
    clock,
    snapshot: () => {
      const state = { step };
      held.add(state);
      return state;
    },
    restore: (state) => {
      restored.push(state.step);
      step = state.step;
    },
    release: (state) => held.delete(state),
    onEvent: (event) => events.push(event),
    ...options,
  });
  const next = (): number => {
    step += 1;
    return step;
  };
  const run = (losses: readonly number[]): StepOutcome[] =>
    losses.map((loss) => guard.step({ step: next(), loss }));
  return {
    name,
    signal,
    clock,
    controller,
    guard,
    events,
    /** Steps that were restored, in order. */
    restored,
    /** Snapshots that were taken and not released. */
    held,
    next,
    /** Reports these losses, one a step. */
    run,
    healthy: (count: number, more: { gradNorm?: number } = {}): StepOutcome[] =>
      Array.from({ length: count }, () => guard.step({ step: next(), loss: 1, ...more })),
    /** Levels of the records, oldest first. */
    raises: () => signal.history().flatMap(({ kind, level }) => (kind === 'trigger' ? [level] : [])),
    openOther: () => openEmergencySignal(name, { kind: 'process-local', keepAlive: false }),
    close: () => {
      guard.close();
      signal.close();
    },
  };
}
