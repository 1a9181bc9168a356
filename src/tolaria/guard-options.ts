import type { Clock } from '../core/clock.ts';
import { OptionError } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import type { Metrics } from '../core/metrics.ts';
import { requireRange, resolveOptions } from '../core/options.ts';
import { type PhaseLimitsMs, resolveLimits } from '../signals/phases.ts';
import type { RollbackSignal } from '../signals/types.ts';
import { BASELINE_WINDOW } from './baseline.ts';
import type { EmergencyController } from './controller-types.ts';
import type { GuardEvent, TrainingGuardOptions } from './guard-types.ts';
import { safeLogger } from './safe-logger.ts';
import type { TolariaSettings } from './settings.ts';

const OWNER = 'createTrainingGuard';
const DAY_MS = 86_400_000;

/** TrainingGuardOptions with every default in place. */
export interface ResolvedGuardOptions<S> {
  readonly controller: EmergencyController;
  readonly snapshot: () => S;
  readonly restore: (snapshot: S) => void;
  readonly release: ((snapshot: S) => void) | undefined;
  readonly checksum: ((snapshot: S) => string) | undefined;
  readonly snapshotEverySteps: number;
  readonly keepSnapshots: number;
  readonly confirmSteps: number;
  readonly initialSnapshot: boolean;
  readonly initialStep: number;
  readonly maxAttempts: number;
  readonly warmupSteps: number;
  readonly spikeFactor: number;
  readonly spikeSigmas: number;
  readonly explosionFactor: number;
  readonly gradExplosionFactor: number | undefined;
  readonly minBaselineLoss: number;
  readonly baselineFloor: number;
  readonly referenceLoss: number | undefined;
  readonly regimeSteps: number;
  readonly stepDeadlineMs: number | undefined;
  readonly phaseLimitsMs: PhaseLimitsMs;
  readonly healthySteps: number;
  readonly maxRollbacks: number;
  readonly rollbackWindowMs: number;
  readonly rollbackEnabled: boolean;
  readonly rollbackSignal: RollbackSignal | undefined;
  readonly rollbackDeadlineMs: number;
  readonly haltOnRollbackDeadline: boolean;
  readonly obeyForeignRuns: boolean;
  readonly participantName: string;
  readonly onEvent: ((event: GuardEvent) => void) | undefined;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly logger: Logger;
}

type NumberOption = {
  [K in keyof ResolvedGuardOptions<unknown>]: ResolvedGuardOptions<unknown>[K] extends number | undefined
    ? K
    : never;
}[keyof ResolvedGuardOptions<unknown>];

/** Whole numbers of steps, snapshots and times, with their bounds. */
const WHOLE: Readonly<Partial<Record<NumberOption, readonly [min: number, max: number]>>> = {
  snapshotEverySteps: [1, 1e9],
  keepSnapshots: [1, 1000],
  confirmSteps: [1, 1e6],
  initialStep: [0, Number.MAX_SAFE_INTEGER],
  maxAttempts: [1, 1000],
  warmupSteps: [1, BASELINE_WINDOW],
  regimeSteps: [0, 1e9],
  healthySteps: [1, 1e6],
  maxRollbacks: [0, 1000],
};

/** Just above 1: a factor of 1 would make every second loss an anomaly. */
const MIN_FACTOR = 1 + Number.EPSILON;

const FRACTIONAL: Readonly<Partial<Record<NumberOption, readonly [min: number, max: number]>>> = {
  spikeFactor: [MIN_FACTOR, 1e6],
  spikeSigmas: [0, 1e6],
  explosionFactor: [MIN_FACTOR, 1e6],
  gradExplosionFactor: [MIN_FACTOR, 1e6],
  minBaselineLoss: [Number.MIN_VALUE, Number.MAX_VALUE],
  baselineFloor: [0, 1],
  referenceLoss: [Number.MIN_VALUE, Number.MAX_VALUE],
  stepDeadlineMs: [1, DAY_MS],
  rollbackWindowMs: [1, DAY_MS],
  rollbackDeadlineMs: [1, 3_600_000],
};

const MAY_BE_ABSENT: ReadonlySet<string> = new Set([
  'gradExplosionFactor',
  'stepDeadlineMs',
  'referenceLoss',
]);

const FLAGS = ['initialSnapshot', 'rollbackEnabled', 'haltOnRollbackDeadline', 'obeyForeignRuns'] as const;
const CALLBACKS = ['snapshot', 'restore', 'release', 'checksum', 'onEvent'] as const;

