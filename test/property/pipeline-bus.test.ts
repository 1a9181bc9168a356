import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Bus, type BusPolicy, createBus, type Subscription } from '../../src/pipeline/index.ts';
import { createManualClock, type ManualClock } from '../helpers/manual-clock.ts';

/** FC_SEED repeats a run. */
const seed = Number(process.env.FC_SEED ?? Date.now() % 2 ** 31);
console.log(`fast-check seed ${seed} (repeat with FC_SEED=${seed})`);

const test = suite('identity of the in-process bus');
const TIMEOUT_MS = 800;

interface Sent {
  readonly id: number;
  readonly bytes: number;
}

/** How a subscriber takes each event, in turn. */
type Behaviour = 'returns' | 'throws' | 'resolves' | 'rejects' | 'waits' | 'hangs' | 'fakeThenable';

/** What really became of an event at one subscriber, as the subscriber saw it. */
interface Consumer {
  readonly subscription: Subscription;
  readonly started: number[];
  readonly taken: Set<number>;
  readonly overdue: Set<number>;
  /** Ends handlers that wait, oldest first. */
  readonly open: ((fails: boolean) => void)[];
}

interface Delivered {
  readonly id: number;
  outcome: 'pending' | 'delivered' | 'failed';
}

function subscribe(bus: Bus<Sent>, name: string, behaviours: readonly Behaviour[], given: object): Consumer {
  const started: number[] = [];
  const taken = new Set<number>();
  const overdue = new Set<number>();
  const open: ((fails: boolean) => void)[] = [];
  const take = ({ id }: Sent): void => {
    if (!overdue.has(id)) taken.add(id);
  };
  const subscription = bus.subscribe(
    (event, delivery) => {
      const { id } = event;
      const behaviour = behaviours[started.length % behaviours.length];
      started.push(id);
      delivery.signal.addEventListener('abort', () => overdue.add(id));
      if (behaviour === 'throws') throw new Error('thrown');
      if (behaviour === 'returns') return take(event);
      if (behaviour === 'resolves') return Promise.resolve().then(() => take(event));
      if (behaviour === 'rejects') return Promise.reject(new Error('rejected'));
      if (behaviour === 'fakeThenable') {
        const get = (): never => {
          throw new Error('a getter that throws');
        };
        return Object.defineProperty({}, 'then', { get });
      }
      return new Promise<void>((resolve, reject) => {
        if (behaviour === 'hangs') return;
        open.push((fails) => {
          if (fails) reject(new Error('late failure'));
          else {
            take(event);
            resolve();
          }
        });
      });
    },
    { name, handlerTimeoutMs: TIMEOUT_MS, ...given },
  );
  return { subscription, started, taken, overdue, open };
}

/** received = delivered + dropped + queued, and every part of it as the subscriber saw it. */
function check(bus: Bus<Sent>, consumers: readonly Consumer[]): void {
  for (const stats of bus.stats().subscriptions) {
    assert.is(stats.received, stats.delivered + stats.dropped + stats.queued, JSON.stringify(stats));
    assert.is(
      stats.dropped,
      Object.values(stats.droppedFor).reduce((sum, count) => sum + count, 0),
    );
    assert.ok(stats.bytes >= 0 && stats.queued >= stats.underWay && stats.underWay >= 0);
    if (stats.queued === 0) assert.is(stats.bytes, 0);
  }
  for (const { started } of consumers) {
    assert.ok(
      started.every((id, at) => at === 0 || id > (started[at - 1] as number)),
      'each handed out once, in the order they were published',
    );
  }
}

const op = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('try' as const), bytes: fc.nat(60) }) },
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('publish' as const), bytes: fc.nat(60) }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('deliver' as const), bytes: fc.nat(60) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('abort' as const), which: fc.nat(9) }) },
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant('finish' as const), which: fc.nat(2), fails: fc.boolean() }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('turn' as const) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('advance' as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('override' as const),
      factor: fc.constantFrom(0.01, 0.5, 1),
      dropSlow: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('undo' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('configure' as const),
      policy: fc.constantFrom<BusPolicy>('block', 'dropNewest', 'dropOldest'),
      bufferSize: fc.integer({ min: 1, max: 12 }),
    }),
  },
);

const behaviour = fc.constantFrom<Behaviour>(
  ...(['returns', 'throws', 'resolves', 'rejects', 'waits', 'hangs', 'fakeThenable'] as const),
);
const consumer = fc.record({
  behaviours: fc.array(behaviour, { minLength: 1, maxLength: 6 }),
  policy: fc.constantFrom<BusPolicy>('block', 'dropNewest', 'dropOldest'),
  bufferSize: fc.integer({ min: 1, max: 10 }),
  maxBytes: fc.integer({ min: 50, max: 300 }),
  dropSlow: fc.boolean(),
  concurrency: fc.integer({ min: 1, max: 4 }),
  maxAbandoned: fc.integer({ min: 1, max: 3 }),
  maxWaiting: fc.integer({ min: 1, max: 6 }),
});

