import type { Metrics } from '../../core/metrics.ts';
import type { ErrorEvents } from '../publish/error-events.ts';
import type { StreamNames } from '../streams.ts';

/** Of the bus. */
export interface LettersCutParts {
  readonly streams: StreamNames;
  readonly deadLetterMaxLength: number;
  readonly deadLetterMaxBytes: number;
  readonly metrics: Metrics;
}

const CUT = 'oona.dead_letters.cut_total';

/**
 * Counts and tells the letters that went for newer ones, which nobody had replayed or purged: the last that was left of
 * a message. What it returns never throws.
 */
export function lettersCut(parts: LettersCutParts, events: ErrorEvents): (letters: number) => void {
  const { streams, deadLetterMaxLength, deadLetterMaxBytes, metrics } = parts;
  const context = {
    stream: streams.deadLetter,
    deadLetterMaxLength: String(deadLetterMaxLength),
    deadLetterMaxBytes: String(deadLetterMaxBytes),
  };
  return (letters) => {
    metrics.increment(CUT, letters);
    events.raise('letters-cut', 'dead_letters', letters, () => context);
  };
}
