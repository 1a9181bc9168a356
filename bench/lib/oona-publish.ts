import type { Redis } from 'ioredis';
import { bareXadd, createGroup, openBare } from './oona-bare.ts';
import { cpuCost } from './oona-cpu.ts';
import { type JetStream, openJetStream } from './oona-jetstream.ts';
import type { Ledger } from './oona-ledger.ts';
import { type MessageMaker, messageMaker } from './oona-message.ts';
import { OWN_GROUP, OWN_STREAM, openOwn, sealedReport } from './oona-own.ts';
import { bullMq } from './oona-queues.ts';
import { inFlight, nowNs, RoundRates, rate, serially } from './oona-rounds.ts';
import type { OonaSetup } from './oona-setup.ts';
import { shuffle, summarize } from './samples.ts';

export interface PublishPlan {
  readonly rounds: number;
  /** Messages a variant before the first round, 100 in flight: until a path is compiled it takes half as long again. */
  readonly rehearsal: number;
  /** Messages a variant and round, one after the other. */
  readonly serial: number;
  /** Messages a variant and round, 100 in flight. */
  readonly inFlight: number;
}

const SIZES = [
  { bytes: 256, suffix: '', name: '256 B' },
  { bytes: 1024, suffix: '_1kib', name: '1 KiB' },
  { bytes: 16_384, suffix: '_16kib', name: '16 KiB' },
] as const;
const WIDTH = 100;
const BARE_STREAM = 'bench.bare';

/** Something that stores messages. */
interface Variant {
  readonly id: string;
  readonly title: string;
  readonly prepare?: () => Promise<unknown>;
  readonly once: () => Promise<unknown>;
  /** Undefined when nothing is stored. */
  readonly stored?: () => Promise<number>;
  /** Left out of the blocks with 100 in flight. */
  readonly serialOnly?: boolean;
}

/** Each opens its variant for messages of one size. */
type Opener = (maker: MessageMaker) => Variant;

async function openOwnVariant({ redisUrl, cleanup }: OonaSetup, control: Redis): Promise<Opener> {
  const own = await openOwn(redisUrl, 'bench-publisher');
  cleanup.add(() => own.close());
  let seq = 0;
  return (maker) => ({
    id: 'oona',
    title: 'Oona',
    // As in use: with a group, so that there is a depth to look at.
    prepare: () => createGroup(control, OWN_STREAM, OWN_GROUP, '0'),
    // One object, as the bare XADD has one buffer: what making a message costs is the application's.
    once: () => own.publish(maker.renewed(seq++)),
    stored: () => control.xlen(OWN_STREAM),
  });
}

async function openBareVariant({ redisUrl, cleanup }: OonaSetup, control: Redis): Promise<Opener> {
  const redis = await openBare(redisUrl);
  cleanup.add(() => redis.disconnect());
  return (maker) => {
    const entry = sealedReport(maker.make(0), maker.idOf(0));
    return {
      id: 'bare_xadd',
      title: 'bare XADD of the same bytes',
      prepare: () => createGroup(control, BARE_STREAM, OWN_GROUP, '0'),
      once: () => bareXadd(redis, BARE_STREAM, entry),
      stored: () => control.xlen(BARE_STREAM),
    };
  };
}

async function openPeerVariants({ redisUrl, cleanup }: OonaSetup): Promise<Opener[]> {
  const openers: Opener[] = [];
  for (const { id, title, open } of bullMq()) {
    const queue = await open(redisUrl);
    cleanup.add(() => queue.close());
    let seq = 0;
    openers.push(({ notes }) => ({
      id,
      title: `${title} add`,
      once: () => queue.add(seq++, notes),
      stored: () => queue.waiting(),
    }));
  }
  return openers;
}

function jetStreamVariant(jetstream: JetStream, maker: MessageMaker): Variant {
  const { payload } = sealedReport(maker.make(0), maker.idOf(0));
  return {
    id: 'jetstream',
    title: 'NATS JetStream publish, in memory (reference)',
    prepare: () => jetstream.purge(),
    once: () => jetstream.publish(payload),
    stored: () => jetstream.stored(),
    serialOnly: true,
  };
}

