import { OptionError } from '../core/errors.ts';
import { refuseUnknownKeys } from '../core/options.ts';
import { requireInteger } from './errors.ts';

/** What a participant does. The place in this list is the number in the segment, see docs/shm-format.md. */
export const PHASES = Object.freeze(['idle', 'training', 'checkpointing', 'restoring'] as const);

export type Phase = (typeof PHASES)[number];

/** Longest silence between two heartbeats in each phase, milliseconds, 0-2147483647; 0: not judged in that phase. */
export type PhaseLimitsMs = Readonly<Record<Phase, number>>;

/** Who has not said how long it may be silent is not judged. */
export const NO_LIMITS: PhaseLimitsMs = Object.freeze({
  idle: 0,
  training: 0,
  checkpointing: 0,
  restoring: 0,
});

const MAX_LIMIT_MS = 2 ** 31 - 1;

/** Throws OptionError. */
export function requirePhase(owner: string, phase: Phase): Phase {
  if (PHASES.includes(phase)) return phase;
  throw new OptionError(`${owner}: phase must be one of ${PHASES.join(', ')}, got ${String(phase)}`);
}

/** `given` over `before`. Throws OptionError. */
export function resolveLimits(
  owner: string,
  before: PhaseLimitsMs,
  given: Partial<PhaseLimitsMs>,
): PhaseLimitsMs {
  refuseUnknownKeys(`${owner} limitsMs`, given, PHASES);
  const limits = { ...before };
  for (const phase of PHASES) {
    const limitMs = given[phase];
    if (limitMs !== undefined)
      limits[phase] = requireInteger(`${owner} limitsMs`, phase, limitMs, 0, MAX_LIMIT_MS);
  }
  return Object.freeze(limits);
}

/** Name of the number in a segment; a later version's phases have none here. */
export function phaseName(number: number): Phase | 'unknown' {
  return PHASES[number] ?? 'unknown';
}
