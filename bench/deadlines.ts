// Whether a deadline is kept although the event loop is blocked, beside a plain C++ program. See `--help`.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NativeFlag } from '../src/native/contract.ts';
import { loadNative } from '../src/native/load.ts';
import { openEmergencySignal } from '../src/signals/index.ts';
import type { Cleanup } from './lib/cleanup.ts';
import { DeadlineControl } from './lib/deadline-control.ts';
import { measureMicro } from './lib/micro.ts';
import type { Report, Target } from './lib/report.ts';
import { runBench } from './lib/run-bench.ts';
import { summarize } from './lib/samples.ts';

const ABOUT = `usage: npx tsx bench/deadlines.ts [--quick] [--json]

Blocks this process's event loop for 3 s at a time by a busy loop, in which
  - native deadlines pass: how late is the flag set, and is it set before the loop is free again
  - and, in turn with that, a plain C++ program (clock_nanosleep until a time) sees how late it is woken
Then, nanoseconds each: arming and disarming a deadline beside 1000 others, and a heartbeat.
It needs the addon (npm run build:native) and, unless that built deadline_control, a C++ compiler.

  --quick   fewer deadlines, under a minute
  --json    end with one line {"bench":"deadlines","results":{…},"ratios":{…}}
  --help    this text`;

const TARGETS: readonly Target[] = [
  { key: 'deadline_overrun_p99_ms', bound: 5, inclusive: true },
  { key: 'deadlines_lost', bound: 0, inclusive: true },
];

const BLOCKED_MS = 3000;
/** Fewer than the ring has records: each leaves one, read after the block. */
const DEADLINES_A_BLOCK = 110;
const INTERVAL_MS = (BLOCKED_MS - 150) / DEADLINES_A_BLOCK;
const NS_PER_MS = 1e6;
const ARMED_MEANWHILE = 1000;

interface Setup {
  readonly name: string;
  readonly directory: string;
  readonly cleanup: Cleanup;
}

function openFlag({ name, cleanup }: Setup): NativeFlag {
  const { module, source } = loadNative();
  if (source === 'twin') throw new Error('the addon is needed: npm run build:native');
  const options = { kind: 'shared', attachTimeoutMs: 1000, allowGroup: false } as const;
  const flag = module.openFlag({ segment: 'rollback', name, ...options });
  cleanup.add(() => {
    flag.close();
    module.unlink(name);
  });
  return flag;
}

/** Returns whether `done` held before the loop was free again. */
function blockLoop(done: () => boolean): boolean {
  const untilNs = process.hrtime.bigint() + BigInt(BLOCKED_MS * NS_PER_MS);
  let seen = false;
  while (process.hrtime.bigint() < untilNs) seen ||= done();
  return seen;
}

interface Block {
  readonly overrunsMs: readonly number[];
  readonly lost: number;
  /** The blocked loop itself saw the flag, by a plain load: all of it happened without a callback. */
  readonly seen: boolean;
}

function ownBlock(flag: NativeFlag): Block {
  const firstTicket = flag.stats().tickets;
  const words = new Int32Array(flag.control);
  const startNs = process.hrtime.bigint();
  for (let i = 1; i <= DEADLINES_A_BLOCK; i++) {
    const deadlineNs = startNs + BigInt(Math.round(i * INTERVAL_MS * NS_PER_MS));
    flag.armDeadline(deadlineNs, { level: 2, subject: String(i), deadlineNs });
  }
  const seen = blockLoop(() => (Atomics.load(words, 1) & 7) === 2);
  const records = flag.history().filter((one) => one.kind === 1 && one.ticket >= firstTicket);
  const overrunsMs = records.map((one) => Number(one.monotonicNs - one.deadlineNs) / NS_PER_MS);
  const { generation, level } = flag.read();
  flag.clear(generation, level, true, { origin: 'bench' });
  const kept = new Set(records.map((one) => one.subject));
  return { overrunsMs, lost: DEADLINES_A_BLOCK - kept.size, seen };
}

