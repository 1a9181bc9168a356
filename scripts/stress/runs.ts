import { poll } from '../drills/wait.ts';
import { type Balance, balanceOf } from './accounts.ts';
import { makeCgroup, Onlooker, type WatchedCgroup } from './cgroup.ts';
import type { ChildEnd } from './child.ts';
import { Load } from './load.ts';
import type { LoadReport } from './load-process.ts';
import { levelsOf, pressureProblems } from './pressure.ts';
import { RelayProcess } from './relay-process.ts';

export interface StressSettings {
  readonly limitBytes: number;
  readonly payloadBytes: number;
  readonly connections: number;
  /** Of the load on a relay that lives, seconds. */
  readonly seconds: number;
}

/** A guarded run. Not all are alike: one that stops shows something else than one that goes on. */
export interface GuardedSettings extends StressSettings {
  readonly stopAt: 'critical' | 'shutdown';
}

/** One run of the relay in a memory cgroup of its own. */
export interface RunRow {
  readonly guarded: boolean;
  /** 'killed by the kernel', 'survived', 'stopped cleanly', or what else. */
  readonly how: string;
  readonly end: ChildEnd;
  readonly oomKills: number;
  /** Highest share of the limit that was seen from outside. */
  readonly peak: number;
  readonly levels: readonly string[];
  readonly degraded: number;
  readonly tookS: number;
  readonly balance: Balance | undefined;
  readonly problems: readonly string[];
}

/** An unguarded relay that lives so long under load will not be killed any more. */
const KILL_MS = 60_000;
const END_MS = 60_000;
const DWELL_MS = 1000;

interface Played {
  readonly load: LoadReport;
  readonly peak: number;
}

/** Load until it is over or the relay has ended, then SIGTERM to a relay that is still there. */
async function play(
  cgroup: WatchedCgroup,
  relay: RelayProcess,
  settings: StressSettings,
  loadMs: number,
): Promise<Played> {
  const { connections, payloadBytes } = settings;
  const url = await relay.url();
  const onlooker = new Onlooker(cgroup);
  const load = new Load({ url, connections, payloadBytes });
  try {
    await relay.endedWithin(loadMs);
    const report = await load.stop();
    relay.terminate();
    await poll('the relay to end', { timeoutMs: END_MS }, () => relay.end !== undefined);
    return { load: report, peak: onlooker.peak };
  } finally {
    onlooker.stop();
    await load.kill();
  }
}

async function withRelay<T>(
  limitBytes: number,
  args: readonly string[],
  use: (cgroup: WatchedCgroup, relay: RelayProcess) => Promise<T>,
): Promise<T> {
  const cgroup = makeCgroup(limitBytes);
  const relay = new RelayProcess(args, cgroup.under);
  try {
    return await use(cgroup, relay);
  } finally {
    await relay.remove();
    await cgroup.remove();
  }
}

export function runUnguarded(settings: StressSettings): Promise<RunRow> {
  return withRelay(settings.limitBytes, ['--unguarded'], async (cgroup, relay) => {
    const startedMs = performance.now();
    const { load, peak } = await play(cgroup, relay, settings, KILL_MS);
    const oomKills = cgroup.oomKills();
    const end = relay.end ?? { code: null, signal: null };
    const isKilled = (end.signal === 'SIGKILL' || end.code === 137) && oomKills > 0;
    const outcomes = [...load.outcomes.values()];
    return {
      ...{ guarded: false, how: isKilled ? 'killed by the kernel' : endText(end), end, oomKills, peak },
      ...{ levels: [], degraded: 0, tookS: (performance.now() - startedMs) / 1000, balance: undefined },
      problems: isKilled
        ? []
        : [`not killed in ${KILL_MS / 1000} s of load: ${outcomes.length} payloads sent`],
    };
  });
}

export function runGuarded(settings: GuardedSettings): Promise<RunRow> {
  const args = ['--dwell-ms', String(DWELL_MS), '--stop-at', settings.stopAt];
  return withRelay(settings.limitBytes, args, async (cgroup, relay) => {
    const startedMs = performance.now();
    const { load, peak } = await play(cgroup, relay, settings, settings.seconds * 1000);
    const end = relay.end ?? { code: null, signal: null };
    const tookS = (performance.now() - startedMs) / 1000;
    const oomKills = cgroup.oomKills();
    const isClean = end.code === 0 && oomKills === 0;
    const balance = await balanceOf(load, relay.log, relay.directory, settings.payloadBytes);
    const degraded = relay.withCode('DEGRADED_MODE_ACTIVATED').length;
    const problems = [
      ...(isClean ? [] : [`ended ${endText(end)}, kills by the kernel ${oomKills}: ${relay.stderr}`]),
      ...(degraded > 0 ? [] : ['no DEGRADED_MODE_ACTIVATED in its log']),
      ...pressureProblems(relay.log, peak),
      ...balance.problems,
    ];
    const survived = relay.log.some(({ msg, reason }) => msg === 'engine stopped' && reason === 'SIGTERM');
    const how = !isClean ? endText(end) : survived ? 'survived' : 'stopped cleanly';
    const levels = levelsOf(relay.log);
    return { guarded: true, how, end, oomKills, peak, levels, degraded, tookS, balance, problems };
  });
}

const endText = ({ code, signal }: ChildEnd): string =>
  signal === null ? `with exit code ${code}` : `by ${signal}`;
