#!/usr/bin/env node
import { MessageChannel } from 'node:worker_threads';
import { Command } from 'commander';
import { pino } from 'pino';
import { systemClock } from '../core/clock.ts';
import { errorMessage } from '../core/errors.ts';
import { SettingsError } from '../weatherlight/errors.ts';
import { loadSettings, type Settings, settingHelp } from '../weatherlight/settings.ts';
import { createWeatherlight, type Weatherlight } from '../weatherlight/weatherlight.ts';
import { boundedOutput } from './bounded-output.ts';
import { packageVersion } from './package-version.ts';

const EXIT = { clean: 0, failedStart: 1, badSettings: 2, degradedStop: 3 } as const;
const SIGNALS = { SIGINT: 130, SIGTERM: 143 } as const;
type StopSignal = keyof typeof SIGNALS;

function helpText(): string {
  const width = Math.max(...settingHelp().map(({ variable }) => variable.length));
  const rows = settingHelp().map(({ variable, allowed }) => `  ${variable.padEnd(width)}  ${allowed}`);
  return `
Environment:
${rows.join('\n')}

ESPER_LEYLINE_SECRET is required, unless REDIS_URL is not set and ESPER_ALLOW_UNSIGNED=1. REDIS_URL not set means the
embedded bus, which ends with this process: between the processes of this host shared memory carries alone.

SIGINT and SIGTERM drain and end within WEATHERLIGHT_SHUTDOWN_DEADLINE_MS; a second one ends at once.

Exit codes:
  0    stopped cleanly
  1    failed to start
  2    bad arguments or settings; standard error says which and what is allowed
  3    stopped, but something did not end within the deadline
  130  second SIGINT, 143  second SIGTERM: ended at once`;
}

function parseArguments(argv: readonly string[]): { readonly jsonEvents: boolean } {
  const command = new Command('esper-weatherlight-service')
    .description(
      'Supervises the trainings of this host: detects emergencies, carries them to and from other hosts.',
    )
    .version(packageVersion())
    .option('--json-events', 'print each event as a line of JSON on standard output', false)
    .allowExcessArguments(false)
    .exitOverride((end) => process.exit(end.exitCode === 0 ? EXIT.clean : EXIT.badSettings))
    .addHelpText('after', helpText());
  command.parse([...argv]);
  return command.opts<{ jsonEvents: boolean }>();
}

/** One line a problem: the variable, what it was, what it allows. */
function readSettings(): Settings | undefined {
  try {
    return loadSettings(process.env);
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    process.stderr.write(`esper-weatherlight-service: ${error.code}\n${error.message}\n`);
    return undefined;
  }
}

function printEvents(weatherlight: Weatherlight): void {
  const output = boundedOutput(
    process.stdout,
    (count) => `${JSON.stringify({ type: 'eventsDropped', count })}\n`,
  );
  weatherlight.subscribe((event) => output.write(`${JSON.stringify(event)}\n`));
}

/** Resolves at the first SIGINT or SIGTERM and holds the process until then; the next one ends it at once. */
async function stopRequest(): Promise<StopSignal> {
  const { port1, port2 } = new MessageChannel();
  port1.on('message', () => undefined);
  const first = await new Promise<StopSignal>((resolve) => {
    for (const name of Object.keys(SIGNALS) as StopSignal[]) process.once(name, () => resolve(name));
  });
  for (const name of Object.keys(SIGNALS) as StopSignal[]) {
    process.removeAllListeners(name);
    process.on(name, () => process.exit(SIGNALS[name]));
  }
  port1.close();
  port2.close();
  return first;
}

async function main(): Promise<void> {
  const { jsonEvents } = parseArguments(process.argv);
  const settings = readSettings();
  if (settings === undefined) {
    process.exitCode = EXIT.badSettings;
    return;
  }
  const logger = pino(
    { level: settings.logLevel, base: { service: 'weatherlight', host: settings.hostId } },
    // Not pino's own destination: that one blocks the supervision while nobody reads the pipe.
    boundedOutput(
      process.stderr,
      (count) => `${JSON.stringify({ level: 40, msg: 'log lines dropped: nobody read them', count })}\n`,
    ),
  );
  const weatherlight = createWeatherlight(settings, { logger });
  if (jsonEvents) printEvents(weatherlight);
  // Before the start: a signal during it must drain as well, not kill.
  const requested = stopRequest();
  try {
    await weatherlight.start();
  } catch (error) {
    process.stderr.write(`esper-weatherlight-service: could not start: ${errorMessage(error)}\n`);
    process.exit(EXIT.failedStart);
  }
  logger.info({ signal: await requested }, 'stop requested');
  const deadlineMs = systemClock.monotonicMs() + settings.shutdownDeadlineMs;
  const report = await weatherlight.stop();
  // What did not end would hold the process for ever.
  if (!report.clean) process.exit(EXIT.degradedStop);
  process.exitCode = EXIT.clean;
  // Output that nobody reads holds the process as well; this wait does not.
  const leftMs = Math.max(1, deadlineMs - systemClock.monotonicMs());
  void systemClock.sleep(leftMs).then(() => process.exit(EXIT.degradedStop));
}

await main();
