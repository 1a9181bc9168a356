/** Which dead letters a command is about: the bus, its streams and keys, and the letters meant. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { systemClock } from '../core/clock.ts';
import { errorMessage } from '../core/errors.ts';
import { type Logger, silentLogger } from '../core/logger.ts';
import { Metrics } from '../core/metrics.ts';
import { createKeyRing, type KeyRing } from '../leyline/key-ring.ts';
import { BusMessageType } from '../leyline/messages.ts';
import { createDeadLetters } from '../oona/dead-letters/dead-letters.ts';
import type { DeadLetters, LetterFilter, LetterSelection } from '../oona/dead-letters/types.ts';
import { resolveStreams, type StreamNames } from '../oona/streams.ts';
import { createRedisTransport } from '../oona/transport/redis.ts';
import { redisTlsFromEnvironment } from '../oona/transport/redis-tls.ts';
import { REDIS_URL_FORMS } from '../oona/transport/redis-url.ts';
import { printError } from './output.ts';
import { CommandError, EXIT } from './target.ts';

type Environment = Readonly<Record<string, string | undefined>>;

export interface BusOptions {
  readonly redis?: string;
  readonly deadLetterStream?: string;
  readonly unsigned?: boolean;
}

export interface FilterOptions {
  readonly code?: string;
  readonly stream?: string;
  readonly type?: number;
  readonly olderThan?: number;
  readonly all?: boolean;
}

/** Whoever waits at a terminal waits no longer for one answer, milliseconds. */
const CALL_DEADLINE_MS = 5000;

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

export const BUS_HELP = `
The bus: --redis, else REDIS_URL: ${REDIS_URL_FORMS}.
For TLS: OONA_REDIS_TLS_CA, OONA_REDIS_TLS_CERT, OONA_REDIS_TLS_KEY (paths of PEM files), OONA_REDIS_TLS_SERVERNAME.
Its streams: OONA_NORMAL_STREAM, OONA_EMERGENCY_STREAM, OONA_TELEMETRY_STREAM,
OONA_POLICY_STREAM, else the names that peers share. Its keys: ESPER_LEYLINE_SECRET, ESPER_LEYLINE_PREVIOUS_SECRETS.`;

export function withBus(command: Command): Command {
  return command
    .option(
      '--redis <url>',
      'Redis of the bus; a password is better left to REDIS_URL: others see command lines',
    )
    .option('--dead-letter-stream <name>', 'where the letters are (default: oona.deadletter)')
    .option('--json', 'one line of JSON', false)
    .addHelpText('after', BUS_HELP);
}

export function withFilter(command: Command): Command {
  return command
    .option('--code <code>', 'letters with this reason, e.g. ESPER_OONA_TOO_OLD')
    .option('--stream <name>', 'letters that come from this stream')
    .addOption(
      new Option('--type <type>', 'letters of this message type: telemetry, or 4').argParser(parseType),
    )
    .addOption(
      new Option('--older-than <duration>', 'letters that are there this long: 90s, 15m, 2h, 7d').argParser(
        parseDuration,
      ),
    );
}

export function parseCount(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('must be a whole number from 1.');
}

/** 'telemetry', 'BUS_MESSAGE_TYPE_TELEMETRY' or '4'. */
function parseType(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  const short = (name: string): string => name.replace('BUS_MESSAGE_TYPE_', '').toLowerCase();
  const names = Object.keys(BusMessageType).filter((name) => name.startsWith('BUS_MESSAGE_TYPE_'));
  const wanted = short(text.toUpperCase()).replaceAll('-', '_');
  const name = names.find((one) => short(one) === wanted);
  if (name !== undefined) return Number(Reflect.get(BusMessageType, name));
  throw new InvalidArgumentError(`must be a number or one of ${names.map(short).join(', ')}.`);
}