async function measureOverruns(setup: Setup, blocks: number, report: Report): Promise<void> {
  const flag = openFlag(setup);
  const control = new DeadlineControl(setup.directory, setup.cleanup);
  const [own, plain]: [number[], number[]] = [[], []];
  let lost = 0;
  let unseen = 0;
  for (let i = 0; i < blocks; i++) {
    const block = ownBlock(flag);
    own.push(...block.overrunsMs);
    lost += block.lost;
    if (!block.seen) unseen += 1;
    const overruns = await control.begin(DEADLINES_A_BLOCK, INTERVAL_MS);
    blockLoop(() => false);
    plain.push(...(await overruns()).map((ns) => ns / NS_PER_MS));
  }
  const [summary, reference] = [summarize(own), summarize(plain)];
  report.record('deadline_overrun', 'ms', summary);
  report.record('control_overrun', 'ms', reference);
  report.results.deadlines_lost = lost;
  report.results.blocks_without_the_flag_seen = unseen;
  // With the wake-ups of the watchers included.
  report.results.deadline_woken_p99_ms = flag.deadlineStats().overrunP99Ns / NS_PER_MS;
  const ratio = summary.p50 / reference.p50;
  report.ratios.deadline_p50_vs_control = ratio;
  report.ratios.deadline_p99_vs_control = summary.p99 / reference.p99;
  report.printTable(
    `Overrun of a deadline while the event loop is blocked for ${BLOCKED_MS / 1000} s (ms)`,
    [
      { name: 'deadline → record of the flag', summary, ratio },
      { name: 'control: clock_nanosleep, C++', summary: reference, ratio: 1 },
    ],
    { reference: 'control' },
  );
}

function measureCosts(setup: Setup, rounds: number, timeS: number, report: Report): void {
  const costs = { ...setup, name: `${setup.name}-costs` };
  const flag = openFlag(costs);
  const trainer = openEmergencySignal(`${costs.name}-beat`);
  setup.cleanup.add(() => {
    trainer.unlink();
    trainer.close();
  });
  trainer.join('trainer', 'bench', { phase: 'training', limitsMs: { training: 60_000 } });
  const laterNs = process.hrtime.bigint() + 3_600_000_000_000n;
  const request = { level: 2, subject: 'restore' };
  for (let i = 0; i < ARMED_MEANWHILE; i++) flag.armDeadline(laterNs + BigInt(i * 7919), request);
  const ns = measureMicro(
    [
      {
        id: 'arm_disarm',
        title: `armDeadline() and disarm(), ${ARMED_MEANWHILE} armed`,
        body: (times) => {
          let disarmed = 0;
          for (let i = 0; i < times; i++)
            if (flag.disarm(flag.armDeadline(laterNs + BigInt(i), request))) disarmed += 1;
          return disarmed;
        },
      },
      {
        id: 'heartbeat',
        title: 'signal.heartbeat()',
        body: (times) => {
          for (let i = 0; i < times; i++) trainer.heartbeat();
          return times;
        },
      },
      {
        id: 'native_call',
        title: 'a native call that returns a boolean',
        body: (times) => {
          let moved = 0;
          for (let i = 0; i < times; i++) if (loadNative().module.isSetCall(flag)) moved += 1;
          return moved;
        },
      },
    ],
    rounds,
    timeS,
    report,
  );
  report.ratios.heartbeat_vs_native_call = ns('heartbeat') / ns('native_call');
}

async function measure(report: Report, quick: boolean, cleanup: Cleanup): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'esper-bench-'));
  cleanup.add(() => rmSync(directory, { recursive: true, force: true }));
  const setup: Setup = { name: `bench-${process.pid}-deadlines`, directory, cleanup };
  await measureOverruns(setup, quick ? 2 : 10, report);
  measureCosts(setup, quick ? 3 : 9, quick ? 0.1 : 0.5, report);
}

await runBench({ name: 'deadlines', about: ABOUT, targets: TARGETS, measure });
