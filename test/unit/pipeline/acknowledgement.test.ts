import { setImmediate as turn } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Bus, createBus, type PipelineError } from '../../../src/pipeline/index.ts';
import { createManualClock } from '../../helpers/manual-clock.ts';
import { codeOf, gate, where } from '../../helpers/pipeline.ts';

const test = suite('delivery with an acknowledgement');

const errorOf = (promise: Promise<void>): Promise<PipelineError> =>
  promise.then(
    () => {
      throw new Error('delivered');
    },
    (error: PipelineError) => error,
  );

test('[R-E7][R-E11] resolves when every handler has taken the event, not before', async () => {
  const bus = createBus<number>({ name: 'b' });
  const one = gate<number>();
  const two = gate<number>();
  bus.subscribe(one.handler, { name: 'one' });
  bus.subscribe(two.handler, { name: 'two' });
  let isDelivered = false;
  const delivered = bus.deliver(1).then(() => {
    isDelivered = true;
  });
  one.release();
  await turn();
  assert.not(isDelivered);
  two.release();
  await delivered;
});

test('[R-E7][R-E11] refused when nobody has subscribed, and when it is closed, with a time to try again', async () => {
  const bus = createBus<number>({ name: 'b', retryAfterMs: 1234 });
  const error = await errorOf(bus.deliver(1));
  assert.equal(
    [error.code, error.retryAfterMs, error.retryable],
    ['ESPER_PIPELINE_NO_SUBSCRIBER', 1234, true],
  );
  await bus.close();
  assert.is((await errorOf(bus.deliver(1))).code, 'ESPER_PIPELINE_CLOSED');
});

test('[R-E7][R-E11] never dropped for room: plain events go, it is refused when there are none left', async () => {
  const bus = createBus<string>({ name: 'b', bufferSize: 3, policy: 'dropOldest' });
  const { handler, begun, release } = gate<string>();
  const subscription = bus.subscribe(handler, { name: 's' });
  await bus.publish('in hands');
  const first = bus.deliver('a1');
  await bus.publish('p1');
  const second = bus.deliver('a2');
  await bus.publish('p2');
  const third = bus.deliver('a3');
  assert.is(subscription.stats().droppedFor.oldest, 2, 'p1 and p2');
  const refused = await errorOf(bus.deliver('a4'));
  assert.is(refused.code, 'ESPER_PIPELINE_REFUSED');
  assert.is(refused.retryable, true);
  await bus.publish('p3');
  assert.is(subscription.stats().droppedFor.newest, 1, 'what nobody waits for gives way');
  for (let i = 0; i < 4; i++) {
    release();
    await turn();
  }
  await Promise.all([first, second, third]);
  assert.equal(begun, ['in hands', 'a1', 'a2', 'a3']);
});

test('[R-E7][R-E11] a handler that fails or takes too long: not delivered, with the cause', async () => {
  const clock = createManualClock();
  const bus = createBus<number>({ name: 'b', clock });
  const { handler, fail, release } = gate<number>();
  bus.subscribe(handler, { name: 's', handlerTimeoutMs: 800 });
  const failed = errorOf(bus.deliver(1));
  fail(Object.assign(new Error('disk full'), { retryAfterMs: 5000 }));
  const { code, cause, retryAfterMs, message } = await failed;
  assert.equal([code, retryAfterMs], ['ESPER_PIPELINE_NOT_DELIVERED', 5000]);
  assert.is((cause as Error).message, 'disk full');
  assert.match(message, /disk full/);
  const late = errorOf(bus.deliver(2));
  for (let i = 0; i < 10; i++) {
    clock.advance(100);
    await turn();
  }
  assert.is((await late).code, 'ESPER_PIPELINE_TIMEOUT');
  release();
});

test('[R-E7][R-E11] called off where it waits: let go of at once; with a handler: answered when that has ended', async () => {
  const bus = createBus<string>({ name: 'b', bufferSize: 2 });
  const { handler, begun, release } = gate<string>();
  const subscription = bus.subscribe(handler, { name: 's' });
  const abort = new AbortController();
  const { signal } = abort;
  const answers: Record<string, string> = {};
  const deliver = (name: string) =>
    codeOf(() => bus.deliver(name, { signal })).then((code) => {
      answers[name] = code;
    });
  void deliver('in hands');
  void deliver('queued');
  await bus.publish('plain');
  void deliver('waits for room');
  await turn();
  abort.abort();
  await turn();
  assert.equal(answers, {
    queued: 'ESPER_PIPELINE_REFUSED',
    'waits for room': 'ESPER_PIPELINE_NOT_DELIVERED',
  });
  assert.is(subscription.stats().droppedFor.cancelled, 1);
  assert.equal(where(subscription), { received: 3, delivered: 0, dropped: 1, queued: 2 });
  release();
  await turn();
  assert.is(answers['in hands'], 'none', 'it was delivered after all, and that is the answer');
  assert.equal(begun, ['in hands', 'plain']);
  assert.is(await codeOf(() => bus.deliver('late', { signal })), 'ESPER_PIPELINE_NOT_DELIVERED');
  release();
  await bus.close();
});

