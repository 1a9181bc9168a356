import type { Clock } from '../../core/clock.ts';
import { clockRow, loggerRow, randomRow } from '../../core/common-rows.ts';
import type { Logger } from '../../core/logger.ts';
import { integer, number, type OptionRow, text } from '../../core/option-rows.ts';
import { optionTable, type ResolvedOptions } from '../../core/option-table.ts';
import { refuseUnknownKeys } from '../../core/options.ts';
import type { Random } from '../../core/random.ts';
import { type RedisTarget, type RedisTargetOptions, resolveRedisTarget } from './redis-target.ts';
import { REDIS_TARGET_OPTIONS } from './redis-target-options.ts';

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

export const REDIS_TUNING_OPTIONS = optionTable(
  {
    owner: 'createRedisTransport',
    title: 'Redis transport: connections',
    intro:
      'Of `createRedisTransport(options)`, besides [which Redis](#redis-transport). Connections are made on first use, and made again in the background when they break; calls fail at once meanwhile.',
  },
  {
    waitReplicas: integer({
      ...{ unit: 'replicas', min: 0, max: 8, default: 0 },
      text: "An append succeeds only once so many replicas have it; 0: the primary's word is enough.",
      atLimit:
        'With fewer it fails at its deadline (`ESPER_OONA_NOT_REPLICATED`), stored on the primary alone. Trying again stores it once.',
    }),
    connectTimeoutMs: number({
      ...{ unit: 'ms', min: 10, max: 60_000, default: 2000 },
      text: 'Bound on connecting, until the server has answered.',
      atLimit: 'The attempt failed; the next one comes after a wait.',
    }),
    stallMs: number({
      ...{ unit: 'ms', min: 10, max: 60_000, default: 2000 },
      text: 'How long a connection may owe an answer: the network reports nothing of a host that vanished.',
      atLimit: 'It is dropped when the next of its calls expires, and made again.',
    }),
    readSlackMs: number({
      ...{ unit: 'ms', min: 10, max: 60_000, default: 1000 },
      text: 'How much longer than its `blockMs` a waiting read may take.',
      atLimit:
        'Its connection is dropped and made again; what it may have been handed is pending and is taken up.',
    }),
    reconnectBaseMs: number({
      ...{ unit: 'ms', min: 1, max: 60_000, default: 50 },
      text: 'Upper bound of the first wait before reconnecting; it doubles with each. Waits are random below their bound.',
      atLimit: 'The next attempt.',
    }),
    reconnectCapMs: number({
      ...{ unit: 'ms', min: 1, max: 60_000, default: 1000 },
      text: 'Upper bound of every wait before reconnecting.',
      atLimit: 'The waits grow no further.',
    }),
    connectionName: text({
      pattern: /^[\x21-\x7e]{1,64}$/,
      allowed: '1-64 printable ASCII characters without spaces',
      default: 'esper-oona',
      text: "First part of the clients' names in CLIENT LIST.",
    }),
    clock: clockRow,
    random: randomRow,
    logger: loggerRow,
  } satisfies Record<Exclude<keyof RedisTransportOptions, keyof RedisTargetOptions>, OptionRow<unknown>>,
);

/** The options besides those that say which Redis. */
export type RedisTuning = ResolvedOptions<typeof REDIS_TUNING_OPTIONS.rows>;

export interface ResolvedRedisOptions {
  readonly target: RedisTarget;
  readonly tuning: RedisTuning;
}

/** Throws OptionError, which never repeats a secret. */
export function resolveRedisOptions(owner: string, options: RedisTransportOptions): ResolvedRedisOptions {
  const where = Object.keys(REDIS_TARGET_OPTIONS.rows);
  refuseUnknownKeys(owner, options, [...where, ...Object.keys(REDIS_TUNING_OPTIONS.rows)]);
  const given = Object.entries(options);
  const target = Object.fromEntries(given.filter(([name]) => where.includes(name)));
  const tuning = Object.fromEntries(given.filter(([name]) => !where.includes(name)));
  return {
    target: resolveRedisTarget(owner, target),
    tuning: REDIS_TUNING_OPTIONS.resolve(tuning, { owner }),
  };
}
