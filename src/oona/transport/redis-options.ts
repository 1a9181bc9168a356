import { type Clock, systemClock } from '../../core/clock.ts';
import { OptionError } from '../../core/errors.ts';
import { type Logger, silentLogger } from '../../core/logger.ts';
import { refuseUnknownKeys, requireRange, resolveOptions } from '../../core/options.ts';
import { type Random, systemRandom } from '../../core/random.ts';
import {
  REDIS_TARGET_KEYS,
  type RedisTarget,
  type RedisTargetOptions,
  resolveRedisTarget,
} from './redis-target.ts';

export interface RedisTransportOptions extends RedisTargetOptions {
  /**
   * An append succeeds only once so many replicas have it, 0-8; with fewer it fails at its deadline with
   * ESPER_OONA_NOT_REPLICATED, stored on the primary alone. Default 0: the primary's word is enough.
   */
  readonly waitReplicas?: number;
  /** Bound on connecting until the server has answered, milliseconds, 10-60000. Default 2000. */
  readonly connectTimeoutMs?: number;
  /** A connection silent for this long is dropped when a call expires, milliseconds, 10-60000. Default 2000. */
  readonly stallMs?: number;
  /** How long a blocking read may outlast its block before its connection is dropped, 10-60000 ms. Default 1000. */
  readonly readSlackMs?: number;
  /** Upper bound of the first wait before reconnecting, milliseconds, 1-60000. Default 50. */
  readonly reconnectBaseMs?: number;
  /** Upper bound of every wait before reconnecting, milliseconds, 1-60000. Default 1000. */
  readonly reconnectCapMs?: number;
  /** First part of the clients' names in CLIENT LIST, no spaces. Default 'esper-oona'. */
  readonly connectionName?: string;
  readonly clock?: Clock;
  readonly random?: Random;
  readonly logger?: Logger;
}

/** The options besides those that say which Redis. */
export type RedisTuning = Required<Omit<RedisTransportOptions, keyof RedisTargetOptions>>;

const DEFAULTS: RedisTuning = Object.freeze({
  waitReplicas: 0,
  connectTimeoutMs: 2000,
  stallMs: 2000,
  readSlackMs: 1000,
  reconnectBaseMs: 50,
  reconnectCapMs: 1000,
  connectionName: 'esper-oona',
  clock: systemClock,
  random: systemRandom,
  logger: silentLogger,
});

export interface ResolvedRedisOptions {
  readonly target: RedisTarget;
  readonly tuning: RedisTuning;
}

/** Throws OptionError, which never repeats a secret. */
export function resolveRedisOptions(owner: string, options: RedisTransportOptions): ResolvedRedisOptions {
  refuseUnknownKeys(owner, options, [...REDIS_TARGET_KEYS, ...Object.keys(DEFAULTS)]);
  const target = resolveRedisTarget(owner, options);
  const given = Object.entries(options).filter(([key]) => Object.hasOwn(DEFAULTS, key));
  const tuning = resolveOptions<RedisTuning>(owner, DEFAULTS, Object.fromEntries(given));
  requireRange(owner, 'waitReplicas', tuning.waitReplicas, 0, 8);
  requireRange(owner, 'connectTimeoutMs', tuning.connectTimeoutMs, 10, 60_000);
  requireRange(owner, 'stallMs', tuning.stallMs, 10, 60_000);
  requireRange(owner, 'readSlackMs', tuning.readSlackMs, 10, 60_000);
  requireRange(owner, 'reconnectBaseMs', tuning.reconnectBaseMs, 1, 60_000);
  requireRange(owner, 'reconnectCapMs', tuning.reconnectCapMs, 1, 60_000);
  if (!/^[\x21-\x7e]{1,64}$/.test(tuning.connectionName)) {
    throw new OptionError(`${owner}: connectionName must be 1-64 printable characters without spaces`);
  }
  return { target, tuning };
}
