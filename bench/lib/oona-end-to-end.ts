import { bareXadd, openBare } from './oona-bare.ts';
import {
  BARE_ECHO_STREAM,
  type EchoSide,
  type EchoWorker,
  type Path,
  sendAndAwait,
  startEcho,
} from './oona-echo.ts';
import { messageMaker } from './oona-message.ts';
import { openOwn, sealedReport } from './oona-own.ts';
import { inFlight } from './oona-rounds.ts';
import type { OonaSetup } from './oona-setup.ts';
import { type Summary, shuffle, summarize } from './samples.ts';

export interface EndToEndPlan {
  readonly rounds: number;
  /** Messages a variant and round. */
  readonly count: number;
  /** Messages a variant before the first round, 100 in flight: one at a time, a path is compiled after minutes only. */
  readonly rehearsal: number;
}

const SIZES = [
  { bytes: 256, suffix: '', name: '256 B' },
  { bytes: 1024, suffix: '_1kib', name: '1 KiB' },
  { bytes: 16_384, suffix: '_16kib', name: '16 KiB' },
] as const;

const WIDTH = 100;

/** Returns how many were sent. */
async function rehearse(worker: EchoWorker, paths: readonly Path[], count: number): Promise<number> {
  await worker.request({ type: 'rehearse', count }, 'rehearsing');
  const rehearsed = worker.expect('rehearsed');
  for (const path of paths) await inFlight(count, WIDTH, (seq) => path.prepare(seq)());
  await rehearsed;
  return count;
}

/** In rounds; microseconds of each, by side. */
async function alternate(
  worker: EchoWorker,
  paths: readonly Path[],
  plan: EndToEndPlan,
): Promise<Record<EchoSide, number[]>> {
  const samples: Record<EchoSide, number[]> = { oona: [], bare: [] };
  let seq = await rehearse(worker, paths, plan.rehearsal);
  // The first round after the rush is not counted.
  for (let round = -1; round < plan.rounds; round++) {
    for (const path of shuffle(paths)) {
      for (let i = 0; i < plan.count; i++) {
        const us = await sendAndAwait(worker, path, seq++);
        if (round >= 0) samples[path.side].push(us);
      }
    }
  }
  return samples;
}

/** One message at a time to a blocked reader in another process, from the call that sends to the handler. */
export async function measureEndToEnd(setup: OonaSetup, plan: EndToEndPlan): Promise<void> {
  const { redisUrl, cleanup, report, ledger } = setup;
  const redis = await openBare(redisUrl);
  cleanup.add(() => redis.disconnect());
  const own = await openOwn(redisUrl, 'bench-end-to-end');
  cleanup.add(() => own.close());
  const worker = await startEcho(redisUrl, cleanup);
  for (const { bytes, suffix, name } of SIZES) {
    await redis.flushall('SYNC');
    await worker.request({ type: 'open', kind: 'normal' }, 'opened');
    const maker = messageMaker(`e${bytes}`, bytes);
    const entry = sealedReport(maker.make(0), maker.idOf(0));
    const paths: Path[] = [
      {
        side: 'oona',
        title: 'Oona: publish to handler',
        prepare: (seq) => {
          const message = maker.make(seq);
          return () => own.publish(message);
        },
      },
      {
        side: 'bare',
        title: 'bare XADD to a blocked XREADGROUP',
        prepare: (seq) => {
          // As long after the message before as the other path: how long Redis has slept decides what waking it takes.
          maker.make(seq);
          return () => bareXadd(redis, BARE_ECHO_STREAM, entry);
        },
      },
    ];
    const samples = await alternate(worker, paths, plan);
    const totals = await worker.request({ type: 'totals' }, 'totals');
    const summaries: Record<EchoSide, Summary> = {
      oona: summarize(samples.oona),
      bare: summarize(samples.bare),
    };
    const rows = paths.map(({ side, title }) => {
      const summary = summaries[side];
      ledger.check(
        `end to end ${name}, ${title}`,
        plan.rehearsal + plan.count * (plan.rounds + 1),
        totals[side],
      );
      report.record(`end_to_end_${side}${suffix}`, 'us', summary);
      return { name: title, summary, ratio: summary.p50 / summaries.bare.p50 };
    });
    report.ratios[`end_to_end_p50_vs_bare${suffix}`] = summaries.oona.p50 / summaries.bare.p50;
    report.printTable(`End to end ${name}, one at a time, to another process (µs)`, rows, {
      reference: 'bare',
    });
    await worker.request({ type: 'close' }, 'closed');
  }
  await worker.stop();
  await own.close();
}
