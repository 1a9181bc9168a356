import type { Context } from './context.ts';
import { type Emergency, isForeignRun, summarize } from './emergency.ts';
import { SeenIds } from './seen-ids.ts';

const REMEMBERED_IDS = 1024;

/** Emergencies of another training run: each is reported once, and obeyed only when the settings say so. */
export interface ForeignRuns {
  /** Reports the emergency when it is of another run. Returns whether this host acts on it. */
  mayAct(emergency: Emergency): boolean;
}

export function createForeignRuns(context: Context): ForeignRuns {
  const { settings, metrics } = context;
  const reported = new SeenIds(REMEMBERED_IDS);

  return {
    mayAct(emergency) {
      if (!isForeignRun(emergency.runId, settings.runId)) return true;
      const obeyed = settings.obeyForeignRuns;
      if (reported.add(emergency.signalId)) {
        metrics.increment('weatherlight.emergency.foreign_runs_total');
        context.emit({ type: 'foreignRun', emergency: summarize(emergency), obeyed });
        const hint = obeyed ? 'obeyed' : 'not obeyed; WEATHERLIGHT_OBEY_FOREIGN_RUNS=1 would';
        context.logger.warn(
          { ...summarize(emergency), ownRunId: settings.runId },
          `emergency of another run: ${hint}`,
        );
      }
      return obeyed;
    },
  };
}
