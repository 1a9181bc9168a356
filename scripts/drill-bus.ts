// The failure drills of the bus, against servers of its own. See `--help` and docs/drills.md.
import { parseArgs } from 'node:util';
import { killRemaining, livingChildren } from './drills/child.ts';
import type { Drill, Row } from './drills/drill.ts';
import { DRILLS } from './drills/list.ts';
import { printRow, printSummary, summaryOf } from './drills/report.ts';
import { within } from './drills/wait.ts';

const USAGE = `usage: npx tsx scripts/drill-bus.ts --all | --only NAME[,NAME] [--messages N] [--json] [--list] [--help]

Publishes and consumes in several processes while things break, and checks by event id, in the ledgers of both sides,
that nothing is lost. Every redis-server is started here, on loopback and a free port; REDIS_URL is never read.

  --all         every drill, one after the other, under eight minutes
  --only A,B    these drills
  --messages N  messages of a drill, 200-1000000 (default 20000)
  --json        end with one line {"drill":"bus","ok":…,"rows":[…],…}
  --verbose     tell each fault as it is placed
  --list        the drills, and what each does
  --help        this text

Ends 0 when every drill holds, 1 when one does not (and says which and why), 2 on a wrong option.`;

const DEFAULT_MESSAGES = 20_000;
/** A drill that takes longer is broken. */
const DRILL_TIMEOUT_MS = 180_000;

class UsageError extends Error {}

interface Wanted {
  readonly drills: readonly Drill[];
  readonly messages: number;
  readonly json: boolean;
  readonly verbose: boolean;
  readonly print: 'usage' | 'list' | undefined;
}

function readMessages(text: string | undefined): number {
  const messages = text === undefined ? DEFAULT_MESSAGES : Number(text);
  if (Number.isInteger(messages) && messages >= 200 && messages <= 1_000_000) return messages;
  throw new UsageError(`--messages takes a whole number from 200 to 1000000, got ${text}`);
}

function chosen(all: boolean, only: string | undefined): readonly Drill[] {
  if (all && only !== undefined) throw new UsageError('--all and --only exclude each other');
  if (all) return DRILLS;
  if (only === undefined) throw new UsageError('say --all, or --only NAME[,NAME]; --list names the drills');
  const names = only.split(',');
  const unknown = names.find((name) => !DRILLS.some((drill) => drill.name === name));
  if (unknown !== undefined) throw new UsageError(`there is no drill "${unknown}"; --list names them`);
  return DRILLS.filter(({ name }) => names.includes(name));
}

function readArguments(args: readonly string[]): Wanted {
  const flag = { type: 'boolean', default: false } as const;
  const text = { type: 'string' } as const;
  const { values } = parseArgs({
    args: [...args],
    options: {
      ...{ all: flag, json: flag, verbose: flag, list: flag, help: flag },
      ...{ only: text, messages: text },
    },
  });
  const print = values.help ? 'usage' : values.list ? 'list' : undefined;
  const drills = print === undefined ? chosen(values.all, values.only) : [];
  const { json, verbose } = values;
  return { drills, messages: readMessages(values.messages), json, verbose, print };
}

function failedRow(drill: string, error: unknown, startedMs: number): Row {
  const problem = error instanceof Error ? error.message : String(error);
  return {
    ...{ drill, engine: '-', sent: 0, handled: 0, duplicates: 0, lost: 0, deadLetters: 0 },
    ...{ consumerKills: 0, redisKills: 0, faults: 0, inFlight: 0, inFlightLeast: 0 },
    ...{ recoveryMs: undefined, silenceMs: 0 },
    ...{ cleanEnds: 0, identities: 0, tookS: (performance.now() - startedMs) / 1000, notes: [] },
    problems: [problem],
  };
}

async function runDrill(drill: Drill, { messages, verbose }: Wanted): Promise<Row> {
  const startedMs = performance.now();
  const log = (text: string): void => {
    if (verbose) console.error(`${drill.name}: ${text}`);
  };
  try {
    const row = await within(`drill ${drill.name}`, DRILL_TIMEOUT_MS, drill.run({ messages, log }));
    const left = livingChildren();
    return left === 0 ? row : { ...row, problems: [...row.problems, `${left} processes were left`] };
  } catch (error) {
    return failedRow(drill.name, error, startedMs);
  } finally {
    await killRemaining();
  }
}

async function main(): Promise<number> {
  const wanted = readArguments(process.argv.slice(2));
  if (wanted.print === 'usage') {
    console.log(USAGE);
    return 0;
  }
  if (wanted.print === 'list') {
    for (const { name, about } of DRILLS) console.log(`${name.padEnd(18)} ${about}`);
    return 0;
  }
  const rows: Row[] = [];
  for (const drill of wanted.drills) {
    const row = await runDrill(drill, wanted);
    printRow(row);
    rows.push(row);
  }
  const summary = summaryOf(rows);
  printSummary(summary);
  if (wanted.json) console.log(JSON.stringify({ drill: 'bus', ...summary, rows }));
  return summary.ok ? 0 : 1;
}

/** Children and servers end with this process: their owners kill them on its way out. */
for (const [signal, number] of [
  ['SIGINT', 2],
  ['SIGTERM', 15],
] as const) {
  process.once(signal, () => {
    console.error(`drill-bus: ended by ${signal}`);
    process.exit(128 + number);
  });
}

main().then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    console.error(`drill-bus: ${error instanceof Error ? error.message : String(error)}`);
    const isUsage =
      error instanceof UsageError || (error as { code?: string }).code?.startsWith('ERR_PARSE_ARGS');
    process.exitCode = isUsage ? 2 : 1;
  },
);