function parseDuration(text: string): number {
  const [, count, unit = ''] = /^(\d{1,9})(ms|s|m|h|d)$/.exec(text) ?? [];
  const unitMs = UNITS[unit];
  if (count !== undefined && unitMs !== undefined) return Number(count) * unitMs;
  throw new InvalidArgumentError('must look like 500ms, 90s, 15m, 2h or 7d.');
}

export function filterOf({ code, stream, type, olderThan, all }: FilterOptions): LetterFilter {
  return {
    ...(code !== undefined && { code }),
    ...(stream !== undefined && { stream }),
    ...(type !== undefined && { messageType: type }),
    ...(olderThan !== undefined && { olderThanMs: olderThan }),
    ...(all === true && { all: true as const }),
  };
}

/** Ids or conditions, one of them. Throws CommandError. */
export function selectionOf(ids: readonly string[], options: FilterOptions): LetterSelection {
  const filter = filterOf(options);
  const conditions = Object.keys(filter).length;
  if (ids.length > 0 !== conditions > 0) return ids.length > 0 ? ids : filter;
  const both = ids.length > 0 ? 'not both ids and conditions' : 'say which letters';
  throw new CommandError(
    EXIT.usage,
    `${both}: give letter ids, or --code, --stream, --type, --older-than, or --all`,
  );
}

/** Opens the dead letters, uses them, closes the connections. Throws CommandError. */
export async function withDeadLetters<T>(
  options: BusOptions,
  needsKeys: boolean,
  use: (deadLetters: DeadLetters) => Promise<T>,
): Promise<T> {
  const url = options.redis || process.env.REDIS_URL;
  if (url === undefined || url === '') {
    throw new CommandError(
      EXIT.usage,
      'no Redis: give --redis or set REDIS_URL; the dead letters of an embedded bus are in its process alone',
    );
  }
  const keyRing = needsKeys && options.unsigned !== true ? keysOf(process.env) : undefined;
  const streams = streamsOf(options, process.env);
  const parts = { clock: systemClock, logger: consoleLogger };
  const tls = redisTlsFromEnvironment(process.env);
  const transport = createRedisTransport({ url, ...(tls && { tls }), ...parts });
  try {
    const rest = { metrics: new Metrics(), callDeadlineMs: CALL_DEADLINE_MS, ...parts, logger: silentLogger };
    return await use(createDeadLetters({ transport, keyRing, streams, ...rest }));
  } finally {
    await transport.close();
  }
}

function streamsOf({ deadLetterStream }: BusOptions, env: Environment): StreamNames {
  return resolveStreams({
    ...(env.OONA_NORMAL_STREAM && { normal: env.OONA_NORMAL_STREAM }),
    ...(env.OONA_EMERGENCY_STREAM && { emergency: env.OONA_EMERGENCY_STREAM }),
    ...(env.OONA_TELEMETRY_STREAM && { telemetry: env.OONA_TELEMETRY_STREAM }),
    ...(env.OONA_POLICY_STREAM && { policy: env.OONA_POLICY_STREAM }),
    ...(deadLetterStream !== undefined && { deadLetter: deadLetterStream }),
  });
}

function keysOf(env: Environment): KeyRing {
  const secret = env.ESPER_LEYLINE_SECRET;
  if (secret === undefined || secret === '') {
    throw new CommandError(
      EXIT.usage,
      'ESPER_LEYLINE_SECRET is not set: nothing could be verified; --unsigned for a bus that runs without',
    );
  }
  const previous = (env.ESPER_LEYLINE_PREVIOUS_SECRETS ?? '').split(',').map((text) => text.trim());
  try {
    const others = previous.filter((text) => text !== '').map((text) => ({ secret: text }));
    return createKeyRing({ current: { secret }, previous: others });
  } catch (error) {
    throw new CommandError(EXIT.usage, errorMessage(error));
  }
}

/** What the connection has to say to an operator. */
const consoleLogger: Logger = {
  ...silentLogger,
  error: (_fields, message) => printError(`esper-fastpath: ${message}`),
};
