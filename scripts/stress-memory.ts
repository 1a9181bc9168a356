// A real memory cgroup, a relay in it, and more payloads than fit. See `--help` and docs/stress-memory.md.
import { parseArgs } from 'node:util';
import { parseMemorySize } from '../src/faults/memory/size.ts';
import { makeCgroup } from './stress/cgroup.ts';
import { killRunning } from './stress/child.ts';
import { carryOut, PARTS, type Part, type Plan } from './stress/plan.ts';
import { printFill, printRelease, printRun, printSummary, summaryOf } from './stress/report.ts';

const USAGE = `usage: npx tsx scripts/stress-memory.ts [--runs N] [--limit SIZE] [--only PART[,PART]] [--json] [--help]

Runs examples/relay.ts in a memory cgroup of its own (version 1 or 2, whichever accounts memory here; needs root) and
posts payloads of 38 MB to it over many connections at once, from a process outside of the cgroup.

  unguarded   the relay without memory monitor and degradation: the kernel must kill every run
  guarded     the relay as it is meant: every run survives or stops cleanly, and no payload is lost; every second one
              with half the connections, and to go on at CRITICAL until 98 %
  release     pressure comes from next door and goes: everything must be as before
  blocked     a loop that is blocked by allocating at 200 MiB/s: the shared flag is set before the kill (2 N times)
  rates       the same faster and with a shorter way: from which rate on it is too late (N / 2 times each)

  --runs N         of each, 1-100 (default 10)
  --limit SIZE     of the cgroup: 512M, 1Gi (default 512Mi)
  --connections N  payloads at once, 1-500 (default 24)
  --seconds N      of load on a guarded relay that lives, 1-600 (default 8)
  --only A,B       these parts only
  --json           end with one line {"stress":"memory","ok":…,…}
  --help           this text

Ends 0 when all holds, 1 when something does not (and says what), 2 on a wrong option. About seven minutes.`;

class UsageError extends Error {}

const PAYLOAD_BYTES = 38_000_000;

function readInteger(name: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (text.trim() !== '' && Number.isInteger(value) && value >= min && value <= max) return value;
  throw new UsageError(`--${name} takes a whole number from ${min} to ${max}, got ${text}`);
}

function readParts(only: string | undefined): readonly Part[] {
  if (only === undefined) return PARTS;
  const names = only.split(',');
  const unknown = names.find((name) => !PARTS.some((part) => part === name));
  if (unknown !== undefined) throw new UsageError(`--only knows ${PARTS.join(', ')}; got "${unknown}"`);
  return PARTS.filter((part) => names.includes(part));
}

function readLimit(text: string): number {
  try {
    return parseMemorySize('--limit', text);
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

/** Undefined for --help. */
function readArguments(args: readonly string[]): (Plan & { readonly json: boolean }) | undefined {
  const { values } = parseArgs({
    args: [...args],
    options: {
      runs: { type: 'string', default: '10' },
      limit: { type: 'string', default: '512Mi' },
      connections: { type: 'string', default: '24' },
      seconds: { type: 'string', default: '8' },
      only: { type: 'string' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return undefined;
  return {
    parts: readParts(values.only),
    runs: readInteger('runs', values.runs, 1, 100),
    settings: {
      limitBytes: readLimit(values.limit),
      payloadBytes: PAYLOAD_BYTES,
      connections: readInteger('connections', values.connections, 1, 500),
      seconds: readInteger('seconds', values.seconds, 1, 600),
    },
    json: values.json,
  };
}

/** Before anything is started, or every run would fail with the same words. */
async function requireCgroups(limitBytes: number): Promise<void> {
  const cgroup = makeCgroup(limitBytes);
  console.log(`memory cgroups of version ${cgroup.version}`);
  await cgroup.remove();
}

async function main(): Promise<number> {
  const plan = readArguments(process.argv.slice(2));
  if (plan === undefined) {
    console.log(USAGE);
    return 0;
  }
  const { limitBytes } = plan.settings;
  await requireCgroups(limitBytes);
  const results = await carryOut(
    plan,
    { run: printRun, release: printRelease, fill: printFill },
    over.signal,
  );
  const summary = summaryOf(results);
  printSummary(summary, limitBytes);
  if (plan.json) console.log(JSON.stringify({ stress: 'memory', ...summary, results }));
  return summary.ok ? 0 : 1;
}

const over = new AbortController();
/** What it started is killed, each by its id; then the run that they were of clears up its cgroup and files. */
for (const [signal, number] of [
  ['SIGINT', 2],
  ['SIGTERM', 15],
] as const) {
  process.on(signal, () => {
    if (over.signal.aborted) process.exit(128 + number);
    over.abort(number);
    killRunning();
  });
}

main().then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    if (over.signal.aborted) {
      console.error('stress-memory: interrupted; what it started is gone');
      process.exitCode = 128 + Number(over.signal.reason);
      return;
    }
    console.error(`stress-memory: ${error instanceof Error ? error.message : String(error)}`);
    const isUsage =
      error instanceof UsageError || (error as { code?: string }).code?.startsWith('ERR_PARSE_ARGS');
    process.exitCode = isUsage ? 2 : 1;
  },
);
