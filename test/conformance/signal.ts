import { emergencyCases } from './cases/emergency.ts';
import { flagCases } from './cases/flag.ts';
import { histogramCases } from './cases/histogram.ts';
import { participantCases } from './cases/participants.ts';
import { recordCases } from './cases/records.ts';
import { rollbackCases } from './cases/rollback.ts';
import { watchCases } from './cases/watching.ts';
import type { Subject } from './subject.ts';

/** Everything a native module must do for signals and histograms, whichever memory is behind it. */
export function signalConformance(subject: Subject): void {
  flagCases(subject);
  emergencyCases(subject);
  recordCases(subject);
  watchCases(subject);
  participantCases(subject);
  rollbackCases(subject);
  histogramCases(subject);
}
