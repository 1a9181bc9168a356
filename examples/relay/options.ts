import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { parseMemorySize } from '../../src/faults/memory/size.ts';
import { TRANSFORMS, type TransformName } from './transforms.ts';

export interface RelayOptions {
  readonly host: string;
  readonly port: number;
  readonly directory: string;
  readonly transform: TransformName;
  readonly redis?: string;
  /** False: --unguarded. */
  readonly guarded: boolean;
  /** Memory level that ends it. */
  readonly stopAt: 'critical' | 'shutdown';
  readonly maxPayloadBytes: number;
  /** Payloads that may wait at each step. */
  readonly buffer: number;
  readonly dwellMs: number;
  readonly stopMs: number;
}

const MAX_PORT = 65_535;
const HOUR_MS = 3_600_000;

function integer(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() !== '' && Number.isInteger(value) && value >= min && value <= max) return value;
    throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`);
  };
}

function bytes(text: string): number {
  try {
    return parseMemorySize('--max-payload', text);
  } catch (error) {
    throw new InvalidArgumentError(error instanceof Error ? error.message : String(error));
  }
}

function redisUrl(text: string): string {
  if (/^rediss?:\/\/./.test(text) && URL.canParse(text)) return text;
  throw new InvalidArgumentError('It must be a redis:// or rediss:// URL.');
}

interface Parsed extends Omit<RelayOptions, 'guarded' | 'maxPayloadBytes'> {
  readonly unguarded?: true;
  readonly maxPayload: number;
}

/** Ends the process on --help and on what it does not understand (exit code 2). */
export function readOptions(argv: readonly string[]): RelayOptions {
  const { unguarded, maxPayload, ...options } = new Command('relay')
    .description(
      'Takes payloads over HTTP, packs each, writes it to a file and tells the bus. A payload is answered 200 when all ' +
        'of that is done, else 503 with Retry-After. Under memory pressure it takes in less, and nothing is lost.',
    )
    .option('--host <name>', 'address to listen on', '127.0.0.1')
    .option('--port <n>', 'port; 0 is a free one', integer(0, MAX_PORT), 8080)
    .option('--directory <path>', 'where the files go', join(tmpdir(), 'relay-files'))
    .addOption(
      new Option('--transform <name>', 'how a payload is packed')
        .choices(Object.keys(TRANSFORMS))
        .default('gzip'),
    )
    .option('--redis <url>', 'bus over this Redis; without it, in the memory of this process', redisUrl)
    .option('--unguarded', 'no memory monitor, no degradation, no shutdown before the end')
    .addOption(
      new Option(
        '--stop-at <level>',
        'level of memory pressure that ends it: critical is 95 %, shutdown 98 %',
      )
        .choices(['critical', 'shutdown'])
        .default('critical'),
    )
    .option('--max-payload <size>', 'larger ones are answered 413', bytes, bytes('64M'))
    .option('--buffer <n>', 'payloads that may wait at each step', integer(1, 10_000), 8)
    .option(
      '--dwell-ms <n>',
      'how long pressure must be gone before all is as before',
      integer(0, HOUR_MS),
      5000,
    )
    .option(
      '--stop-ms <n>',
      'for the end: what is under way is answered within it',
      integer(1, HOUR_MS),
      30_000,
    )
    .addHelpText(
      'after',
      `
POST /payloads   a payload, with content-length; x-payload-id names it (1-64 letters, digits, _ -)
GET  /healthz    200 while it runs, also under pressure
GET  /metrics    for Prometheus
GET  /state      buses, parts, degradation, memory, payloads, as JSON

ESPER_LEYLINE_SECRET signs what goes to the bus. MEMORY_LIMIT is the limit where no cgroup has one.
Log lines are JSON on stdout. SIGINT or SIGTERM stops it, a second one at once.`,
    )
    .configureOutput({ outputError: (text, write) => write(`relay: ${text.replace(/^error: /, '')}`) })
    .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2))
    .parse(argv)
    .opts<Parsed>();
  return { ...options, guarded: unguarded !== true, maxPayloadBytes: maxPayload };
}
