import { setImmediate as nextTurn } from 'node:timers/promises';
import {
  asyncQueueChannel,
  BUFFER,
  busChannel,
  type ChannelKind,
  droppingWritable,
  passThroughChannel,
  readableChannel,
  writableChannel,
} from './faults-channels.ts';
import { type Consumer, Line } from './faults-line.ts';
import { nsEach, type Turn, TurnRounds } from './faults-rounds.ts';
import type { Ledger } from './oona-ledger.ts';
import type { Report } from './report.ts';

export interface PipelinePlan {
  readonly rounds: number;
  /** Of each case in a round; one figure each. */
  readonly batches: number;
  /** Events in a batch. */
  readonly size: number;
  /** Of each case in a round: single events, and bursts. */
  readonly stamped: number;
}

/** Published in one turn of the event loop: eight times what the buffer holds. */
const BURST = 64;

const DROPPING = [busChannel('dropNewest'), busChannel('dropOldest'), busChannel('dropSlow')];

const CONSUMERS: readonly { readonly consumer: Consumer; readonly title: string }[] = [
  { consumer: 'async', title: 'async handler' },
  { consumer: 'sync', title: 'handler returns at once' },
];

interface Opened {
  readonly turn: Turn;
  readonly line: Line;
}

/** Rounds over lines, which are closed and counted at the end. */
async function measured(opened: readonly Opened[], rounds: number, ledger: Ledger): Promise<TurnRounds> {
  const turns = opened.map(({ turn }) => turn);
  const result = await TurnRounds.measure(turns, rounds);
  for (const { line } of opened) await line.close(ledger);
  return result;
}

/** What became of them, for the last column. */
function sharesOf(opened: readonly Opened[]): (id: string) => string {
  const shares = new Map(opened.map(({ turn, line }) => [turn.id, line.share]));
  return (id) => `${Math.floor((shares.get(id) ?? Number.NaN) * 100)} %`;
}

/** Nanoseconds an event of each batch, from the first one handed over until the last one was handled. */
async function timedBatches(
  { batches, size }: PipelinePlan,
  batch: (count: number) => Promise<void>,
): Promise<number[]> {
  const ns: number[] = [];
  for (let at = 0; at < batches; at++) {
    const startNs = process.hrtime.bigint();
    await batch(size);
    ns.push(nsEach(startNs, size));
    await nextTurn();
  }
  return ns;
}

async function measureFlow(
  report: Report,
  ledger: Ledger,
  plan: PipelinePlan,
  peers: readonly ChannelKind[],
): Promise<void> {
  for (const { consumer, title } of CONSUMERS) {
    const opened = [busChannel('block'), ...DROPPING, ...peers].map((kind): Opened => {
      const line = new Line(`throughput, ${title}`, kind, consumer);
      const run = () => timedBatches(plan, (count) => line.pass(count));
      return { turn: { id: `pipeline_${consumer}_${kind.id}`, title: kind.title, run }, line };
    });
    const rounds = await measured(opened, plan.rounds, ledger);
    const [own, reference] = [`pipeline_${consumer}_bus_block`, `pipeline_${consumer}_passthrough`];
    rounds.tell(
      report,
      `One event, ${title}; the producer awaits room in a buffer of ${BUFFER} (ns)`,
      { id: reference, name: 'PassThrough' },
      { name: 'handled', of: sharesOf(opened) },
    );
    rounds.tellRates(report);
    for (const { id } of peers) {
      report.ratios[`pipeline_${consumer}_throughput_vs_${id}`] = rounds.ratio(
        `pipeline_${consumer}_${id}`,
        own,
      );
    }
  }
  // The one that producers push into, as they publish to a bus.
  const { pipeline_async_throughput_vs_passthrough: ratio = Number.NaN } = report.ratios;
  report.ratios.pipeline_throughput_vs_object_streams = ratio;
}

async function measureOverload(report: Report, ledger: Ledger, plan: PipelinePlan): Promise<void> {
  const opened = [...DROPPING, droppingWritable].map((kind): Opened => {
    const line = new Line('overload', kind, 'async');
    const run = () =>
      timedBatches(plan, async (count) => {
        for (let sent = 0; sent < count; sent += BURST) await line.flood(BURST);
      });
    return { turn: { id: `overload_${kind.id}`, title: kind.title, run }, line };
  });
  const rounds = await measured(opened, plan.rounds, ledger);
  const reference = { id: `overload_${droppingWritable.id}`, name: 'Writable' };
  const title = `One event, async handler, nobody awaits: ${BURST} a turn into a buffer of ${BUFFER} (ns)`;
  rounds.tell(report, title, reference, { name: 'handled', of: sharesOf(opened) });
  rounds.tellRates(report);
  for (const { id } of DROPPING) {
    report.ratios[`overload_throughput_${id}_vs_writable`] = rounds.ratio(reference.id, `overload_${id}`);
  }
}

async function measureLatency(
  report: Report,
  ledger: Ledger,
  plan: PipelinePlan,
  peers: readonly ChannelKind[],
): Promise<void> {
  for (const { burst, name, title } of [
    { burst: 1, name: 'alone', title: 'one at a time' },
    { burst: BURST, name: 'burst', title: `${BURST} in a row, of those handled` },
  ]) {
    const opened = [busChannel('block'), ...DROPPING, ...peers].map((kind): Opened => {
      const line = new Line(`latency ${name}`, kind, 'async', true);
      const run = async () => {
        for (let sent = 0; sent < plan.stamped; sent += burst) {
          await line.pass(burst);
          await nextTurn();
        }
        return line.takeLatenciesNs();
      };
      return { turn: { id: `latency_${name}_${kind.id}`, title: kind.title, run }, line };
    });
    const rounds = await measured(opened, plan.rounds, ledger);
    const [own, reference] = [`latency_${name}_bus_block`, `latency_${name}_passthrough`];
    rounds.tell(report, `From publishing to the async handler's call, ${title} (ns)`, {
      id: reference,
      name: 'PassThrough',
    });
    for (const quantile of ['p50', 'p99'] as const) {
      const key = `pipeline_latency_${name}_${quantile}_vs_passthrough`;
      report.ratios[key] = rounds.ratio(own, reference, quantile);
    }
  }
}

/** The in-process bus beside Node streams in object mode and `async`, with buffers of the same size. */
export async function measurePipeline(report: Report, ledger: Ledger, plan: PipelinePlan): Promise<void> {
  const queue = asyncQueueChannel();
  const peers = [
    passThroughChannel,
    readableChannel,
    writableChannel,
    ...(queue === undefined ? [] : [queue]),
  ];
  await measureFlow(report, ledger, plan, peers);
  await measureOverload(report, ledger, plan);
  await measureLatency(report, ledger, plan, peers);
}
