#!/usr/bin/env node
import { Command, Option } from 'commander';
import { FastpathError } from '../core/errors.ts';
import { type BuildNativeOptions, buildNative } from './build-native.ts';
import { addDeadLetterCommands } from './dead-letter-commands.ts';
import { doctor } from './doctor.ts';
import {
  type ClearOptions,
  clear,
  history,
  type StatusOptions,
  status,
  type TriggerOptions,
  trigger,
  unlink,
} from './flag-commands.ts';
import { printError } from './output.ts';
import { packageVersion } from './package-version.ts';
import { CommandError, EXIT, resolveTarget, type Target, type TargetOptions } from './target.ts';

const EXIT_HELP = `
Exit codes:
  0  done
  1  not done: the clear or a replay was refused, a check of the doctor failed, Redis did not answer
  2  bad arguments
  3  shared memory cannot be used here, so nobody would have noticed
  4  there is no signal of that name, no dead letter of that id
  5  the flag is set (status --check)`;

const TARGET_HELP = `
Which flag: --name, else --run-id (then emergency-<run id>), else TOLARIA_EMERGENCY_SIGNAL_NAME, else ESPER_RUN_ID,
else emergency-default.`;

function exitCodeOf(error: FastpathError): number {
  if (error instanceof CommandError) return error.exitCode;
  return error.code === 'ESPER_OPTION_INVALID' || error.code === 'ESPER_SHM_BAD_NAME'
    ? EXIT.usage
    : EXIT.failed;
}

/** Runs one command; what it throws becomes a line on standard error and an exit code. */
async function run(work: () => number | Promise<number>): Promise<void> {
  try {
    process.exitCode = await work();
  } catch (error) {
    if (!(error instanceof FastpathError)) throw error;
    printError(`esper-fastpath: ${error.message}`);
    process.exitCode = exitCodeOf(error);
  }
}

function targeted(program: Command, name: string, description: string): Command {
  return program
    .command(name)
    .description(description)
    .option('--name <name>', 'name of the signal')
    .addOption(new Option('--run-id <id>', 'training run; its signal is emergency-<id>'))
    .addHelpText('after', TARGET_HELP);
}

function target(options: TargetOptions): Target {
  return resolveTarget(options, process.env);
}

const program = new Command('esper-fastpath')
  .description(
    'Looks at, raises and clears the emergency flag of this host, and checks whether the host is fit.',
  )
  .version(packageVersion())
  .addHelpText('after', EXIT_HELP)
  .exitOverride((end) => process.exit(end.exitCode === 0 ? EXIT.done : EXIT.usage));

targeted(program, 'status', 'show level, standing emergencies and participants')
  .option('--json', 'one line of JSON', false)
  .option('--check', 'exit with 5 when the flag is set', false)
  .action((options: TargetOptions & StatusOptions) => run(() => status(target(options), options)));

targeted(program, 'history', 'list the records that are still in the ring, oldest first')
  .option('--json', 'one line of JSON', false)
  .action((options: TargetOptions & { json: boolean }) => run(() => history(target(options), options)));

targeted(program, 'trigger', 'raise the flag: notice (1), elevated (2), conservative (3) or halt (4)')
  .argument('<level>', 'name or number of the level')
  .requiredOption('--reason <text>', 'why, for people and logs')
  .option('--json', 'one line of JSON', false)
  .action((level: string, options: TargetOptions & TriggerOptions) =>
    run(() => trigger(target(options), level, options)),
  );

targeted(program, 'clear', 'lower the flag once every live participant has seen it')
  .requiredOption('--reason <text>', 'why, for people and logs')
  .option(
    '--level <level>',
    'the level you saw and mean; needed from conservative up, and a higher one stands',
  )
  .option('--force', 'although a live participant has not seen it; recorded as forced', false)
  .option('--json', 'one line of JSON', false)
  .action((options: TargetOptions & ClearOptions) => run(() => clear(target(options), options)));

targeted(program, 'unlink', 'remove the segment; whoever has it open keeps the old memory')
  .argument('[name]', 'name of the signal, as --name')
  .action((name: string | undefined, options: TargetOptions) =>
    run(() => unlink(target(name === undefined ? options : { ...options, name }))),
  );

program
  .command('doctor')
  .description('check Node, glibc, addon, shared memory, settings and Redis')
  .option('--json', 'one line of JSON', false)
  .action((options: { json: boolean }) => run(() => doctor(process.env, options)));

program
  .command('build-native')
  .description(
    'compile the addon where this package is installed, if the prebuilt one does not fit this host',
  )
  .option('--nodedir <dir>', "where Node's headers are: <dir>/include/node (default: found beside node)")
  .action((options: BuildNativeOptions) => run(() => buildNative(options)));

addDeadLetterCommands(program, run);

await program.parseAsync(process.argv);
