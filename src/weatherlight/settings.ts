import { hostname } from 'node:os';
import { TEXT_BOUNDS } from '../native/strings.ts';
import { maskRedisUrl } from '../oona/transport/redis-url.ts';
import { type SettingProblem, SettingsError } from './errors.ts';
import {
  OWN_HEALTH_RULES,
  type OwnHealthSettings,
  ownHealthOf,
  shownOwnHealth,
} from './own-health-settings.ts';
import {
  checkRedisTls,
  type RedisTlsVariables,
  redisTlsVariables,
  redisWarnings,
  shownRedisTls,
} from './redis-settings.ts';
import { MASK, Secret } from './secret.ts';
import {
  flag,
  hostId,
  type LogLevel,
  logLevel,
  pemFile,
  printable,
  redisUrl,
  type SettingRule,
  secretList,
  secretText,
  segmentName,
  serverName,
  streamName,
  wholeNumber,
} from './setting-rules.ts';
import { requireDistinct, type Streams } from './stream-settings.ts';

export type { Streams };

export const MIN_SECRET_BYTES = 16;

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

/** Every variable that Weatherlight reads; `describeSettings` and `--help` follow this order. */
const RULES = {
  ESPER_LEYLINE_SECRET: secretText(MIN_SECRET_BYTES),
  ESPER_LEYLINE_PREVIOUS_SECRETS: secretList(MIN_SECRET_BYTES),
  ESPER_ALLOW_UNSIGNED: flag,
  REDIS_URL: redisUrl,
  OONA_REDIS_TLS_CA: pemFile,
  OONA_REDIS_TLS_CERT: pemFile,
  OONA_REDIS_TLS_KEY: pemFile,
  OONA_REDIS_TLS_SERVERNAME: serverName,
  OONA_REDIS_WAIT_REPLICAS: wholeNumber(0, 8, 'replicas'),
  OONA_NORMAL_STREAM: streamName,
  OONA_EMERGENCY_STREAM: streamName,
  OONA_TELEMETRY_STREAM: streamName,
  OONA_POLICY_STREAM: streamName,
  OONA_MESSAGE_TTL_MS: wholeNumber(1000, 7 * DAY_MS, 'milliseconds'),
  ESPER_HOST_ID: hostId,
  ESPER_RUN_ID: printable(TEXT_BOUNDS.runId),
  TOLARIA_EMERGENCY_SIGNAL_NAME: segmentName,
  TOLARIA_EMERGENCY_FAST_PATH_ENABLED: flag,
  ESP_LOG_LEVEL: logLevel,
  WEATHERLIGHT_OUTBOX_DELAY_MS: wholeNumber(1, 10_000, 'milliseconds'),
  WEATHERLIGHT_HALT_ACK_TIMEOUT_MS: wholeNumber(1, 10 * MINUTE_MS, 'milliseconds'),
  WEATHERLIGHT_SHUTDOWN_DEADLINE_MS: wholeNumber(100, 10 * MINUTE_MS, 'milliseconds'),
  WEATHERLIGHT_TELEMETRY_INTERVAL_MS: wholeNumber(100, 60 * MINUTE_MS, 'milliseconds'),
  WEATHERLIGHT_OBEY_FOREIGN_RUNS: flag,
  ...OWN_HEALTH_RULES,
} as const;

export type SettingName = keyof typeof RULES;
export const SETTING_NAMES: readonly SettingName[] = Object.freeze(Object.keys(RULES) as SettingName[]);
const SECRET_NAMES: readonly string[] = ['ESPER_LEYLINE_SECRET', 'ESPER_LEYLINE_PREVIOUS_SECRETS'];

/** What the environment said, checked once and frozen. Times are in milliseconds. */
export interface Settings {
  /** Signs and verifies; undefined only for an unsigned embedded bus. */
  readonly secret: Secret | undefined;
  /** Still accepted when verifying, newest first. */
  readonly previousSecrets: readonly Secret[];
  /** undefined: the embedded bus, which ends with this process. */
  readonly redisUrl: Secret | undefined;
  /** Read when the bus is opened. */
  readonly redisTls: RedisTlsVariables;
  /** So many replicas must have an emergency before it counts as published; 0: the primary's word is enough. */
  readonly waitReplicas: number;
  readonly streams: Streams;
  readonly messageTtlMs: number;
  readonly hostId: string;
  readonly runId: string;
  readonly signalName: string;
  /** false: emergencies leave this host with telemetry only; its flag works as ever. */
  readonly fastPathEnabled: boolean;
  readonly logLevel: LogLevel;
  /** Age at which a record that nobody published is published by the supervisor. */
  readonly outboxDelayMs: number;
  /** Bound on the acknowledgement of a HALT; who is late is named. */
  readonly haltAckTimeoutMs: number;
  readonly shutdownDeadlineMs: number;
  readonly telemetryIntervalMs: number;
  /** true: an emergency of another run id is obeyed like one's own. */
  readonly obeyForeignRuns: boolean;
  readonly ownHealth: OwnHealthSettings;
  /** Variables that were set, in the order of `SETTING_NAMES`. */
  readonly given: readonly SettingName[];
  /** Remarks that do not prevent a start, for the log. */
  readonly warnings: readonly string[];
}

