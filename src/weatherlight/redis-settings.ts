import { errorMessage, OptionError } from '../core/errors.ts';
import { resolveRedisTarget } from '../oona/transport/redis-target.ts';
import { redisTlsFromEnvironment } from '../oona/transport/redis-tls.ts';
import type { SettingProblem } from './errors.ts';

const REDIS_TLS_NAMES = Object.freeze([
  'OONA_REDIS_TLS_CA',
  'OONA_REDIS_TLS_CERT',
  'OONA_REDIS_TLS_KEY',
  'OONA_REDIS_TLS_SERVERNAME',
] as const);

/** The variables as given: paths of PEM files, and a name. Nothing of the files is in here. */
export type RedisTlsVariables = Readonly<Partial<Record<RedisTlsName, string>>>;
type RedisTlsName = (typeof REDIS_TLS_NAMES)[number];

type RedisValues = RedisTlsVariables & { readonly REDIS_URL?: string };

export function redisTlsVariables(values: RedisTlsVariables): RedisTlsVariables {
  const given = REDIS_TLS_NAMES.flatMap((name) => (values[name] ? [[name, values[name]]] : []));
  return Object.freeze(Object.fromEntries(given));
}

/** For the table of settings; paths are no secrets. */
export function shownRedisTls(values: RedisTlsVariables): Readonly<Record<RedisTlsName, string>> {
  const shown = REDIS_TLS_NAMES.map((name) => [name, values[name] ?? '']);
  return Object.fromEntries(shown) as Record<RedisTlsName, string>;
}

/** Reads the files once: one that is missing or damaged is told at the start, not at the first connection. */
export function checkRedisTls(values: RedisValues, problems: SettingProblem[]): void {
  const { REDIS_URL: url } = values;
  const given = REDIS_TLS_NAMES.filter((name) => values[name]);
  if (url === undefined || given[0] === undefined) return;
  try {
    const tls = redisTlsFromEnvironment(values);
    resolveRedisTarget('TLS for REDIS_URL', { url, ...(tls && { tls }) });
  } catch (error) {
    if (!(error instanceof OptionError)) throw error;
    const text = errorMessage(error);
    problems.push({
      variable: given.find((name) => text.startsWith(`${name}:`)) ?? given[0],
      value: given.map((name) => `${name}="${values[name]}"`).join(' '),
      allowed: `readable PEM files, CERT and KEY both or neither, and rediss in REDIS_URL: ${text}`,
    });
  }
}

/** Remarks that prevent no start. */
export function redisWarnings(values: RedisValues): string[] {
  if (values.REDIS_URL !== undefined) return [];
  return REDIS_TLS_NAMES.filter((name) => values[name]).map(
    (name) => `${name} has no effect: REDIS_URL is not set, the bus is the embedded one`,
  );
}
