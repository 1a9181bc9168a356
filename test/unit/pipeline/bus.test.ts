import { setImmediate as turn } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createBus } from '../../../src/pipeline/index.ts';
import { createManualClock } from '../../helpers/manual-clock.ts';
import { codeOf, gate, keepErrors, where } from '../../helpers/pipeline.ts';

const test = suite('in-process bus');

test('[R-E11] every subscription gets every event, in order, within publish() where nothing waits', async () => {
  const bus = createBus<number>({ name: 'b' });
  const one: number[] = [];
  const two: number[] = [];
  bus.subscribe((event) => void one.push(event), { name: 'one' });
  bus.subscribe(
    async (event) => {
      await turn();
      two.push(event);
    },
    { name: 'two' },
  );
  void bus.publish(0);
  assert.equal(one, [0], 'called before publish() returned');
  for (let i = 1; i < 50; i++) await bus.publish(i);
  await bus.close();
  const all = Array.from({ length: 50 }, (_, i) => i);
  assert.equal([one, two], [all, all]);
});

test('[R-E4] block: the publisher waits for room, first come first served, and gives up with its signal', async () => {
  const bus = createBus<number>({ name: 'b', bufferSize: 4 });
  const { handler, begun, release } = gate<number>();
  const subscription = bus.subscribe(handler, { name: 's' });
  for (let i = 0; i < 5; i++) await bus.publish(i);
  const settled: string[] = [];
  const abort = new AbortController();
  const note = (name: string, publish: Promise<void>): Promise<void> =>
    publish.then(
      () => void settled.push(name),
      (error) => void settled.push(`${name} ${error.message}`),
    );
  const waits = [
    note('a', bus.publish(5)),
    note('b', bus.publish(6, { signal: abort.signal })),
    note('c', bus.publish(7)),
  ];
  await turn();
  assert.equal(settled, []);
  assert.is(subscription.stats().waiting, 3);
  assert.equal(where(subscription), { received: 5, delivered: 0, dropped: 0, queued: 5 });
  abort.abort(new Error('gives up'));
  await turn();
  assert.equal(settled, ['b gives up']);
  while (begun.length < 7) {
    release();
    await turn();
  }
  await Promise.all(waits);
  assert.equal(settled, ['b gives up', 'a', 'c']);
  assert.equal(begun, [0, 1, 2, 3, 4, 5, 7]);
  release();
  await bus.close();
  assert.equal(where(subscription), { received: 7, delivered: 7, dropped: 0, queued: 0 });
});

test('[R-E11] tryPublish() takes an event where every subscription has room, else leaves it to the caller', async () => {
  const bus = createBus<number>({ name: 'b', bufferSize: 1 });
  assert.ok(bus.tryPublish(0));
  assert.is(bus.stats().unheard, 1);
  const { handler, release } = gate<number>();
  const slow = bus.subscribe(handler, { name: 'slow' });
  const got: number[] = [];
  bus.subscribe((event) => void got.push(event), { name: 'quick' });
  assert.equal(
    [1, 2, 3, 4].map((event) => bus.tryPublish(event)),
    [true, true, false, false],
  );
  assert.equal(got, [1, 2], 'all or none');
  assert.equal(where(slow), { received: 2, delivered: 0, dropped: 0, queued: 2 });
  release();
  await turn();
  assert.ok(bus.tryPublish(5));
  await bus.close(AbortSignal.abort());
  assert.not(bus.tryPublish(6));
});

test('[R-E4] one that throws, rejects or fakes a promise reaches neither the publisher nor the others', async () => {
  const errors = keepErrors();
  const bus = createBus<number>({ name: 'b', errors, clock: createManualClock() });
  const good: number[] = [];
  const then = (): never => {
    throw new Error('then');
  };
  const bad = [
    () => {
      throw new Error('thrown');
    },
    () => {
      throw undefined;
    },
    async () => Promise.reject(new Error('rejected')),
    () => Object.defineProperty({}, 'then', { get: then }),
    () => Object.defineProperty({}, 'then', { value: then }),
  ];
  for (const [i, handler] of bad.entries()) bus.subscribe(handler, { name: `bad${i}` });
  bus.subscribe((event) => void good.push(event), { name: 'good' });
  for (let i = 0; i < 20; i++) await bus.publish(i);
  await bus.close();
  assert.is(good.length, 20);
  for (const { name, received, delivered, droppedFor } of bus.stats().subscriptions) {
    if (name !== 'good') assert.equal([received, delivered, droppedFor.failed], [20, 0, 20], name);
  }
  assert.is(
    errors.of('SUBSCRIBER_FAILED').length,
    2 * bad.length,
    'the first, and the rest as one at the end',
  );
});

test('[R-E4] a handler that hangs is given up after its time-out; too many, and nobody waits for it any more', async () => {
  const clock = createManualClock();
  const errors = keepErrors();
  const bus = createBus<number>({ name: 'b', bufferSize: 1, clock, errors });
  const { handler, signals, release } = gate<number>();
  const stuck = bus.subscribe(handler, { name: 'hangs', handlerTimeoutMs: 800, maxAbandoned: 2 });
  const others: number[] = [];
  bus.subscribe((event) => void others.push(event), { name: 'other' });
  const publishing = (async () => {
    for (let i = 0; i < 10; i++) await bus.publish(i);
  })();
  for (let i = 0; i < 40 && others.length < 10; i++) {
    await turn();
    clock.advance(100);
  }
  await publishing;
  assert.is(others.length, 10, 'the publisher and the others went on');
  assert.ok(signals[0]?.aborted && signals[1]?.aborted);
  const { droppedFor, abandoned, queued } = stuck.stats();
  assert.equal([droppedFor.timedOut, abandoned, queued], [2, 2, 1]);
  assert.is(droppedFor.stuck, 7);
  assert.is(await codeOf(() => bus.deliver(99)), 'ESPER_PIPELINE_REFUSED', 'refused, not waited for');
  assert.is(others.length, 10, 'to nobody');
  release();
  await turn();
  assert.equal([stuck.stats().abandoned, stuck.stats().underWay], [1, 1], 'it goes on when one has ended');
  assert.is(errors.of('SUBSCRIBER_FAILED')[0]?.component, 'bus:b:sub:hangs');
});

