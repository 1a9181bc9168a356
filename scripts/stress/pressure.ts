import { MEMORY_LEVELS, type MemoryLevel } from '../../src/faults/memory/level.ts';
import type { LogLine } from './relay-process.ts';

/** The monitor's defaults, by level: what the relay runs with. */
const THRESHOLDS = [0, 85, 90, 95, 98] as const;
const MARGIN = 3;
/** What the onlooker may have missed between two looks, and bytes that pages are counted in ahead of their use. */
const TOLERANCE = 0.5;

const rankOf = (level: string | undefined): number => MEMORY_LEVELS.indexOf(level as MemoryLevel);

/** MEMORY_PRESSURE events of a run, in their order: 'normal' at the start, then the levels. */
export function levelsOf(log: readonly LogLine[]): readonly MemoryLevel[] {
  return pressure(log).map(({ context }) => context?.level as MemoryLevel);
}

const pressure = (log: readonly LogLine[]): readonly LogLine[] =>
  log.filter(({ code, context }) => code === 'MEMORY_PRESSURE' && context?.repeat === undefined);

/**
 * Whether the events tell of thresholds that were really crossed, in that order: each begins where the one before ended,
 * its own numbers are those of its level, and the highest is what somebody saw who looked from outside.
 */
export function pressureProblems(log: readonly LogLine[], peak: number): readonly string[] {
  const problems: string[] = [];
  let before: MemoryLevel = 'normal';
  for (const { context = {} } of pressure(log)) {
    const { level = '', previous_level: previous = '' } = context;
    if (previous !== before)
      problems.push(`level ${level} follows ${before}, and says it follows ${previous}`);
    before = level as MemoryLevel;
    const percent = Math.max(Number(context.usage_percent), Number(context.peak_percent));
    const rank = rankOf(level);
    const rises = rank > rankOf(previous);
    const low = THRESHOLDS[rank] ?? Number.NaN;
    const next = THRESHOLDS[rank + 1] ?? Number.POSITIVE_INFINITY;
    if (rises && !(percent >= low && percent < next)) problems.push(`level ${level} at ${percent} %`);
    if (!rises && !(Number(context.usage_percent) < next - MARGIN))
      problems.push(`level ${level} left for at ${context.usage_percent} %`);
  }
  const highest = Math.max(0, ...levelsOf(log).map(rankOf));
  const seen = peak * 100;
  if (seen + TOLERANCE < (THRESHOLDS[highest] ?? 0))
    problems.push(
      `${MEMORY_LEVELS[highest]} was told, and from outside no more than ${seen.toFixed(1)} % was seen`,
    );
  const next = THRESHOLDS[highest + 1];
  if (next !== undefined && seen - TOLERANCE >= next)
    problems.push(`${seen.toFixed(1)} % was seen from outside, and only ${MEMORY_LEVELS[highest]} told`);
  return problems;
}
