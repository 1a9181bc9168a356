import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ErrorReport } from '../../src/faults/index.ts';
import { DISTINCT, DISTINCT_BATCH, REPEATED } from './faults-errors.ts';
import { busReporter, emitterReporter, type Listeners, type Reporter } from './faults-reporters.ts';
import { nsEach, type Turn, TurnRounds } from './faults-rounds.ts';
import type { Ledger } from './oona-ledger.ts';
import type { Report } from './report.ts';

export interface EmitPlan {
  readonly rounds: number;
  /** Of each case in a round; one figure each. */
  readonly batches: number;
  /** Reports in a batch, which is one turn of the event loop; of distinct ones as many as fit a listener's queue. */
  readonly size: number;
}

interface Case {
  readonly id: string;
  readonly title: string;
  readonly listeners: Listeners;
  /** Also until the last listener was told. */
  readonly whole?: true;
}

/** `clean` and `stuck` have as many listeners: what differs is that one of the two never ends. */
const CASES: readonly Case[] = [
  { id: 'no_listener', title: 'no listener', listeners: { healthy: 0 } },
  { id: '1_listener', title: '1 listener', listeners: { healthy: 1 }, whole: true },
  { id: '10_listeners', title: '10 listeners', listeners: { healthy: 10 }, whole: true },
  { id: 'clean_listeners', title: '2 listeners', listeners: { healthy: 2 } },
  { id: 'stuck_listener', title: '2, one stuck', listeners: { healthy: 1, stuck: true } },
];

const KINDS = [
  { suffix: '', title: '16 errors', reports: REPEATED, size: undefined },
  { suffix: '_distinct', title: 'all distinct', reports: DISTINCT, size: DISTINCT_BATCH },
] as const;

interface Opened {
  readonly turn: Turn;
  close(ledger: Ledger): Promise<void>;
}

/** `whole`: until the last listener was told, else what it takes from whoever reports. */
function open(
  turn: Omit<Turn, 'run'>,
  reporter: Reporter,
  { batches, size }: Omit<EmitPlan, 'rounds'>,
  whole: boolean,
): Opened {
  const run = async (): Promise<number[]> => {
    const ns: number[] = [];
    for (let batch = 0; batch < batches; batch++) {
      const startNs = process.hrtime.bigint();
      reporter.emit(size);
      const emittedNs = nsEach(startNs, size);
      await reporter.told();
      ns.push(whole ? nsEach(startNs, size) : emittedNs);
      await nextTurn();
    }
    return ns;
  };
  return { turn: { ...turn, run }, close: (ledger) => reporter.close(turn.title, ledger) };
}

function openCase({ id, title, listeners, whole }: Case, plan: EmitPlan): Opened[] {
  const opened = KINDS.flatMap(({ suffix, title: kind, reports, size = plan.size }) => {
    const part = { batches: plan.batches, size };
    const bus = (): Reporter => busReporter(reports as readonly ErrorReport[], listeners);
    const name = `ErrorBus, ${title}, ${kind}`;
    const alone = open({ id: `emit_${id}_bus${suffix}`, title: name }, bus(), part, false);
    if (!whole) return [alone];
    const turn = { id: `emit_${id}_delivered_bus${suffix}`, title: `${name}, until delivered` };
    return [alone, open(turn, bus(), part, true)];
  });
  const emitter = { id: `emit_${id}_event_emitter`, title: `EventEmitter, ${title}` };
  return [...opened, open(emitter, emitterReporter(REPEATED, listeners), plan, false)];
}

/** ErrorBus.emit beside EventEmitter.emit of the same reports to as many listeners. */
export async function measureEmit(report: Report, ledger: Ledger, plan: EmitPlan): Promise<void> {
  const opened = CASES.flatMap((one) => openCase(one, plan));
  const rounds = await TurnRounds.measure(
    opened.map(({ turn }) => turn),
    plan.rounds,
  );
  rounds.tell(report, `One error reported, batches of ${plan.size} or ${DISTINCT_BATCH} distinct (ns)`, {
    id: 'emit_1_listener_event_emitter',
    name: 'EventEmitter, 1',
  });
  for (const { suffix } of KINDS) {
    for (const { id, whole } of CASES) {
      const key = `emit_${id}${suffix}`;
      const reference = `emit_${id}_event_emitter`;
      report.ratios[`${key}_vs_event_emitter`] = rounds.ratio(`emit_${id}_bus${suffix}`, reference);
      if (!whole) continue;
      const delivered = `emit_${id}_delivered${suffix}_vs_event_emitter`;
      report.ratios[delivered] = rounds.ratio(`emit_${id}_delivered_bus${suffix}`, reference);
    }
    const [stuck, clean] = [`emit_stuck_listener_bus${suffix}`, `emit_clean_listeners_bus${suffix}`];
    report.ratios[`emit_stuck_listener${suffix}_p99_vs_clean`] = rounds.ratio(stuck, clean, 'p99');
    report.ratios[`emit_stuck_listener${suffix}_p50_vs_clean`] = rounds.ratio(stuck, clean);
  }
  for (const { close } of opened) await close(ledger);
}