/** Environment as read; a variable set to '' counts as not set, which is how compose files pass nothing on. */
export type Environment = Readonly<Record<string, string | undefined>>;

type Values = {
  readonly [Name in SettingName]?: (typeof RULES)[Name] extends SettingRule<infer T> ? T : never;
};

function readOne(name: SettingName, text: string, problems: SettingProblem[]): unknown {
  const rule: SettingRule<unknown> = RULES[name];
  const parsed = rule.schema.safeParse(text);
  if (parsed.success) return parsed.data;
  problems.push({ variable: name, value: `"${maskValue(name, text)}" is refused`, allowed: rule.allowed });
  return undefined;
}

function readAll(env: Environment, problems: SettingProblem[]): Values {
  const values: Partial<Record<SettingName, unknown>> = {};
  for (const name of SETTING_NAMES) {
    const text = env[name];
    if (text === undefined || text === '') continue;
    values[name] = readOne(name, text, problems);
  }
  return values as Values;
}

/** The value as a log may show it. */
function maskValue(name: string, text: string): string {
  if (SECRET_NAMES.includes(name)) return MASK;
  return name === 'REDIS_URL' ? maskRedisUrl(text) : text;
}

function missingSecret(values: Values): SettingProblem {
  const set = 'set ESPER_LEYLINE_SECRET to the secret that all processes of the bus share';
  const unsigned =
    values.REDIS_URL === undefined
      ? ', or ESPER_ALLOW_UNSIGNED=1 to run the embedded bus unsigned'
      : '; ESPER_ALLOW_UNSIGNED counts for the embedded bus only, and REDIS_URL is set';
  return {
    variable: 'ESPER_LEYLINE_SECRET',
    value: '(not set)',
    allowed: `${RULES.ESPER_LEYLINE_SECRET.allowed}: ${set}${unsigned}`,
  };
}

function resolveSignalName(values: Values, runId: string, problems: SettingProblem[]): string {
  const given = values.TOLARIA_EMERGENCY_SIGNAL_NAME;
  if (given !== undefined) return given;
  const derived = `emergency-${runId}`;
  if (!segmentName.schema.safeParse(derived).success) {
    const allowed = `what may follow "emergency-" in a segment name (${segmentName.allowed}); or set TOLARIA_EMERGENCY_SIGNAL_NAME`;
    problems.push({ variable: 'ESPER_RUN_ID', value: `"${runId}" is refused`, allowed });
  }
  return derived;
}

/** A misspelt variable changes nothing, silently; it is told, and no reason to leave a training unsupervised. */
function misspelt(env: Environment): string[] {
  const unknown = Object.keys(env).filter(
    (key) => key.startsWith('WEATHERLIGHT_') && !Object.hasOwn(RULES, key),
  );
  const known = SETTING_NAMES.filter((name) => name.startsWith('WEATHERLIGHT_')).join(', ');
  return unknown.map((key) => `${key} is not a variable of Weatherlight and has no effect; known: ${known}`);
}

function defaultHostId(): string {
  return hostname().slice(0, 64);
}

/**
 * Reads and checks the environment.
 * @throws SettingsError naming every refused variable, its value (masked where secret) and what is allowed; its code
 * is ESPER_WEATHERLIGHT_SETTING_MISSING when ESPER_LEYLINE_SECRET is not set and may not be left out.
 */
