import { openLatencyHistogram } from '../../src/signals/index.ts';
import type { WriterCommand, WriterReply } from '../workers/histogram-writer.ts';
import type { Cleanup } from './cleanup.ts';
import type { Report } from './report.ts';
import { median, shuffle, summarize } from './samples.ts';
import { Worker } from './worker.ts';

export interface WritersPlan {
  readonly rounds: number;
  /** Values a writer and round. */
  readonly count: number;
}

type Writer = Worker<WriterCommand, WriterReply>;

const WRITERS = [1, 2, 4] as const;

/**
 * CPU time a record, of one, two and four processes that record into one histogram at the same time. CPU time, because
 * four writers on two processors take turns; what they would cost each other is in it: a line of memory that two of
 * them write. Rounds of all three in random order. A round tells the mean over its writers.
 */
export async function measureWriters(
  setup: { readonly name: string; readonly cleanup: Cleanup },
  plan: WritersPlan,
  report: Report,
): Promise<void> {
  const reader = openLatencyHistogram(setup.name, { readOnly: true });
  setup.cleanup.add(() => {
    reader.unlink();
    reader.close();
  });
  const writers: Writer[] = Array.from(
    { length: Math.max(...WRITERS) },
    () => new Worker<WriterCommand, WriterReply>('histogram-writer.ts', [setup.name]),
  );
  for (const writer of writers) setup.cleanup.add(() => writer.stop());
  await Promise.all(writers.map((writer) => writer.expect('ready')));
  const command: WriterCommand = { type: 'record', count: plan.count };
  let recorded = 0;
  let sink = 0;
  const round = async (writing: readonly Writer[]): Promise<number> => {
    const replies = await Promise.all(writing.map((writer) => writer.request(command, 'recorded')));
    recorded += plan.count * writing.length;
    for (const reply of replies) sink += reply.sink;
    return replies.reduce((sum, { cpuNsPerRecord }) => sum + cpuNsPerRecord, 0) / replies.length;
  };
  // The first block compiles the loop.
  await round(writers);
  const samples = WRITERS.map((count) => ({ count, ns: [] as number[] }));
  for (let i = 0; i < plan.rounds; i++) {
    // Which of the processes: any, so that one in an unlucky place does not stand for one writer.
    for (const { count, ns } of shuffle(samples)) ns.push(await round(shuffle(writers).slice(0, count)));
  }
  const titleOf = (count: number): string => (count === 1 ? 'one writer' : `${count} writers`);
  const rows = samples.map(({ count, ns }) => ({ name: titleOf(count), summary: summarize(ns) }));
  report.printTable(`CPU time a record, ${plan.count.toLocaleString('en-US')} each and round (ns)`, rows);
  const nsOf = (wanted: number): number => median(samples.find(({ count }) => count === wanted)?.ns ?? []);
  for (const count of WRITERS) report.results[`record_${count}_writers_cpu_ns`] = nsOf(count);
  report.ratios.record_2_writers_cpu_vs_1 = nsOf(2) / nsOf(1);
  report.ratios.record_4_writers_cpu_vs_1 = nsOf(4) / nsOf(1);
  const counted = reader.snapshot().count;
  report.results.writers_recorded_count = recorded;
  report.results.writers_uncounted_count = recorded - counted;
  console.log(
    `  (${recorded.toLocaleString('en-US')} recorded, ${counted.toLocaleString('en-US')} counted, sink ${sink})`,
  );
}