async function block(
  variant: Variant,
  count: number,
  { ledger, what, control }: { ledger: Ledger; what: string; control: Redis },
  run: () => Promise<void>,
): Promise<void> {
  // Every block finds the server as empty as the others do.
  await control.flushall('SYNC');
  await variant.prepare?.();
  await run();
  if (variant.stored !== undefined) {
    ledger.check(`${what}, ${variant.title}`, count, await variant.stored());
  }
}

async function measureSize(
  setup: OonaSetup,
  size: (typeof SIZES)[number],
  variants: readonly Variant[],
  plan: PublishPlan,
  control: Redis,
): Promise<void> {
  const { report, ledger } = setup;
  const samples = variants.map((variant) => ({ variant, us: [] as number[] }));
  const rates = new RoundRates();
  const serial = { ledger, control, what: `publish serial ${size.name}` };
  const parallel = { ledger, control, what: `publish ${WIDTH} in flight ${size.name}` };
  for (const { variant } of shuffle(samples)) {
    if (variant.serialOnly) continue;
    await block(variant, plan.rehearsal, parallel, () => inFlight(plan.rehearsal, WIDTH, variant.once));
  }
  // The first round fills the buffers; only its counts are kept.
  for (let round = -1; round < plan.rounds; round++) {
    for (const { variant, us } of shuffle(samples)) {
      await block(variant, plan.serial, serial, async () => {
        const taken = await serially(plan.serial, variant.once);
        if (round >= 0) us.push(...taken);
      });
    }
    for (const { variant } of shuffle(samples)) {
      if (variant.serialOnly) continue;
      await block(variant, plan.inFlight, parallel, async () => {
        let perS = 0;
        const cpu = await cpuCost(control, plan.inFlight, async () => {
          const startNs = nowNs();
          await inFlight(plan.inFlight, WIDTH, variant.once);
          perS = rate(plan.inFlight, startNs);
        });
        if (round >= 0) rates.add(variant.id, variant.title, perS, cpu);
      });
    }
  }
  const summaries = new Map(samples.map(({ variant, us }) => [variant.id, summarize(us)]));
  const p50 = (id: string): number => summaries.get(id)?.p50 ?? Number.NaN;
  const rows = samples.flatMap(({ variant: { id, title } }) => {
    const summary = summaries.get(id);
    if (summary === undefined) return [];
    report.record(`publish_serial_${id}${size.suffix}`, 'us', summary);
    if (id !== 'oona') report.ratios[`publish_serial_p50_vs_${id}${size.suffix}`] = p50('oona') / p50(id);
    return [{ name: title, summary, ratio: summary.p50 / p50('bare_xadd') }];
  });
  report.printTable(`Publish ${size.name}, one after the other (µs)`, rows, { reference: 'bare' });
  const reference = { id: 'bare_xadd', name: 'bare' };
  rates.tell(report, `publish_${WIDTH}${size.suffix}`, `Publish ${size.name}, ${WIDTH} in flight`, reference);
  for (const { variant } of samples) {
    if (variant.id === 'oona' || variant.serialOnly) continue;
    const ratio = rates.ratio('oona', variant.id);
    report.ratios[`publish_${WIDTH}_throughput_vs_${variant.id}${size.suffix}`] = ratio;
  }
}

/** Until the server has acknowledged: ours, a bare XADD, BullMQ, in the same rounds; JetStream and PING for scale. */
export async function measurePublish(setup: OonaSetup, plan: PublishPlan): Promise<void> {
  const control = await openBare(setup.redisUrl);
  setup.cleanup.add(() => control.disconnect());
  const openers = [
    await openOwnVariant(setup, control),
    await openBareVariant(setup, control),
    ...(await openPeerVariants(setup)),
  ];
  const jetstream = await openJetStream(setup.cleanup);
  if (typeof jetstream === 'string') console.log(`  NATS JetStream: not measured, ${jetstream}`);
  const ping: Variant = {
    id: 'ping',
    title: 'PING (noise canary)',
    once: () => control.ping(),
    serialOnly: true,
  };
  for (const size of SIZES) {
    const maker = messageMaker(`p${size.bytes}`, size.bytes);
    const variants = [...openers.map((open) => open(maker)), ping];
    if (typeof jetstream !== 'string') variants.push(jetStreamVariant(jetstream, maker));
    await measureSize(setup, size, variants, plan, control);
  }
}
