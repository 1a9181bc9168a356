import { randomBytes } from 'node:crypto';
import { errorMessage } from '../../src/core/errors.ts';
import { type EmergencySignal, openEmergencySignal, openRollbackSignal } from '../../src/signals/index.ts';
import type { Board } from './board.ts';
import { type Child, type ChildEnd, startChild } from './children.ts';
import { busEnvironment, foreignEnvironment, removeStreams, withRedis } from './demo-environment.ts';
import { type DemoEvent, readOperatorEvent, readTrainerEvent, readWeatherlightEvent } from './events.ts';

/** More than the five seconds that Weatherlight gives its own shutdown. */
const STOP_GRACE_MS = 10_000;
/** A restore takes 1 ms; the default bound of 250 ms is for machines that do not run a test suite beside it. */
const ROLLBACK_DEADLINE_MS = 2000;
const WEATHERLIGHT = ['../../src/cli/esper-weatherlight-service.ts', '--json-events'] as const;

/** One host's worth of processes. Real hosts share no memory, so each one here has flags of its own. */
export interface Host {
  readonly id: string;
  readonly signalName: string;
  readonly rollbackName: string;
  readonly trainer: string;
  readonly weatherlight: string;
}

export interface Stage {
  /** Begins every name that this run gives out. */
  readonly runId: string;
  readonly hosts: readonly Host[];
  /** Checks that what the processes need is there, before any is started. */
  prepare(): Promise<void>;
  startWeatherlight(host: Host): Child;
  startTrainer(host: Host, args: readonly string[]): Child;
  startOperator(host: Host): Child;
  /** Stops what still runs and removes every name that this run gave out. Tells how each process ended. */
  clear(): Promise<readonly ChildEnd[]>;
}

/** Processes of one demo run, with names that no other run has, so that nothing of a neighbour is touched. */
export function createStage(board: Board, redisUrl: string | undefined): Stage {
  const runId = `demo-${randomBytes(6).toString('hex')}`;
  const hosts = (redisUrl === undefined ? [''] : ['A', 'B']).map((letter) => createHost(runId, letter));
  const shared = { ...foreignEnvironment(), ...busEnvironment(runId, redisUrl), ESPER_RUN_ID: runId };
  const children: Child[] = [];
  const removals: (() => unknown)[] = [];
  let clearing = false;

  const start = (
    name: string,
    host: Host,
    [script, ...args]: readonly [string, ...string[]],
    read: (line: string) => DemoEvent,
  ): Child => {
    const env = { ...shared, ...hostEnvironment(host) };
    const child = startChild({ script, args, env, onLine: (line) => hear(board, name, line, read) });
    children.push(child);
    void child.ended.then(({ clean, how }) => {
      if (clean || clearing) return;
      board.fail(new Error([`${name} ended ${how}`, ...child.lastWords()].join('\n  ')));
    });
    return child;
  };

  // Only after an uncaught exception is anything left to do here; a supervisor without its demo would run for ever.
  process.once('exit', () => {
    for (const child of children) child.kill();
  });

  return {
    runId,
    hosts,
    prepare: async () => {
      for (const host of hosts) {
        const flag = openFlag(host);
        removals.push(() => removeSegments(flag, host));
      }
      if (redisUrl === undefined) return;
      await withRedis(redisUrl, (redis) => redis.ping());
      removals.push(() => withRedis(redisUrl, (redis) => removeStreams(redis, runId)));
    },
    startWeatherlight: (host) => start(host.weatherlight, host, WEATHERLIGHT, readWeatherlightEvent),
    startTrainer: (host, args) => start(host.trainer, host, ['trainer.ts', ...args], readTrainerEvent),
    startOperator: (host) => {
      const args = ['--signal', host.signalName, '--run', runId];
      return start('operator', host, ['operator.ts', ...args], readOperatorEvent);
    },
    clear: async () => {
      clearing = true;
      const ends = await Promise.all(children.map((child) => child.stop(STOP_GRACE_MS)));
      for (const remove of removals) await tryTo(remove);
      return ends;
    },
  };
}

/** `letter` tells hosts apart; '' where there is only one. */
function createHost(runId: string, letter: string): Host {
  const id = letter === '' ? runId : `${runId}-${letter.toLowerCase()}`;
  const named = (role: string): string => (letter === '' ? role : `${role} ${letter}`);
  return {
    id,
    signalName: id,
    rollbackName: `${id}-rollback`,
    trainer: named('trainer'),
    weatherlight: named('weatherlight'),
  };
}

function hostEnvironment(host: Host): Record<string, string> {
  return {
    ESPER_HOST_ID: host.id,
    TOLARIA_EMERGENCY_SIGNAL_NAME: host.signalName,
    TOLARIA_ROLLBACK_SIGNAL_NAME: host.rollbackName,
    TOLARIA_ROLLBACK_DEADLINE_MS: String(ROLLBACK_DEADLINE_MS),
  };
}

function hear(board: Board, name: string, line: string, read: (line: string) => DemoEvent): void {
  try {
    const event = read(line);
    board.add({ who: name, event });
    if (event.type === 'failed') board.fail(new Error(`${name}: ${event.message}`));
  } catch (error) {
    board.fail(new Error(`${name} said something that is no event of the demo: ${line}`, { cause: error }));
  }
}

/** What cannot be removed is told; it must not keep the rest from being removed. */
async function tryTo(remove: () => unknown): Promise<void> {
  try {
    await remove();
  } catch (error) {
    console.error(`demo: clean-up: ${errorMessage(error)}`);
  }
}

function openFlag(host: Host): EmergencySignal {
  const flag = openEmergencySignal(host.signalName);
  if (flag.kind === 'shared') return flag;
  throw new Error(`shared memory is not available: ${flag.degraded?.reason}`);
}

function removeSegments(flag: EmergencySignal, host: Host): void {
  for (const signal of [flag, openRollbackSignal(host.rollbackName)]) {
    signal.unlink();
    signal.close();
  }
}
