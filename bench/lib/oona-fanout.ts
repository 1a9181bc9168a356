import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { bareXadd, openBare } from './oona-bare.ts';
import { serverCpuUs } from './oona-cpu.ts';
import { BARE_FAN_OUT_STREAM, type HostsCommand, type HostsReply, SIDES, type Side } from './oona-hosts.ts';
import { emergency } from './oona-message.ts';
import { OWN_EMERGENCY_STREAM, openOwn, sealedEmergency, sendEmergency } from './oona-own.ts';
import { nowNs } from './oona-rounds.ts';
import type { OonaSetup } from './oona-setup.ts';
import { figure, type Report, type Row } from './report.ts';
import { median, type Summary, shuffle, summarize } from './samples.ts';
import { Worker } from './worker.ts';

export interface FanOutPlan {
  /** Numbers of hosts, rising. */
  readonly hosts: readonly number[];
  /** Emergencies a side and number of hosts. */
  readonly count: number;
  /** Among which the hosts are divided. */
  readonly processes: number;
}

type HostsWorker = Worker<HostsCommand, HostsReply>;
/** Makes emergency `seq`; what is returned sends it. */
type Prepare = (seq: number) => () => Promise<unknown>;

const POLL_MS = 2;
const BLOCKED_TIMEOUT_MS = 30_000;

async function openSenders({ redisUrl, cleanup }: OonaSetup): Promise<Record<Side, Prepare>> {
  const own = await openOwn(redisUrl, 'bench-fanout');
  cleanup.add(() => own.close());
  const redis = await openBare(redisUrl);
  cleanup.add(() => redis.disconnect());
  const entry = sealedEmergency(emergency('fanout', 0));
  return {
    oona: (seq) => sendEmergency(own.oona, emergency('fanout', seq)),
    bare: () => () => bareXadd(redis, BARE_FAN_OUT_STREAM, entry),
  };
}

/** Until every reader of both sides waits in Redis again. */
async function allBlocked(control: Redis, readers: number): Promise<void> {
  const endsAt = performance.now() + BLOCKED_TIMEOUT_MS;
  for (;;) {
    const blocked = Number(/blocked_clients:(\d+)/.exec(await control.info('clients'))?.[1]);
    if (blocked === readers) return;
    if (performance.now() > endsAt) throw new Error(`${blocked} of ${readers} readers are blocked`);
    await sleep(POLL_MS);
  }
}

/** From the call that publishes until the last host's handler has it, milliseconds. */
async function fanOutOnce(
  workers: readonly HostsWorker[],
  side: Side,
  send: () => Promise<unknown>,
): Promise<number> {
  await Promise.all(workers.map((worker) => worker.request({ type: 'await', side }, 'awaiting')));
  const lasts = Promise.all(workers.map((worker) => worker.expect('last')));
  const startNs = nowNs();
  const sent = send();
  const atNs = (await lasts).map((last) => BigInt(last.atNs));
  await sent;
  return Number(atNs.reduce((a, b) => (a > b ? a : b)) - startNs) / 1e6;
}

/** Returns those that have a host now. */
async function addHosts(
  workers: readonly HostsWorker[],
  before: number,
  hosts: number,
): Promise<readonly HostsWorker[]> {
  const shareOf = (all: number, index: number): number =>
    Math.floor(all / workers.length) + (index < all % workers.length ? 1 : 0);
  await Promise.all(
    workers.map((worker, index) =>
      worker.request({ type: 'open', hosts: shareOf(hosts, index) - shareOf(before, index) }, 'opened'),
    ),
  );
  return workers.filter((_, index) => shareOf(hosts, index) > 0);
}

interface FanOut {
  readonly lastMs: Summary;
  /** CPU time of redis-server from the publish until every reader is blocked again, milliseconds. */
  readonly serverCpuMs: number;
}

interface Fleet {
  readonly workers: readonly HostsWorker[];
  readonly senders: Readonly<Record<Side, Prepare>>;
  readonly control: Redis;
}

/** Emergencies before those that count: the code is compiled and the sockets grow. */
const WARM_UP = 2;