export function loadSettings(env: Environment): Settings {
  const problems: SettingProblem[] = [];
  const values = readAll(env, problems);
  const streams: Streams = Object.freeze({
    normal: values.OONA_NORMAL_STREAM ?? 'oona.normal',
    emergency: values.OONA_EMERGENCY_STREAM ?? 'oona.emergency',
    telemetry: values.OONA_TELEMETRY_STREAM ?? 'oona.telemetry',
    policy: values.OONA_POLICY_STREAM ?? 'oona.policy',
  });
  requireDistinct(streams, problems);
  checkRedisTls(values, problems);
  const runId = values.ESPER_RUN_ID ?? 'default';
  const signalName = resolveSignalName(values, runId, problems);

  const secretGiven = (env.ESPER_LEYLINE_SECRET ?? '') !== '';
  const mayBeUnsigned = values.ESPER_ALLOW_UNSIGNED === true && (env.REDIS_URL ?? '') === '';
  const missing = !secretGiven && !mayBeUnsigned;
  if (missing) problems.unshift(missingSecret(values));
  if (problems.length > 0) {
    const code = missing ? 'ESPER_WEATHERLIGHT_SETTING_MISSING' : 'ESPER_WEATHERLIGHT_SETTING_INVALID';
    throw new SettingsError(code, problems);
  }

  return Object.freeze({
    secret: values.ESPER_LEYLINE_SECRET === undefined ? undefined : new Secret(values.ESPER_LEYLINE_SECRET),
    previousSecrets: Object.freeze(
      (values.ESPER_LEYLINE_PREVIOUS_SECRETS ?? []).map((text) => new Secret(text)),
    ),
    redisUrl:
      values.REDIS_URL === undefined
        ? undefined
        : new Secret(values.REDIS_URL, maskRedisUrl(values.REDIS_URL)),
    redisTls: redisTlsVariables(values),
    waitReplicas: values.OONA_REDIS_WAIT_REPLICAS ?? 0,
    streams,
    messageTtlMs: values.OONA_MESSAGE_TTL_MS ?? 900_000,
    hostId: values.ESPER_HOST_ID ?? defaultHostId(),
    runId,
    signalName,
    fastPathEnabled: values.TOLARIA_EMERGENCY_FAST_PATH_ENABLED ?? true,
    logLevel: values.ESP_LOG_LEVEL ?? 'info',
    outboxDelayMs: values.WEATHERLIGHT_OUTBOX_DELAY_MS ?? 10,
    haltAckTimeoutMs: values.WEATHERLIGHT_HALT_ACK_TIMEOUT_MS ?? 100,
    shutdownDeadlineMs: values.WEATHERLIGHT_SHUTDOWN_DEADLINE_MS ?? 5000,
    telemetryIntervalMs: values.WEATHERLIGHT_TELEMETRY_INTERVAL_MS ?? 10_000,
    obeyForeignRuns: values.WEATHERLIGHT_OBEY_FOREIGN_RUNS ?? false,
    ownHealth: ownHealthOf(values),
    given: Object.freeze(SETTING_NAMES.filter((name) => (env[name] ?? '') !== '')),
    warnings: Object.freeze([...misspelt(env), ...redisWarnings(values)]),
  });
}

export interface SettingRow {
  readonly variable: SettingName;
  /** As a log may show it: secrets masked. */
  readonly value: string;
  readonly source: 'environment' | 'default';
}

/** What each variable allows, for help texts. */
export function settingHelp(): { readonly variable: SettingName; readonly allowed: string }[] {
  return SETTING_NAMES.map((variable) => ({ variable, allowed: RULES[variable].allowed }));
}

/** The resolved settings as a table, in a fixed order, secrets masked. */
export function describeSettings(settings: Settings): SettingRow[] {
  const shown: Record<SettingName, unknown> = {
    ESPER_LEYLINE_SECRET: settings.secret ?? '(none: unsigned)',
    ESPER_LEYLINE_PREVIOUS_SECRETS: settings.previousSecrets.join(','),
    ESPER_ALLOW_UNSIGNED: settings.secret === undefined,
    REDIS_URL: settings.redisUrl ?? '(none: embedded bus)',
    ...shownRedisTls(settings.redisTls),
    OONA_REDIS_WAIT_REPLICAS: settings.waitReplicas,
    OONA_NORMAL_STREAM: settings.streams.normal,
    OONA_EMERGENCY_STREAM: settings.streams.emergency,
    OONA_TELEMETRY_STREAM: settings.streams.telemetry,
    OONA_POLICY_STREAM: settings.streams.policy,
    OONA_MESSAGE_TTL_MS: settings.messageTtlMs,
    ESPER_HOST_ID: settings.hostId,
    ESPER_RUN_ID: settings.runId,
    TOLARIA_EMERGENCY_SIGNAL_NAME: settings.signalName,
    TOLARIA_EMERGENCY_FAST_PATH_ENABLED: settings.fastPathEnabled,
    ESP_LOG_LEVEL: settings.logLevel,
    WEATHERLIGHT_OUTBOX_DELAY_MS: settings.outboxDelayMs,
    WEATHERLIGHT_HALT_ACK_TIMEOUT_MS: settings.haltAckTimeoutMs,
    WEATHERLIGHT_SHUTDOWN_DEADLINE_MS: settings.shutdownDeadlineMs,
    WEATHERLIGHT_TELEMETRY_INTERVAL_MS: settings.telemetryIntervalMs,
    WEATHERLIGHT_OBEY_FOREIGN_RUNS: settings.obeyForeignRuns,
    ...shownOwnHealth(settings.ownHealth),
  };
  return SETTING_NAMES.map((variable) => ({
    variable,
    value: String(shown[variable]),
    source: settings.given.includes(variable) ? 'environment' : 'default',
  }));
}
