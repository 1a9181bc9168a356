import { openBare } from './oona-bare.ts';
import { cpuCost } from './oona-cpu.ts';
import { messageMaker, seqOf } from './oona-message.ts';
import { openOwn } from './oona-own.ts';
import { bullMq, moleculerChannels } from './oona-queues.ts';
import { inFlight, nowNs, RoundRates, rate, within } from './oona-rounds.ts';
import { Seen } from './oona-seen.ts';
import type { OonaSetup } from './oona-setup.ts';
import { shuffle } from './samples.ts';

export interface ProcessPlan {
  readonly rounds: number;
  /** Messages a variant and round. */
  readonly count: number;
}

/** Messages go in at one end and come out at the other. */
interface Variant {
  readonly id: string;
  readonly title: string;
  readonly add: (seq: number) => Promise<unknown>;
  readonly close: () => Promise<void>;
  seen: Seen;
}

const WIDTH = 100;
const TIMEOUT_MS = 120_000;
const SIZE_BYTES = 256;

async function openVariants({ redisUrl }: OonaSetup, count: number): Promise<Variant[]> {
  const idle = new Seen(0, () => undefined);
  const maker = messageMaker('process', SIZE_BYTES);
  const own = await openOwn(redisUrl, 'bench-process');
  const consumer = await own.consume((eventId) => ours.seen.note(seqOf(eventId) % count));
  const ours: Variant = {
    id: 'oona',
    title: 'Oona',
    add: (seq) => own.publish(maker.make(seq)),
    close: async () => {
      await consumer.stop();
      await own.close();
    },
    seen: idle,
  };
  const variants = [ours];
  for (const { id, title, open } of [...bullMq(), ...moleculerChannels()]) {
    const queue = await open(redisUrl);
    const add = (seq: number): Promise<unknown> => queue.add(seq, maker.notes);
    const peer: Variant = { id, title, add, close: () => queue.close(), seen: idle };
    await queue.process((seq) => peer.seen.note(seq % count), WIDTH);
    variants.push(peer);
  }
  return variants;
}

/** From the first message added to the last one handled. */
async function runOnce(variant: Variant, first: number, count: number): Promise<number> {
  const completed = new Promise<void>((resolve) => {
    variant.seen = new Seen(count, resolve);
  });
  const startNs = nowNs();
  await inFlight(count, WIDTH, (index) => variant.add(first + index));
  await within(completed, TIMEOUT_MS, variant.title);
  return rate(count, startNs);
}

/** Added 100 in flight and handled up to 100 at once, in one process, which is how the peers are used. */
export async function measureProcess(setup: OonaSetup, plan: ProcessPlan): Promise<void> {
  const { report, ledger } = setup;
  const control = await openBare(setup.redisUrl);
  await control.flushall('SYNC');
  setup.cleanup.add(() => control.disconnect());
  const variants = await openVariants(setup, plan.count);
  for (const variant of variants) setup.cleanup.add(() => variant.close());
  const rates = new RoundRates();
  for (let round = -1; round < plan.rounds; round++) {
    const first = (round + 1) * plan.count;
    for (const variant of shuffle(variants)) {
      let perS = 0;
      const cpu = await cpuCost(control, plan.count, async () => {
        perS = await runOnce(variant, first, plan.count);
      });
      ledger.check(`add + process, ${variant.title}`, plan.count, variant.seen.arrived);
      if (round >= 0) rates.add(variant.id, variant.title, perS, cpu);
    }
  }
  const title = `Add and process 256 B, ${WIDTH} in flight`;
  rates.tell(report, 'add_process', title, { id: 'oona', name: 'Oona' });
  for (const { id } of variants) {
    if (id !== 'oona') report.ratios[`add_process_vs_${id}`] = rates.ratio('oona', id);
  }
  for (const variant of variants) await variant.close();
}
