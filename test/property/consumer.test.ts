import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Random } from '../../src/core/random.ts';
import { TransportError } from '../../src/oona/errors.ts';
import { createMemoryTransport } from '../../src/oona/transport/memory.ts';
import type { BusTransport } from '../../src/oona/transport/transport.ts';
import type { Consumer, Delivery } from '../../src/oona/work-types.ts';
import { accountsAreEven, type ConsumerBench, openConsumerBench } from '../conformance/consumer-bench.ts';
import { seededRandom } from '../helpers/seeded.ts';
import { until } from '../helpers/until.ts';

const test = suite('accounts of consumers');

interface Chaos {
  /** Of calls that never reach the engine, and of those whose answer is lost; 0-1. */
  rate: number;
  dead: boolean;
  check(): void;
}

/** The memory engine behind a line that breaks at random; 'dead' is a process that was killed. */
function throughChaos(engine: BusTransport, chaos: Chaos, random: Random): BusTransport {
  const cut = (): never => {
    throw new TransportError('ESPER_OONA_DISCONNECTED', 'cut', { retryable: true });
  };
  const wrap = async <T>(call: () => Promise<T>): Promise<T> => {
    chaos.check();
    if (chaos.dead || random() < chaos.rate) cut();
    const result = await call();
    if (chaos.dead || random() < chaos.rate) cut();
    return result;
  };
  const wrapAll = <T extends object>(target: T): T =>
    new Proxy(target, {
      get: (_, name) => {
        const member = Reflect.get(target, name, target);
        if (typeof member !== 'function') return member;
        if (name === 'openReader') return () => wrapAll(engine.openReader());
        if (name === 'close') return async () => undefined;
        return (...args: unknown[]) => wrap(() => Reflect.apply(member, target, args));
      },
    });
  return wrapAll(engine);
}

interface Plan {
  readonly seed: number;
  readonly consumers: number;
  readonly messages: number;
  readonly breaks: number;
  readonly failing: number;
  readonly kill: boolean;
  readonly trim: boolean;
}

const plans = fc.record({
  seed: fc.integer(),
  consumers: fc.integer({ min: 1, max: 4 }),
  messages: fc.integer({ min: 1, max: 80 }),
  breaks: fc.constantFrom(0, 0.02, 0.2),
  failing: fc.constantFrom(0, 0.2, 0.6),
  kill: fc.boolean(),
  trim: fc.boolean(),
});

/** Succeeds, fails, fails for good, takes longer than its lease, longer than its time. */
function unreliable(random: Random, failing: number): (delivery: Delivery) => Promise<void> | void {
  return ({ signal }) => {
    const lot = random();
    if (lot < failing / 2) throw new Error('now');
    if (lot < failing) return delay(random() * 5).then(() => Promise.reject(new Error('later')));
    if (lot < failing + 0.03) throw Object.assign(new Error('for good'), { retryable: false });
    if (lot < failing + 0.06) return delay(250, undefined, { signal }).catch(() => undefined);
    return lot < 0.9 ? undefined : delay(random() * 10);
  };
}

async function run(plan: Plan, bench: ConsumerBench): Promise<void> {
  const random = seededRandom(plan.seed);
  const handled = new Set<string>();
  const consumers: Consumer[] = [];
  const uneven: string[] = [];
  const check = (): void => {
    for (const consumer of consumers) {
      if (!accountsAreEven(consumer)) uneven.push(JSON.stringify(consumer.stats()));
    }
  };
  const lines: Chaos[] = [];
  for (let i = 0; i < plan.consumers; i++) {
    const chaos: Chaos = { rate: plan.breaks, dead: false, check };
    lines.push(chaos);
    const handler = unreliable(random, plan.failing);
    const { consumer } = bench.worker({
      options: { leaseMs: 100, claimIntervalMs: 20, handlerTimeoutMs: 200, maxInFlight: 8, batchSize: 8 },
      parts: { transport: throughChaos(bench.transport, chaos, random), callDeadlineMs: 200, random },
      handler: async (delivery) => {
        check();
        await handler(delivery);
        handled.add(delivery.entryId);
      },
    });
    consumers.push(consumer);
  }
  const published = new Set<string>();
  await Promise.all(consumers.map((consumer) => consumer.start()));
  for (let i = 0; i < plan.messages; i++) {
    published.add(await bench.publish(randomUUID()));
    if (i % 16 === 0) await delay(1);
  }
  const [first] = lines;
  if (plan.kill && plan.consumers > 1 && first !== undefined) first.dead = true;
  const gone = plan.trim ? [...published].slice(0, 2) : [];
  await bench.transport.remove(bench.stream, gone, { deadlineMs: 1000 });
  await delay(60);
  for (const line of lines) line.rate = 0;
  const letters = async (): Promise<Set<string>> =>
    new Set((await bench.letters()).map(({ origin_id = '' }) => origin_id));
  // An entry that was trimmed after it was handed out is lost, the only way to vanish.
  await until('everything decided', async () => {
    check();
    const idle = consumers.every((one, i) => lines[i]?.dead || one.stats().pending === 0);
    if (!idle || (await bench.pending()) > 0) return false;
    const buried = await letters();
    return [...published].every((id) => handled.has(id) || buried.has(id) || gone.includes(id));
  });
  for (const line of lines) line.dead = false;
  await Promise.all(consumers.map((consumer) => consumer.stop()));
  check();
  assert.equal(uneven, []);
}

test('[R-O2] read = acknowledged + pending + dead-lettered + taken over + lost, whatever breaks', async () => {
  const keepAlive = setInterval(() => undefined, 60_000);
  try {
    await fc.assert(
      fc.asyncProperty(plans, async (plan) => {
        const bench = openConsumerBench(createMemoryTransport());
        try {
          await run(plan, bench);
        } finally {
          await bench.close();
        }
      }),
      { numRuns: 25, endOnFailure: true, includeErrorInReport: true },
    );
  } finally {
    clearInterval(keepAlive);
  }
});

test.run();
