import { setTimeout as sleep } from 'node:timers/promises';
import { bareXadd, openBare } from './oona-bare.ts';
import {
  BARE_ECHO_STREAM,
  type EchoSide,
  type EchoWorker,
  type Path,
  sendAndAwait,
  startEcho,
} from './oona-echo.ts';
import type { LoadCommand, LoadReply } from './oona-load.ts';
import { emergency } from './oona-message.ts';
import { openOwn, sealedEmergency, sendEmergency } from './oona-own.ts';
import type { OonaSetup } from './oona-setup.ts';
import { figure } from './report.ts';
import { shuffle, summarize } from './samples.ts';
import { Worker } from './worker.ts';

export interface EmergencyPlan {
  /** Emergencies a path and load. */
  readonly count: number;
  readonly rounds: number;
  /** Of the normal load, messages a second. */
  readonly loadPerSecond: number;
}

type LoadWorker = Worker<LoadCommand, LoadReply>;

const INTERVAL_MS = 3;
/** Until most of the path is compiled; before, the tail is that of the compiler. */
const WARM_UP = 300;
/** The load has to be there before the first emergency under it. */
const LOAD_SETTLES_MS = 200;

async function openPaths({ redisUrl, cleanup }: OonaSetup): Promise<Path[]> {
  const { oona } = await openOwn(redisUrl, 'bench-trainer');
  cleanup.add(() => oona.close());
  const redis = await openBare(redisUrl);
  cleanup.add(() => redis.disconnect());
  const entry = sealedEmergency(emergency('loaded', 0));
  return [
    {
      side: 'oona',
      title: 'Oona: emergency to handler',
      prepare: (seq) => sendEmergency(oona, emergency('loaded', seq)),
    },
    {
      side: 'bare',
      title: 'bare XADD to a blocked XREADGROUP',
      prepare: () => () => bareXadd(redis, BARE_ECHO_STREAM, entry),
    },
  ];
}

/** Milliseconds of each emergency, by side. */
type Samples = Record<EchoSide, number[]>;

/** Turn by turn, so that each moment of the load meets both. */
async function inTurn(
  worker: EchoWorker,
  paths: readonly Path[],
  count: number,
  first: number,
): Promise<Samples> {
  const samples: Samples = { oona: [], bare: [] };
  for (let i = 0; i < count; i++) {
    for (const path of shuffle(paths)) {
      samples[path.side].push((await sendAndAwait(worker, path, first + i)) / 1e3);
      await sleep(INTERVAL_MS * (0.5 + Math.random()));
    }
  }
  return samples;
}

async function underLoad(
  worker: LoadWorker,
  perSecond: number | null,
  { ledger, report }: OonaSetup,
  name: string,
  body: () => Promise<void>,
): Promise<void> {
  await worker.request({ type: 'start', perSecond }, 'started');
  await sleep(LOAD_SETTLES_MS);
  await body();
  const totals = await worker.request({ type: 'stop' }, 'stopped');
  ledger.check(`normal messages, ${name}`, totals.published, totals.handled);
  report.results[`emergency_${name}_load_per_s`] = totals.publishedPerS;
}

const LOADS = ['idle', 'loaded', 'saturated'] as const;
type LoadName = (typeof LOADS)[number];
const TITLES: Readonly<Record<LoadName, string>> = {
  idle: 'nothing else',
  loaded: 'a normal load',
  saturated: 'saturation',
};

function tell({ report }: OonaSetup, name: LoadName, paths: readonly Path[], samples: Samples): void {
  const bare = summarize(samples.bare);
  const rows = paths.map(({ side, title }) => {
    const summary = summarize(samples[side]);
    report.record(`emergency_${side}_${name}`, 'ms', summary);
    const extra = figure(summary.p99 / bare.p99);
    return { name: title, summary, ratio: summary.p50 / bare.p50, extra };
  });
  const own = summarize(samples.oona);
  report.ratios[`emergency_p50_${name}_vs_bare_${name}`] = own.p50 / bare.p50;
  report.ratios[`emergency_p99_${name}_vs_bare_${name}`] = own.p99 / bare.p99;
  const perS = report.results[`emergency_${name}_load_per_s`];
  const load = perS === undefined ? '' : `, ${figure(perS)} messages a second`;
  const columns = { reference: 'bare', extra: 'p99 ÷ bare' };
  report.printTable(`Emergency beside ${TITLES[name]}${load} (ms)`, rows, columns);
}

/**
 * From the call that publishes to the handler of a blocked reader in another process, while a third one publishes and
 * consumes normal messages on the same Redis.
 */
export async function measureEmergency(setup: OonaSetup, plan: EmergencyPlan): Promise<void> {
  const { ledger, redisUrl, cleanup } = setup;
  const control = await openBare(redisUrl);
  await control.flushall('SYNC');
  control.disconnect();
  const loader: LoadWorker = new Worker('oona-load.ts', [redisUrl]);
  cleanup.add(() => loader.stop());
  await loader.expect('ready');
  const echo = await startEcho(redisUrl, cleanup);
  await echo.request({ type: 'open', kind: 'emergency' }, 'opened');
  const paths = await openPaths(setup);
  const samples = new Map(LOADS.map((name): [LoadName, Samples] => [name, { oona: [], bare: [] }]));
  await inTurn(echo, paths, WARM_UP, 0);
  let first = WARM_UP;
  const count = Math.ceil(plan.count / plan.rounds);
  for (let round = 0; round < plan.rounds; round++) {
    for (const name of shuffle(LOADS)) {
      const body = async (): Promise<void> => {
        const taken = await inTurn(echo, paths, count, first);
        first += count;
        for (const { side } of paths) samples.get(name)?.[side].push(...taken[side]);
      };
      if (name === 'idle') await body();
      else await underLoad(loader, name === 'loaded' ? plan.loadPerSecond : null, setup, name, body);
    }
  }
  const totals = await echo.request({ type: 'totals' }, 'totals');
  for (const { side, title } of paths) ledger.check(`emergencies, ${title}`, first, totals[side]);
  for (const [name, taken] of samples) tell(setup, name, paths, taken);
  await Promise.all([loader.stop(), echo.stop()]);
}