test('[R-E7][R-E11] one subscriber refuses: none has it; one fails: the others let go of it', async () => {
  const bus = createBus<number>({ name: 'b', bufferSize: 1 });
  const open = gate<number>();
  const shut = gate<number>();
  const first = bus.subscribe(open.handler, { name: 'open' });
  bus.subscribe(shut.handler, { name: 'shut', policy: 'dropNewest' });
  await bus.publish(0);
  await bus.publish(1);
  open.release();
  await turn();
  assert.is(await codeOf(() => bus.deliver(2)), 'ESPER_PIPELINE_REFUSED');
  assert.is(first.stats().received, 2, 'not received by the one that had room');
  shut.release();
  await turn();
  const delivered = errorOf(bus.deliver(3));
  open.fail();
  shut.fail();
  await turn();
  assert.equal(open.begun, [0, 1, 3]);
  shut.fail(new Error('no'));
  open.release();
  assert.match((await delivered).message, /no/);
});

/** A bus whose events go on to `next`, with whoever waits for them. */
function chain(next: Bus<number>): Bus<number> {
  const bus = createBus<number>({ name: 'first' });
  bus.subscribe((event, { acknowledgement }) => next.publish(event, { acknowledgement }), {
    name: 'on',
    handlerTimeoutMs: 0,
  });
  return bus;
}

test('[R-E7][R-E11] handed on to another bus, it is delivered when that one has delivered it', async () => {
  const last = createBus<number>({ name: 'last', bufferSize: 1 });
  const first = chain(last);
  assert.is((await errorOf(first.deliver(1))).code, 'ESPER_PIPELINE_NO_SUBSCRIBER', 'nobody at the far end');
  const { handler, release, fail, begun } = gate<number>();
  last.subscribe(handler, { name: 's' });
  const good = first.deliver(2);
  const bad = errorOf(first.deliver(3));
  const abort = new AbortController();
  const calledOff = errorOf(first.deliver(4, { signal: abort.signal }));
  await turn();
  assert.is(last.stats().subscriptions[0]?.waiting, 1);
  abort.abort();
  assert.is((await calledOff).code, 'ESPER_PIPELINE_REFUSED', 'also where it waits for room further on');
  release();
  await good;
  fail(new Error('no'));
  assert.match((await bad).message, /no/);
  assert.equal(begun, [2, 3]);
});

test('[R-E7][R-E11] called off on its way, the next bus does not take it', async () => {
  const last = createBus<number>({ name: 'last' });
  last.subscribe(() => undefined, { name: 's' });
  const first = createBus<number>({ name: 'first' });
  const step = gate<number>();
  first.subscribe(
    async (event, delivery) => {
      await step.handler(event, delivery);
      await last.publish(event, { acknowledgement: delivery.acknowledgement });
    },
    { name: 'on' },
  );
  const abort = new AbortController();
  const answer = errorOf(first.deliver(1, { signal: abort.signal }));
  abort.abort();
  step.release();
  assert.is((await answer).code, 'ESPER_PIPELINE_REFUSED');
  assert.is(last.stats().subscriptions[0]?.received, 0);
});

test('[R-E7][R-E11] 10,000 deliveries under changing limits: delivered + refused = sent, counted on both sides', async () => {
  const last = createBus<number>({ name: 'last', bufferSize: 4 });
  const first = chain(last);
  const written = new Set<number>();
  last.subscribe(
    async (event) => {
      if (event % 3 === 0) await turn();
      if (event % 7 === 0) throw new Error('no');
      written.add(event);
    },
    { name: 's', concurrency: 3 },
  );
  const answered = { yes: new Set<number>(), no: 0 };
  const undo: (() => void)[] = [];
  for (let sent = 0; sent < 10_000; sent++) {
    if (sent % 500 === 0) undo.push(last.override({ dropSlow: true, factor: 0.25 }));
    if (sent % 500 === 250) undo.pop()?.();
    if (sent % 40 === 0) await turn();
    first.deliver(sent).then(
      () => answered.yes.add(sent),
      () => {
        answered.no += 1;
      },
    );
  }
  await first.close();
  await last.close();
  await turn();
  assert.is(answered.yes.size + answered.no, 10_000);
  assert.equal([...answered.yes].sort(), [...written].sort());
  assert.ok(answered.no > 1000 && written.size > 1000, `${answered.no} ${written.size}`);
});

test.run();