test('[R-E11] close() delivers what is queued; when its signal aborts, it drops and counts the rest', async () => {
  const bus = createBus<number>({ name: 'b' });
  const { handler, begun, signals } = gate<number>();
  const subscription = bus.subscribe(handler, { name: 's' });
  for (let i = 0; i < 5; i++) await bus.publish(i);
  const abort = new AbortController();
  const closed = bus.close(abort.signal);
  await turn();
  assert.is(await codeOf(() => bus.publish(9)), 'ESPER_PIPELINE_CLOSED');
  assert.is(await codeOf(() => bus.subscribe(() => undefined, { name: 'x' })), 'ESPER_PIPELINE_CLOSED');
  abort.abort();
  await closed;
  assert.ok(signals[0]?.aborted);
  assert.equal(begun, [0]);
  assert.is(subscription.stats().droppedFor.closed, 5);
  assert.equal(where(subscription), { received: 5, delivered: 0, dropped: 5, queued: 0 });
});

test('[R-E11] close() does not wait for a subscriber that is stuck', async () => {
  const clock = createManualClock();
  const bus = createBus<number>({ name: 'b', clock });
  const { handler } = gate<number>();
  const stuck = bus.subscribe(handler, { name: 's', handlerTimeoutMs: 80, maxAbandoned: 1 });
  for (let i = 0; i < 3; i++) await bus.publish(i);
  const closed = bus.close();
  for (let i = 0; i < 10; i++) {
    clock.advance(10);
    await turn();
  }
  await closed;
  const { timedOut, closed: lost } = stuck.stats().droppedFor;
  assert.equal([timedOut, lost, stuck.stats().queued], [1, 2, 0]);
});

test('[R-E11] a subscription ends by itself, the others go on', async () => {
  const bus = createBus<number>({ name: 'b' });
  const got: number[] = [];
  const first = bus.subscribe((event) => void got.push(event), { name: 'first' });
  const second = bus.subscribe(() => undefined, { name: 'second' });
  await bus.publish(1);
  await first.close();
  await bus.publish(2);
  assert.equal(got, [1]);
  assert.is(second.stats().received, 2);
  bus.subscribe(() => undefined, { name: 'first' });
});

test('[R-E11] handlers that never wait leave the event loop to others', async () => {
  const bus = createBus<number>({ name: 'b', bufferSize: 8 });
  let seen = 0;
  bus.subscribe(
    () => {
      seen += 1;
    },
    { name: 's' },
  );
  let turns = 0;
  let over = false;
  const count = (): void => {
    turns += 1;
    if (!over) setImmediate(count);
  };
  setImmediate(count);
  for (let i = 0; i < 50_000; i++) await bus.publish(i);
  over = true;
  await bus.close();
  assert.is(seen, 50_000);
  assert.ok(turns >= 10, `${turns} turns`);
});

test('[R-E11] a handler may publish to its own bus, and close it', async () => {
  const bus = createBus<number>({ name: 'b', bufferSize: 2 });
  const got: number[] = [];
  bus.subscribe(
    (event) => {
      got.push(event);
      if (event < 100) void bus.publish(event + 1);
      else void bus.close();
    },
    { name: 's' },
  );
  await bus.publish(0);
  await turn();
  assert.is(got.length, 101);
  assert.is(await codeOf(() => bus.publish(1)), 'ESPER_PIPELINE_CLOSED');
});

test('[R-E9] options are checked', async () => {
  const bad: object[] = [
    ...[{}, { name: '' }, { name: 'a b' }, { name: 'b', policy: 'drop' }, { name: 'b', bufferSize: 0 }],
    ...[
      { name: 'b', maxBytes: 0 },
      { name: 'b', saturationRatio: 1.1 },
      { name: 'b', bufersize: 3 },
    ],
    ...[
      { name: 'b', saturationRatio: 0.5, saturationClearRatio: 0.6 },
      { name: 'b', errors: {} },
    ],
  ];
  for (const options of bad) {
    assert.is(
      await codeOf(() => createBus(options as never)),
      'ESPER_OPTION_INVALID',
      JSON.stringify(options),
    );
  }
  const bus = createBus<number>({ name: 'b' });
  bus.subscribe(() => undefined, { name: 's' });
  for (const run of [
    () => bus.subscribe(() => undefined, { name: 's' }),
    () => bus.subscribe(undefined as never, { name: 't' }),
    () => bus.subscribe(() => undefined, { name: 't', concurrency: 0 }),
    ...[0, -1, 1.5, Number.NaN].map((factor) => () => bus.override({ factor })),
    () => bus.override({ policy: 'x' as never }),
    () => bus.override({ size: 1 } as never),
    () => bus.configure({ bufferSize: 0 }),
  ]) {
    assert.is(await codeOf(run), 'ESPER_OPTION_INVALID');
  }
});

test.run();
