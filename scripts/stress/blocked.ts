import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { type EmergencySignal, openEmergencySignal } from '../../src/signals/index.ts';
import { poll, within } from '../drills/wait.ts';
import { makeCgroup, Pace } from './cgroup.ts';
import { Child } from './child.ts';
import type { FillReady } from './fill-process.ts';

const SCRIPT = fileURLToPath(new URL('./fill-process.ts', import.meta.url));
const START_MS = 60_000;
const KILL_MS = 60_000;
const MIB = 2 ** 20;

export interface FillSettings {
  readonly limitBytes: number;
  /** MiB a second; 0: as fast as the threads can. */
  readonly rateMiB: number;
  readonly threads: number;
  /** Share of the limit at which the flag is to be set. */
  readonly criticalThreshold: number;
}

/** One process that fills its cgroup with the event loop blocked. */
export interface FillRow extends FillSettings {
  readonly isKilled: boolean;
  /** The flag was set by the process itself before it died. */
  readonly inTime: boolean;
  /** From the raise until its end was seen here, milliseconds; undefined without a raise. */
  readonly marginMs: number | undefined;
  /** Of the limit, as the native thread told with the raise, percent. */
  readonly raisedAtPercent: number | undefined;
  /** How fast it really filled the cgroup, seen from outside, MiB a second; 0 when it was too fast to be seen. */
  readonly seenMiB: number;
  readonly problems: readonly string[];
}

async function fillOnce(settings: FillSettings, signal: EmergencySignal): Promise<FillRow> {
  const cgroup = makeCgroup(settings.limitBytes);
  let ready: FillReady | undefined;
  const child = new Child({
    script: SCRIPT,
    args: [signal.name, String(settings.threads), String(settings.criticalThreshold)],
    under: cgroup.under,
    onMessage: (message) => {
      ready = message as FillReady;
    },
  });
  try {
    const { native, limitBytes } = await poll('the process to be ready', { timeoutMs: START_MS }, () => {
      if (child.end !== undefined) throw new Error(`it ended before it was ready: ${child.stderr}`);
      return ready;
    });
    const pace = new Pace(cgroup);
    child.send({ rate: settings.rateMiB * MIB });
    const end = await within('the kernel to kill it', KILL_MS, child.ended).finally(() => pace.stop());
    const endNs = process.hrtime.bigint();
    const isKilled = end.signal === 'SIGKILL' && cgroup.oomKills() > 0;
    const raise = signal.history().find(({ kind, pid }) => kind === 'trigger' && pid === child.pid);
    const percent = /(\d+\.\d+) %/.exec(raise?.reason ?? '')?.[1];
    const problems = [
      ...(isKilled ? [] : [`ended by ${end.signal ?? end.code}: ${child.stderr}`]),
      ...(native ? [] : ['its sampler was not the native one']),
      ...(limitBytes === settings.limitBytes ? [] : [`it took ${limitBytes} bytes for its limit`]),
    ];
    return {
      ...settings,
      ...{ isKilled, inTime: raise !== undefined, seenMiB: pace.bytesPerSecond / MIB, problems },
      marginMs: raise === undefined ? undefined : Number(endNs - raise.monotonicNs) / 1e6,
      raisedAtPercent: percent === undefined ? undefined : Number(percent),
    };
  } finally {
    await child.kill();
    await cgroup.remove();
  }
}

/** With a signal of its own. */
export async function runFill(settings: FillSettings): Promise<FillRow> {
  const signal = openEmergencySignal(`stress.${process.pid}.${randomBytes(4).toString('hex')}`, {
    keepAlive: false,
  });
  try {
    if (signal.kind !== 'shared') throw new Error(`no shared memory: ${signal.degraded?.reason}`);
    return await fillOnce(settings, signal);
  } finally {
    signal.close();
    signal.unlink();
  }
}