async function measureHosts(
  { ledger }: OonaSetup,
  { workers, senders, control }: Fleet,
  count: number,
  hosts: number,
  firstSeq: number,
): Promise<Record<Side, FanOut>> {
  const samples: Record<Side, { lastMs: number[]; cpuMs: number[] }> = {
    oona: { lastMs: [], cpuMs: [] },
    bare: { lastMs: [], cpuMs: [] },
  };
  await allBlocked(control, 2 * hosts);
  for (let i = -WARM_UP; i < count; i++) {
    for (const side of shuffle(SIDES)) {
      const cpuBeforeUs = await serverCpuUs(control);
      const lastMs = await fanOutOnce(workers, side, senders[side](firstSeq + WARM_UP + i));
      await allBlocked(control, 2 * hosts);
      if (i < 0) continue;
      samples[side].lastMs.push(lastMs);
      samples[side].cpuMs.push(((await serverCpuUs(control)) - cpuBeforeUs) / 1e3);
    }
  }
  const totals = await Promise.all(workers.map((worker) => worker.request({ type: 'totals' }, 'totals')));
  for (const side of SIDES) {
    const delivered = totals.reduce((sum, total) => sum + total[side], 0);
    ledger.check(`fan-out to ${hosts} hosts, ${side}`, (count + WARM_UP) * hosts, delivered);
  }
  const fanOut = ({ lastMs, cpuMs }: { lastMs: number[]; cpuMs: number[] }): FanOut => ({
    lastMs: summarize(lastMs),
    serverCpuMs: median(cpuMs),
  });
  return { oona: fanOut(samples.oona), bare: fanOut(samples.bare) };
}

async function startFleet(setup: OonaSetup, processes: number, control: Redis): Promise<Fleet> {
  const { redisUrl, cleanup } = setup;
  const senders = await openSenders(setup);
  const workers = Array.from(
    { length: processes },
    (_, index): HostsWorker => new Worker('oona-hosts.ts', [redisUrl, `fleet${index}`]),
  );
  for (const worker of workers) cleanup.add(() => worker.stop());
  await Promise.all(workers.map((worker) => worker.expect('ready')));
  return { workers, senders, control };
}

/** A table row a number of hosts and side, and the figures in the report. */
class FanOutTable {
  readonly #report: Report;
  readonly #rows: Row[] = [];
  readonly #firstP50: Partial<Record<Side, number>> = {};

  constructor(report: Report) {
    this.#report = report;
  }

  add(hosts: number, fanOuts: Record<Side, FanOut>): void {
    const { results, ratios } = this.#report;
    const { oona, bare } = fanOuts;
    for (const side of SIDES) {
      const { lastMs: summary, serverCpuMs } = fanOuts[side];
      const key = `fanout_${hosts}${side === 'oona' ? '' : '_bare'}`;
      this.#report.record(`${key}_last`, 'ms', summary);
      results[`${key}_server_cpu_ms`] = serverCpuMs;
      this.#firstP50[side] ??= summary.p50;
      const growth = summary.p50 / this.#firstP50[side];
      results[`${key}_growth`] = growth;
      const name = `${side === 'oona' ? 'Oona' : 'bare'}, ${hosts} ${hosts === 1 ? 'host' : 'hosts'}`;
      const extra = `${figure(growth)}, ${figure(serverCpuMs)} ms`;
      this.#rows.push({ name, summary, ratio: summary.p50 / bare.lastMs.p50, extra });
    }
    ratios[`fanout_${hosts}_last_p50_vs_bare`] = oona.lastMs.p50 / bare.lastMs.p50;
    ratios[`fanout_${hosts}_last_p99_vs_bare`] = oona.lastMs.p99 / bare.lastMs.p99;
  }

  print(): void {
    const columns = { reference: 'bare', extra: '× one host, CPU of Redis' };
    this.#report.printTable('Emergency until the last host has it (ms)', this.#rows, columns);
  }
}

/** One emergency, every host: until the last of them has it, beside as many bare blocked readers. */
export async function measureFanOut(setup: OonaSetup, plan: FanOutPlan): Promise<void> {
  const control = await openBare(setup.redisUrl);
  setup.cleanup.add(() => control.disconnect());
  await control.flushall('SYNC');
  const fleet = await startFleet(setup, plan.processes, control);
  const table = new FanOutTable(setup.report);
  let before = 0;
  let seq = 0;
  for (const hosts of plan.hosts) {
    // A host that joins hears what is still on the stream; here each counts from nothing.
    for (const stream of [OWN_EMERGENCY_STREAM, BARE_FAN_OUT_STREAM]) {
      await control.xtrim(stream, 'MAXLEN', 0);
    }
    const workers = await addHosts(fleet.workers, before, hosts);
    before = hosts;
    table.add(hosts, await measureHosts(setup, { ...fleet, workers }, plan.count, hosts, seq));
    seq += plan.count + WARM_UP;
  }
  table.print();
  await Promise.all(fleet.workers.map((worker) => worker.stop()));
}
