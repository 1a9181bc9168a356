import { hostname } from 'node:os';
import { type Clock, systemClock } from '../core/clock.ts';
import { OptionError } from '../core/errors.ts';
import { type Logger, silentLogger } from '../core/logger.ts';
import { Metrics } from '../core/metrics.ts';
import { requireRange, resolveOptions } from '../core/options.ts';
import { type Random, systemRandom } from '../core/random.ts';
import type { EmergencyPublisher } from '../oona/types.ts';
import type { EmergencySignal } from '../signals/types.ts';
import { bootId } from './boot-id.ts';
import type { EmergencyControllerOptions } from './controller-types.ts';
import { safeLogger } from './safe-logger.ts';
import type { TolariaSettings } from './settings.ts';

const OWNER = 'createEmergencyController';
const MAX_DELAY_MS = 600_000;

/** EmergencyControllerOptions with every default in place. */
export interface ResolvedControllerOptions {
  readonly signal: EmergencySignal;
  readonly bus: EmergencyPublisher | undefined;
  readonly runId: string;
  readonly origin: string;
  readonly hostId: string;
  readonly bootId: string;
  readonly fastPathEnabled: boolean;
  readonly bypassMaxPerMin: number;
  readonly maxInFlight: number;
  readonly publishDeadlineMs: number;
  readonly retryBaseMs: number;
  readonly retryCapMs: number;
  readonly histogram: { record(ns: number): void } | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly metrics: Metrics;
  readonly logger: Logger;
}

/** Throws `OptionError` on anything that EmergencyControllerOptions does not allow. */
export function resolveControllerOptions(options: EmergencyControllerOptions): ResolvedControllerOptions {
  if (typeof options !== 'object' || options === null)
    throw new OptionError(`${OWNER}: options must be an object`);
  const { signal, runId } = options;
  if (typeof signal?.trigger !== 'function')
    throw new OptionError(`${OWNER}: signal must be an EmergencySignal`);
  if (typeof runId !== 'string')
    throw new OptionError(`${OWNER}: runId must be a string, got ${typeof runId}`);
  const defaults: ResolvedControllerOptions = {
    signal,
    bus: undefined,
    runId,
    origin: 'tolaria',
    hostId: options.hostId ?? hostname(),
    bootId: options.bootId ?? bootId(),
    fastPathEnabled: true,
    bypassMaxPerMin: 60,
    maxInFlight: 8,
    publishDeadlineMs: 2000,
    retryBaseMs: 50,
    retryCapMs: 5000,
    histogram: undefined,
    clock: systemClock,
    random: systemRandom,
    metrics: options.metrics ?? new Metrics(),
    logger: silentLogger,
  };
  const resolved = resolveOptions(OWNER, defaults, options);
  requireRange(OWNER, 'bypassMaxPerMin', resolved.bypassMaxPerMin, 0, 1_000_000);
  requireRange(OWNER, 'maxInFlight', resolved.maxInFlight, 1, 64);
  for (const name of ['publishDeadlineMs', 'retryBaseMs', 'retryCapMs'] as const) {
    requireRange(OWNER, name, resolved[name], 1, MAX_DELAY_MS);
  }
  for (const name of ['origin', 'hostId', 'bootId'] as const) {
    if (typeof resolved[name] !== 'string') throw new OptionError(`${OWNER}: ${name} must be a string`);
  }
  if (typeof resolved.fastPathEnabled !== 'boolean') {
    throw new OptionError(`${OWNER}: fastPathEnabled must be true or false`);
  }
  return Object.freeze({ ...resolved, logger: safeLogger(resolved.logger) });
}

/** The part of EmergencyControllerOptions that the environment may set. */
export function controllerOptionsFrom(settings: TolariaSettings): {
  readonly runId: string;
  readonly hostId: string;
  readonly fastPathEnabled: boolean;
  readonly bypassMaxPerMin: number;
} {
  const { runId, hostId, fastPathEnabled, bypassMaxPerMin } = settings;
  return { runId, hostId, fastPathEnabled, bypassMaxPerMin };
}
