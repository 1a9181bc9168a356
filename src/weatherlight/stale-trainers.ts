import type { Participant, StaleEvent } from '../signals/participant-types.ts';
import type { FlagContext } from './context.ts';
import { TrainerStaleError } from './errors.ts';

const TRAINER = 'trainer';

/** Trainers of one flag that live but whose loop is silent for longer than their phase allows. */
export interface StaleTrainers {
  /** `name (pid n)`. */
  names(): readonly string[];
  close(): void;
}

const keyOf = ({ slot, pid, startTimeTicks }: Participant): string => `${slot}/${pid}/${startTimeTicks}`;

/** Reports each trainer that falls silent as an error, once, and when it is back or has ended. */
export function watchStaleTrainers(context: FlagContext): StaleTrainers {
  const { metrics, logger, signal } = context;
  const stale = new Map<string, string>();

  /** Runs `change` on the list; the gauge counts over all segments that are watched. */
  function counted(change: () => unknown): void {
    const before = stale.size;
    change();
    const others = metrics.value('weatherlight.trainers.stale') - before;
    metrics.setGauge('weatherlight.trainers.stale', others + stale.size);
  }

  function told({ type, participant }: StaleEvent): void {
    if (participant.role !== TRAINER) return;
    const { name, pid, phase, limitMs, staleForMs } = participant;
    if (type === 'stale') {
      counted(() => stale.set(keyOf(participant), `${name} (pid ${pid})`));
      metrics.increment('weatherlight.trainers.stale_total');
      context.emit({ type: 'trainerStale', name, pid, phase, limitMs, silentMs: limitMs + staleForMs });
      context.reportError('trainer', new TrainerStaleError(participant));
    } else {
      counted(() => stale.delete(keyOf(participant)));
      context.emit({ type: type === 'gone' ? 'trainerGone' : 'trainerRecovered', name, pid, phase });
      logger.info(
        { name, pid, phase },
        type === 'gone' ? 'a silent trainer ended' : 'a silent trainer is back',
      );
    }
  }

  const unsubscribe = signal.onStale(told);
  return {
    names: () => [...stale.values()],
    close() {
      unsubscribe();
      counted(() => stale.clear());
    },
  };
}
