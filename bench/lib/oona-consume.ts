import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { bareRead, createGroup, openBare } from './oona-bare.ts';
import { cpuCost } from './oona-cpu.ts';
import { type MessageMaker, messageMaker, seqOf } from './oona-message.ts';
import { OWN_GROUP, OWN_STREAM, type OwnBus, openOwn } from './oona-own.ts';
import { inFlight, nowNs, RoundRates, rate, within } from './oona-rounds.ts';
import { Seen } from './oona-seen.ts';
import type { OonaSetup } from './oona-setup.ts';
import { shuffle } from './samples.ts';

export interface ConsumePlan {
  readonly rounds: number;
  /** Rounds before those that count: tens of thousands of messages pass before the last of the code is compiled. */
  readonly rehearsalRounds: number;
  /** Messages a variant and round. */
  readonly count: number;
}

interface Variant {
  readonly id: string;
  readonly title: string;
  /** Handles and acknowledges `count` waiting messages; messages a second. */
  readonly run: () => Promise<number>;
}

const SIZES = [
  { bytes: 256, suffix: '', name: '256 B', share: 1 },
  { bytes: 1024, suffix: '_1kib', name: '1 KiB', share: 1 },
  { bytes: 16_384, suffix: '_16kib', name: '16 KiB', share: 0.25 },
] as const;
const BARE_GROUP = 'bare';
/** As many as the consumer reads at a time by default. */
const BATCH = 64;
const FILL_WIDTH = 100;
const TIMEOUT_MS = 60_000;

async function pending(control: Redis, group: string): Promise<number> {
  const [count] = (await control.xpending(OWN_STREAM, group)) as [number];
  return count;
}

/** From the first message handed out to the last acknowledgement confirmed. */
function ownVariant(own: OwnBus, plan: ConsumePlan, setup: OonaSetup, control: Redis, name: string): Variant {
  const run = async (): Promise<number> => {
    let startNs = 0n;
    let complete = (): void => undefined;
    const completed = new Promise<void>((resolve) => {
      complete = resolve;
    });
    const seen = new Seen(plan.count, complete);
    const consumer = await own.consume((eventId) => {
      if (seen.arrived === 0) startNs = nowNs();
      seen.note(seqOf(eventId) % plan.count);
    });
    await within(completed, TIMEOUT_MS, `consume ${name}`);
    while (consumer.acknowledged() < plan.count) await nextTurn();
    const perS = rate(plan.count, startNs);
    await consumer.stop();
    setup.ledger.check(`consume ${name}, Oona`, plan.count, seen.arrived);
    setup.ledger.check(`consume ${name}, Oona, left pending`, 0, await pending(control, OWN_GROUP));
    return perS;
  };
  return { id: 'oona', title: 'Oona: verify, decode, hand over, acknowledge', run };
}

/** In turn: read, acknowledge, read. Overlapped: the next read does not wait for the acknowledgement. */
function bareVariant(
  id: string,
  overlapped: boolean,
  setup: OonaSetup,
  plan: ConsumePlan,
  clients: { reader: Redis; acknowledger: Redis; control: Redis },
  name: string,
): Variant {
  const { reader, acknowledger, control } = clients;
  const read = { stream: OWN_STREAM, group: BARE_GROUP, consumer: 'c', count: BATCH, blockMs: 2000 };
  const title = `bare XREADGROUP + variadic XACK, ${overlapped ? 'overlapped' : 'in turn'}`;
  const run = async (): Promise<number> => {
    await createGroup(control, OWN_STREAM, BARE_GROUP, '0');
    let startNs = 0n;
    let handled = 0;
    let acknowledged = 0;
    const acknowledge = async (ids: readonly Buffer[]): Promise<void> => {
      const count = await acknowledger.xack(OWN_STREAM, BARE_GROUP, ...ids);
      acknowledged += count;
    };
    const under: Promise<void>[] = [];
    while (handled < plan.count) {
      const entries = await bareRead(reader, read);
      if (startNs === 0n) startNs = nowNs();
      handled += entries.length;
      const done = acknowledge(entries.map(([entryId]) => entryId));
      if (overlapped) under.push(done);
      else await done;
    }
    await Promise.all(under);
    const perS = rate(plan.count, startNs);
    setup.ledger.check(`consume ${name}, ${title}`, plan.count, acknowledged);
    await control.xgroup('DESTROY', OWN_STREAM, BARE_GROUP);
    return perS;
  };
  return { id, title, run };
}

async function fill(own: OwnBus, control: Redis, maker: MessageMaker, plan: ConsumePlan, round: number) {
  await control.flushall('SYNC');
  const first = (round + plan.rehearsalRounds) * plan.count;
  await inFlight(plan.count, FILL_WIDTH, (index) => own.publish(maker.make(first + index)));
}

/** Messages that wait, consumed and acknowledged. All variants of a round read the same entries of the same stream. */
export async function measureConsume(setup: OonaSetup, plan: ConsumePlan): Promise<void> {
  const { redisUrl, cleanup, report } = setup;
  const [control, reader, acknowledger] = await Promise.all([
    openBare(redisUrl),
    openBare(redisUrl),
    openBare(redisUrl),
  ]);
  for (const client of [control, reader, acknowledger]) cleanup.add(() => client.disconnect());
  const own = await openOwn(redisUrl, 'bench-consumer');
  cleanup.add(() => own.close());
  for (const { bytes, suffix, name, share } of SIZES) {
    const sized = { ...plan, count: Math.ceil(plan.count * share) };
    const maker = messageMaker(`c${bytes}`, bytes);
    const clients = { reader, acknowledger, control };
    const variants = [
      ownVariant(own, sized, setup, control, name),
      bareVariant('bare', false, setup, sized, clients, name),
      bareVariant('bare_overlapped', true, setup, sized, clients, name),
    ];
    const rates = new RoundRates();
    for (let round = -plan.rehearsalRounds; round < plan.rounds; round++) {
      await fill(own, control, maker, sized, round);
      for (const variant of shuffle(variants)) {
        let perS = 0;
        const cpu = await cpuCost(control, sized.count, async () => {
          perS = await variant.run();
        });
        if (round >= 0) rates.add(variant.id, variant.title, perS, cpu);
      }
    }
    const title = `Consume and acknowledge ${name}, ${BATCH} a read`;
    rates.tell(report, `consume${suffix}`, title, { id: 'bare', name: 'bare' });
    report.ratios[`consume_throughput_vs_bare${suffix}`] = rates.ratio('oona', 'bare');
    report.ratios[`consume_throughput_vs_bare_overlapped${suffix}`] = rates.ratio('oona', 'bare_overlapped');
  }
  await own.close();
}