class Run {
  readonly clock: ManualClock = createManualClock();
  readonly bus = createBus<Sent>({ name: 'b', sizeOf: ({ bytes }) => bytes, clock: this.clock });
  readonly consumers: Consumer[] = [];
  readonly deliveries: Delivered[] = [];
  readonly aborts: AbortController[] = [];
  readonly undo: (() => void)[] = [];
  published = 0;
  sent = 0;
  refused = 0;

  publish(bytes: number): void {
    const controller = new AbortController();
    this.aborts.push(controller);
    this.bus.publish({ id: this.sent++, bytes }, { signal: controller.signal }).then(
      () => {
        this.published += 1;
      },
      () => {
        this.refused += 1;
      },
    );
  }

  deliver(bytes: number): void {
    const controller = new AbortController();
    this.aborts.push(controller);
    const delivered: Delivered = { id: this.sent++, outcome: 'pending' };
    this.deliveries.push(delivered);
    this.bus.deliver({ id: delivered.id, bytes }, { signal: controller.signal }).then(
      () => {
        delivered.outcome = 'delivered';
        this.#checkTruth(delivered);
      },
      () => {
        delivered.outcome = 'failed';
        this.#checkTruth(delivered);
      },
    );
  }

  #checkTruth({ id, outcome }: Delivered): void {
    const everywhere = this.consumers.every(({ taken }) => taken.has(id));
    const late = this.consumers.some(({ overdue }) => overdue.has(id));
    if (outcome === 'delivered') assert.ok(everywhere, `${id} was acknowledged and not delivered`);
    else if (!late) assert.not(everywhere, `${id} was refused and delivered`);
  }

  async step(one: typeof op extends fc.Arbitrary<infer O> ? O : never): Promise<void> {
    if (one.kind === 'publish') this.publish(one.bytes);
    else if (one.kind === 'try') {
      if (this.bus.tryPublish({ id: this.sent++, bytes: one.bytes })) this.published += 1;
      else this.refused += 1;
    } else if (one.kind === 'deliver') this.deliver(one.bytes);
    else if (one.kind === 'abort') this.aborts.at(-1 - one.which)?.abort();
    else if (one.kind === 'finish')
      this.consumers[one.which % this.consumers.length]?.open.shift()?.(one.fails);
    else if (one.kind === 'turn') await turn();
    else if (one.kind === 'override') {
      this.undo.push(this.bus.override({ factor: one.factor, dropSlow: one.dropSlow }));
    } else if (one.kind === 'undo') this.undo.shift()?.();
    else if (one.kind === 'configure') this.bus.configure({ policy: one.policy, bufferSize: one.bufferSize });
    else {
      for (let i = 0; i < 10; i++) {
        this.clock.advance(TIMEOUT_MS / 8);
        await turn();
      }
    }
  }
}

test('[R-E4][R-E11] received = delivered + dropped + queued at any moment, and an acknowledgement is never a guess', async () => {
  const seen = { delivered: 0, dropped: 0, acknowledged: 0, refusedDeliveries: 0 };
  await fc.assert(
    fc.asyncProperty(
      fc.array(consumer, { minLength: 1, maxLength: 3 }),
      fc.array(op, { minLength: 20, maxLength: 120 }),
      async (specs, ops) => {
        const run = new Run();
        specs.forEach(({ behaviours, ...given }, i) => {
          run.consumers.push(subscribe(run.bus, `s${i}`, behaviours, given));
        });
        for (const one of ops) {
          await run.step(one);
          check(run.bus, run.consumers);
        }
        for (const undo of run.undo) undo();
        // A handler that resolved in the last step is seen a microtask later, as anywhere.
        await turn();
        const over = new AbortController();
        over.abort();
        await run.bus.close(over.signal);
        await turn();
        check(run.bus, run.consumers);
        for (const { subscription, taken } of run.consumers) {
          const stats = subscription.stats();
          assert.is(stats.queued, 0);
          assert.is(stats.delivered, taken.size, 'what the subscriber took');
          seen.delivered += stats.delivered;
          seen.dropped += stats.dropped;
        }
        for (const { outcome } of run.deliveries) {
          assert.is.not(outcome, 'pending', 'a delivery is answered at the latest when the bus is closed');
          if (outcome === 'delivered') seen.acknowledged += 1;
          else seen.refusedDeliveries += 1;
        }
        assert.is(
          run.published + run.refused + run.deliveries.length,
          run.sent,
          'every publisher was answered',
        );
      },
    ),
    { seed, numRuns: Number(process.env.FC_RUNS ?? 300) },
  );
  assert.ok(
    Object.values(seen).every((count) => count > 0),
    JSON.stringify(seen),
  );
});

test.run();