/** Throws `OptionError` on anything that TrainingGuardOptions does not allow. */
export function resolveGuardOptions<S>(options: TrainingGuardOptions<S>): ResolvedGuardOptions<S> {
  if (typeof options !== 'object' || options === null)
    throw new OptionError(`${OWNER}: options must be an object`);
  const { controller, snapshot, restore } = options;
  if (typeof controller?.escalate !== 'function') {
    throw new OptionError(`${OWNER}: controller must be an EmergencyController`);
  }
  const phaseLimitsMs = resolveLimits(OWNER, PHASE_LIMITS, options.phaseLimitsMs ?? {});
  const resolved = resolveOptions<ResolvedGuardOptions<S>>(
    OWNER,
    { ...DEFAULTS, ...pick(controller), controller, snapshot, restore },
    { ...options, phaseLimitsMs },
  );
  checkNumbers(resolved);
  for (const name of FLAGS) {
    if (typeof resolved[name] !== 'boolean') throw new OptionError(`${OWNER}: ${name} must be true or false`);
  }
  for (const name of CALLBACKS) {
    const value = resolved[name];
    const optional = name !== 'snapshot' && name !== 'restore';
    if (typeof value !== 'function' && !(optional && value === undefined)) {
      throw new OptionError(`${OWNER}: ${name} must be a function, got ${typeof value}`);
    }
  }
  if (typeof resolved.participantName !== 'string' || resolved.participantName === '') {
    throw new OptionError(`${OWNER}: participantName must be a text that is not empty`);
  }
  return Object.freeze({ ...resolved, logger: safeLogger(resolved.logger) });
}

/** The part of TrainingGuardOptions that the environment may set. */
export function guardOptionsFrom(settings: TolariaSettings): {
  readonly snapshotEverySteps: number;
  readonly rollbackEnabled: boolean;
  readonly rollbackDeadlineMs: number;
  readonly haltOnRollbackDeadline: boolean;
  readonly maxRollbacks: number;
} {
  return {
    snapshotEverySteps: settings.snapshotEverySteps,
    rollbackEnabled: settings.rollbackEnabled,
    rollbackDeadlineMs: settings.rollbackDeadlineMs,
    haltOnRollbackDeadline: settings.haltOnRollbackDeadline,
    maxRollbacks: settings.haltAfterFailures,
  };
}

const PHASE_LIMITS: PhaseLimitsMs = Object.freeze({
  idle: 0,
  training: 300_000,
  checkpointing: 1_800_000,
  restoring: 300_000,
});

const DEFAULTS = Object.freeze({
  release: undefined,
  checksum: undefined,
  snapshotEverySteps: 1,
  keepSnapshots: 2,
  confirmSteps: 5,
  initialSnapshot: true,
  initialStep: 0,
  maxAttempts: 2,
  warmupSteps: 20,
  spikeFactor: 3,
  spikeSigmas: 8,
  explosionFactor: 15,
  gradExplosionFactor: undefined,
  minBaselineLoss: 1e-6,
  baselineFloor: 0.1,
  referenceLoss: undefined,
  regimeSteps: 256,
  stepDeadlineMs: undefined,
  phaseLimitsMs: PHASE_LIMITS,
  healthySteps: 20,
  maxRollbacks: 3,
  rollbackWindowMs: 600_000,
  rollbackEnabled: true,
  rollbackSignal: undefined,
  rollbackDeadlineMs: 250,
  haltOnRollbackDeadline: true,
  obeyForeignRuns: false,
  onEvent: undefined,
});

function pick(controller: EmergencyController): {
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly participantName: string;
} {
  const { clock, metrics, logger, runId } = controller;
  return { clock, metrics, logger, participantName: runId === '' ? 'trainer' : runId };
}

function checkNumbers<S>(resolved: ResolvedGuardOptions<S>): void {
  for (const [name, [min, max]] of Object.entries({ ...WHOLE, ...FRACTIONAL })) {
    const value = resolved[name as NumberOption];
    if (value === undefined && MAY_BE_ABSENT.has(name)) continue;
    requireRange(OWNER, name, value as number, min, max);
    if (name in WHOLE && !Number.isInteger(value)) {
      throw new OptionError(`${OWNER}: ${name} must be a whole number, got ${String(value)}`);
    }
  }
}
