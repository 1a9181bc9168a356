import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import type { EngineHealth, EngineStats } from '../../src/pipeline/index.ts';
import { poll } from '../drills/wait.ts';
import { makeCgroup, type WatchedCgroup } from './cgroup.ts';
import { RelayProcess } from './relay-process.ts';

const WAIT_MS = 30_000;
const DWELL_MS = 500;
const MIB = 2 ** 20;
/** Where the pressure is put: between CRITICAL, where all levels of degradation are in force, and the end at 98 %. */
const PRESSED_SHARE = 0.965;
const PAYLOAD_BYTES = 100_000;

type State = EngineHealth & { readonly stats: EngineStats };

/** What degradation changes, and must put back. */
interface Limits {
  readonly buses: readonly object[];
  readonly rates: readonly object[];
}

export interface ReleaseRow {
  readonly before: Limits;
  readonly pressed: Limits;
  readonly after: Limits;
  /** Levels of degradation that were in force, and the events that told of them, in their order. */
  readonly applied: readonly string[];
  readonly events: readonly string[];
  readonly problems: readonly string[];
}

function limitsOf({ stats }: State): Limits {
  const buses = [stats.internal, stats.external].flatMap(({ name: bus, subscriptions }) =>
    subscriptions.map(({ name, policy, bufferSize, maxBytes, dropSlow }) => ({
      ...{ bus, name, policy, bufferSize, maxBytes, dropSlow },
    })),
  );
  const rates = stats.adapters.map(({ name, rate }) => ({ name, rate: rate ?? 'unlimited' }));
  return { buses, rates };
}

/** Memory that belongs to the cgroup and to no process of it, until it is removed: what a neighbour would use. */
class Ballast {
  readonly #path = `/dev/shm/esper-ballast.${process.pid}.${randomBytes(4).toString('hex')}`;

  fill(cgroup: WatchedCgroup): void {
    const bytes = cgroup.limitBytes * PRESSED_SHARE - cgroup.workingSetBytes();
    const [command = '', ...rest] = cgroup.under;
    const count = Math.max(1, Math.floor(bytes / MIB));
    const copy = ['dd', 'if=/dev/zero', `of=${this.#path}`, 'bs=1M', `count=${count}`, 'status=none'];
    const { status, stderr } = spawnSync(command, [...rest, ...copy], { encoding: 'utf8' });
    if (status !== 0) throw new Error(`no ballast: ${stderr}`);
  }

  remove(): void {
    rmSync(this.#path, { force: true });
  }
}

const stateOf = async (url: string): Promise<State> => (await (await fetch(`${url}/state`)).json()) as State;

async function post(url: string): Promise<{ readonly status: number; readonly retryAfter: string | null }> {
  const response = await fetch(`${url}/payloads`, {
    method: 'POST',
    headers: { 'content-type': 'application/octet-stream' },
    body: randomBytes(PAYLOAD_BYTES),
  });
  await response.text();
  return { status: response.status, retryAfter: response.headers.get('retry-after') };
}

async function press(relay: RelayProcess, cgroup: WatchedCgroup, ballast: Ballast): Promise<ReleaseRow> {
  const url = await relay.url();
  const problems: string[] = [];
  const expect = (holds: boolean, what: string): void => {
    if (!holds) problems.push(what);
  };
  expect((await post(url)).status === 200, 'a payload was not delivered before the pressure');
  const before = limitsOf(await stateOf(url));
  ballast.fill(cgroup);
  const state = await poll('degradation', { timeoutMs: WAIT_MS, everyMs: 20 }, async () => {
    const now = await stateOf(url);
    return (now.degradation?.level ?? 0) >= 2 && now;
  });
  const pressed = limitsOf(state);
  expect((await fetch(`${url}/healthz`)).status === 200, '/healthz did not answer 200 under pressure');
  const { status, retryAfter } = await post(url);
  expect(status === 503 && Number(retryAfter) > 0, `under pressure: ${status}, Retry-After ${retryAfter}`);
  expect(!isDeepStrictEqual(before.buses, pressed.buses), 'degradation changed no bus');
  expect(!isDeepStrictEqual(before.rates, pressed.rates), 'degradation changed no rate');
  ballast.remove();
  await poll('DEGRADED_MODE_CLEARED', { timeoutMs: WAIT_MS, everyMs: 20 }, () =>
    relay.withCode('DEGRADED_MODE_CLEARED').at(-1),
  );
  const after = limitsOf(await stateOf(url));
  expect(isDeepStrictEqual(before, after), 'sizes, policies or rates are not as before');
  expect((await post(url)).status === 200, 'a payload was not delivered after the pressure');
  relay.terminate();
  const { code } = await relay.ended;
  expect(code === 0, `it ended with ${code}: ${relay.stderr}`);
  const events = relay.log.flatMap(({ code: event, context }) =>
    event?.startsWith('DEGRADED_MODE') ? [`${event} ${context?.from} → ${context?.level}`] : [],
  );
  return { before, pressed, after, applied: state.degradation?.applied ?? [], events, problems };
}

/** Real pressure on a relay that goes on at CRITICAL, from next door; then it goes, and all must be as it was. */
export async function runRelease(limitBytes: number): Promise<ReleaseRow> {
  const cgroup = makeCgroup(limitBytes);
  const ballast = new Ballast();
  const relay = new RelayProcess(['--dwell-ms', String(DWELL_MS), '--stop-at', 'shutdown'], cgroup.under);
  try {
    return await press(relay, cgroup, ballast);
  } finally {
    ballast.remove();
    await relay.remove();
    await cgroup.remove();
  }
}
