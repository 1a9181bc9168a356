/**
 * `npm run demo`: a real training goes wrong, is noticed, taken back and brought to a good end; then an operator stops
 * it. This process only starts the others, listens to what they report, and judges whether everything held.
 */
import { Command, InvalidArgumentError } from 'commander';
import { errorMessage } from '../../src/core/errors.ts';
import { Board } from './board.ts';
import type { ChildEnd } from './children.ts';
import { createNarrator } from './narrator.ts';
import { createStage, type Stage } from './stage.ts';
import { momentsOf, summarise } from './summary.ts';
import { paint, print } from './terminal.ts';
import { renderTimeline } from './timeline.ts';
import { checkPromises, gatherFacts } from './verdict.ts';

/** Generous: they only bound a run in which something hangs, also on a machine that is busy with other things. */
const START_TIMEOUT_MS = 120_000;
const TRAINING_TIMEOUT_MS = 900_000;
const HALT_TIMEOUT_MS = 60_000;
/** Where in the training the fault strikes. */
const FAULT_AT_SHARE = 0.4;
const SEED = 7;
const EXIT_FAILED = 1;
const EXIT_INTERRUPTED = 130;

interface DemoOptions {
  readonly json?: true;
  readonly redis?: string;
  readonly steps: number;
}

function readOptions(): DemoOptions {
  return new Command('npm run demo --')
    .description(
      'Trains a network on MNIST in one process, watches it from another, breaks the training midway, and has a ' +
        'third process stop it at the end. Exits 0 only when everything held.',
    )
    .option('--json', 'end with one line of JSON')
    .option(
      '--redis <url>',
      "two hosts' worth of processes over this Redis, e.g. redis://127.0.0.1:6379",
      parseRedisUrl,
    )
    .option('--steps <n>', 'training steps until the target', parseSteps, 800)
    .parse()
    .opts<DemoOptions>();
}

function parseSteps(text: string): number {
  const steps = Number(text);
  if (Number.isInteger(steps) && steps >= 100 && steps <= 100_000) return steps;
  throw new InvalidArgumentError('It must be a whole number from 100 to 100000.');
}

function parseRedisUrl(text: string): string {
  if (/^rediss?:\/\/./.test(text) && URL.canParse(text)) return text;
  throw new InvalidArgumentError('It must be a redis:// or rediss:// URL.');
}

/** The whole story, from the first process to the last acknowledgement. Rejects when it does not get there. */
async function play(board: Board, stage: Stage, steps: number): Promise<void> {
  await stage.prepare();
  const { hosts } = stage;
  for (const host of hosts) stage.startWeatherlight(host);
  await Promise.all(hosts.map((host) => board.waitFor('started', host.weatherlight, START_TIMEOUT_MS)));

  const trainers = hosts.map((host, index) => {
    // Only the first host's training breaks; the other is there to be told.
    const fault = index === 0 ? ['--fault-at', String(Math.round(steps * FAULT_AT_SHARE))] : [];
    return stage.startTrainer(host, ['--steps', String(steps), '--seed', String(SEED + index), ...fault]);
  });
  await Promise.all(hosts.map((host) => board.waitFor('trainerReady', host.trainer, START_TIMEOUT_MS)));
  await Promise.all(hosts.map((host) => board.waitFor('target', host.trainer, TRAINING_TIMEOUT_MS)));

  stage.startOperator(hosts[0]!);
  const halt = await board.waitFor('operatorRaised', 'operator', START_TIMEOUT_MS);
  const isHalt = (event: { signalId: string }): boolean => event.signalId === halt.signalId;
  await Promise.all(
    hosts.flatMap(({ trainer, weatherlight }) => [
      board.waitFor('finished', trainer, HALT_TIMEOUT_MS),
      board.waitFor('haltAcknowledged', weatherlight, HALT_TIMEOUT_MS, isHalt),
    ]),
  );
  for (const trainer of trainers) trainer.letGo();
  await Promise.all(trainers.map((trainer) => trainer.ended));
}

/** Prints timeline and verdict. True when everything held. */
function judge(board: Board, stage: Stage, ends: readonly ChildEnd[], asJson: boolean): boolean {
  const halt = board.first('operatorRaised', 'operator');
  const [main, ...others] = stage.hosts.map((host) => gatherFacts(board, host, halt));
  const outcome = { runId: stage.runId, main: main!, others, halt };
  const checks = checkPromises(main!, others);
  checks.push({ what: 'every process ended cleanly', ok: ends.every(({ clean }) => clean) });
  const summary = summarise(outcome, checks);

  printBlock(renderTimeline(momentsOf(outcome)));
  printBlock(checks.map(({ ok, what }) => `${ok ? paint('green', '✓') : paint('red', '✗')} ${what}`));
  if (summary.ok) {
    const percent = ((main!.finished?.testAccuracy ?? 0) * 100).toFixed(1);
    const held = paint(['green', 'bold'], 'Everything held.');
    printBlock([`${held} The network names ${percent} % of the digits that it never saw.`]);
  } else {
    console.error(`demo: failed: ${summary.failures.join('; ')}`);
  }
  if (asJson) print(JSON.stringify(summary));
  return summary.ok;
}

function printBlock(lines: readonly string[]): void {
  print();
  for (const line of lines) print(`  ${line}`);
}

async function main(): Promise<number> {
  const options = readOptions();
  const asJson = options.json === true;
  const narrator = createNarrator();
  const board = new Board(narrator.hear);
  const stage = createStage(board, options.redis);
  let interrupted = false;
  const interrupt = (): void => {
    interrupted = true;
    board.fail(new Error('interrupted'));
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, interrupt);
  // Whoever read the output has gone (`| head`): unhandled, that would end this process before its clean-up.
  process.stdout.on('error', interrupt);

  print(`${paint('bold', '@esper/fastpath')}: one emergency from end to end, on a real training\n`);
  let failure: string | undefined;
  try {
    await play(board, stage, options.steps);
  } catch (error) {
    failure = errorMessage(error);
  }
  const ends = await stage.clear();
  narrator.flush();
  if (interrupted) {
    console.error('demo: interrupted; its processes are stopped and its names removed');
    return EXIT_INTERRUPTED;
  }
  if (failure === undefined) return judge(board, stage, ends, asJson) ? 0 : EXIT_FAILED;
  console.error(`demo: failed: ${failure}`);
  if (asJson) print(JSON.stringify({ demo: 'mnist', ok: false, failures: [failure] }));
  return EXIT_FAILED;
}

process.exitCode = await main();
