import { setImmediate as turn } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ErrorSeverity } from '../../../src/leyline/index.ts';
import {
  type Bus,
  type BusOptions,
  type BusPolicy,
  createBus as openBus,
} from '../../../src/pipeline/index.ts';
import { createManualClock } from '../../helpers/manual-clock.ts';
import { codeOf, gate, keepErrors, where } from '../../helpers/pipeline.ts';

const test = suite('limits of the in-process bus');

const opened: { close: Bus<never>['close'] }[] = [];

function createBus<T>(options: BusOptions<T>): Bus<T> {
  const bus = openBus<T>(options);
  opened.push(bus);
  return bus;
}

// A handler in the middle of its work holds the process until its time-out.
test.after.each(async () => {
  for (const bus of opened.splice(0)) await bus.close(AbortSignal.abort());
});

test('[R-E4] dropNewest, dropOldest and dropSlow drop by count, and the identity holds', async () => {
  const kept: Record<string, number[]> = {};
  const given: [string, { policy: BusPolicy; dropSlow?: boolean }][] = [
    ['newest', { policy: 'dropNewest' }],
    ['oldest', { policy: 'dropOldest' }],
    ['slow', { policy: 'block', dropSlow: true }],
  ];
  for (const [reason, limits] of given) {
    const bus = createBus<number>({ name: 'b', bufferSize: 3, ...limits });
    const { handler, begun, release } = gate<number>();
    const subscription = bus.subscribe(handler, { name: 's' });
    for (let i = 0; i < 10; i++) await bus.publish(i);
    const stats = subscription.stats();
    assert.equal(where(subscription), { received: 10, delivered: 0, dropped: 6, queued: 4 });
    assert.is(Reflect.get(stats.droppedFor, reason), 6);
    const closed = bus.close();
    for (let i = 0; i < 4; i++) {
      release();
      await turn();
    }
    await closed;
    kept[reason] = begun;
    assert.equal(where(subscription), { received: 10, delivered: 4, dropped: 6, queued: 0 });
  }
  assert.equal(kept, { newest: [0, 1, 2, 3], oldest: [0, 7, 8, 9], slow: [0, 1, 2, 3] });
});

test('[R-E4] bytes are bounded as the count is, in hands included', async () => {
  const bus = createBus<Buffer>({ name: 'b', bufferSize: 100, maxBytes: 1000, policy: 'dropOldest' });
  const { handler, release, begun } = gate<Buffer>();
  const subscription = bus.subscribe(handler, { name: 's' });
  for (let i = 0; i < 5; i++) await bus.publish(Buffer.alloc(300, i));
  assert.is(subscription.stats().bytes, 900);
  assert.equal(where(subscription), { received: 5, delivered: 0, dropped: 2, queued: 3 });
  await bus.publish(Buffer.alloc(800, 9));
  assert.is(subscription.stats().droppedFor.newest, 1, 'it would not fit beside what is in hands');
  assert.is(subscription.stats().queued, 3, 'and nothing went for it in vain');
  release();
  await turn();
  assert.is(begun[1]?.[0], 3);
  assert.is(subscription.stats().bytes, 600);
  assert.is(await codeOf(() => bus.publish(Buffer.alloc(1001))), 'ESPER_PIPELINE_TOO_LARGE');
  assert.is(bus.stats().refused, 1);
});

test('[R-E4] a sizeOf that throws, or tells no size, refuses the event and harms nothing', async () => {
  const sizes = [
    () => Number.NaN,
    () => -1,
    () => '3' as never,
    () => {
      throw new Error('no');
    },
    () => 2 ** 60,
  ];
  for (const sizeOf of sizes) {
    const bus = createBus<number>({ name: 'b', sizeOf });
    const subscription = bus.subscribe(() => undefined, { name: 's' });
    assert.is(await codeOf(() => bus.publish(1)), 'ESPER_PIPELINE_TOO_LARGE');
    assert.is(subscription.stats().received, 0);
  }
  const bus = createBus<unknown>({ name: 'b' });
  bus.subscribe(() => undefined, { name: 's' });
  for (const event of [null, undefined, 3, {}, [], 'text', Symbol('s'), new Map()]) await bus.publish(event);
  assert.is(await codeOf(() => bus.publish({ byteLength: -5 })), 'ESPER_PIPELINE_TOO_LARGE');
});

test('[R-E4] saturation is told once, with hysteresis, and back-pressure and drops at a bounded rate with their count', async () => {
  const clock = createManualClock();
  const errors = keepErrors();
  const bus = createBus<number>({ name: 'b', bufferSize: 10, errors, clock, reportIntervalMs: 1000 });
  const { handler, release } = gate<number>();
  const subscription = bus.subscribe(handler, { name: 's' });
  for (let i = 0; i < 9; i++) await bus.publish(i);
  assert.equal(errors.codes(), [], '8 of 10 are not above 80 %');
  await bus.publish(9);
  await bus.publish(10);
  assert.equal(errors.codes(), ['BUFFER_SATURATED']);
  const [saturated] = errors.reports;
  assert.equal(saturated?.context?.buffer_used, 9);
  assert.is(saturated?.component, 'bus:b:sub:s');
  assert.is(saturated?.severity, ErrorSeverity.ERROR_SEVERITY_WARNING);
  for (let i = 0; i < 5; i++) bus.publish(11).catch(() => undefined);
  assert.equal(errors.codes(), ['BUFFER_SATURATED', 'BACK_PRESSURE_ACTIVE']);
  // Wobbling between 7 and 10 is one saturation.
  release();
  await turn();
  assert.ok(subscription.stats().saturated);
  const undo = bus.override({ dropSlow: true });
  for (let i = 0; i < 1000; i++) await bus.publish(i);
  assert.is(errors.of('EVENT_DROPPED').length, 1);
  clock.advance(1000);
  await turn();
  const drops = errors.of('EVENT_DROPPED');
  const told = drops.reduce((sum, { context }) => sum + Number(context?.count), 0);
  assert.is(drops.length, 2);
  assert.is(told, subscription.stats().dropped, 'every drop is told');
  undo();
  for (let i = 0; i < 12; i++) {
    release();
    await turn();
  }
  assert.not(subscription.stats().saturated);
  for (let i = 0; i < 3; i++) {
    clock.advance(1000);
    await turn();
  }
  assert.is(clock.sleepers, 0, 'no timer when all is well');
});

test('[R-E7] limits change while it runs, and an override gives back exactly what was', async () => {
  const bus = createBus<number>({ name: 'b', bufferSize: 8, maxBytes: 1001 });
  const { handler, release } = gate<number>();
  const own = bus.subscribe(handler, { name: 'own', bufferSize: 5, policy: 'dropOldest' });
  const other = bus.subscribe(() => undefined, { name: 'other' });
  const limits = () =>
    [own, other].map((one) => {
      const { policy, bufferSize, maxBytes, dropSlow } = one.stats();
      return [policy, bufferSize, maxBytes, dropSlow];
    });
  const before = limits();
  const shrink = bus.override({ factor: 0.25 });
  const shed = bus.override({ dropSlow: true, policy: 'dropNewest' });
  assert.equal(limits(), [
    ['dropNewest', 1, 250, true],
    ['dropNewest', 2, 250, true],
  ]);
  const late = bus.subscribe(() => undefined, { name: 'late' });
  assert.is(late.stats().bufferSize, 2, 'one that comes later keeps to it too');
  other.configure({ bufferSize: 100 });
  shrink();
  assert.equal(limits()[1], ['dropNewest', 100, 1001, true], 'in any order');
  shrink();
  shed();
  assert.equal(limits()[0], before[0]);
  assert.equal(limits()[1], ['block', 100, 1001, false], 'what was changed meanwhile stays changed');
  assert.is(late.stats().bufferSize, 8);
  for (let i = 0; i < 6; i++) await bus.publish(i);
  bus.configure({ bufferSize: 2 });
  assert.is(own.stats().dropped, 0, 'a smaller buffer drops nothing of what it has');
  assert.is(own.stats().queued, 6);
  release();
  await bus.close(AbortSignal.abort());
});

test('[R-E7] a publisher that waits when dropSlow comes waits no longer', async () => {
  const bus = createBus<number>({ name: 'b', bufferSize: 1 });
  const { handler } = gate<number>();
  const subscription = bus.subscribe(handler, { name: 's' });
  await bus.publish(0);
  await bus.publish(1);
  const plain = bus.publish(2);
  const acknowledged = codeOf(() => bus.deliver(3));
  await turn();
  assert.is(subscription.stats().waiting, 2);
  bus.override({ dropSlow: true });
  await plain;
  assert.is(await acknowledged, 'ESPER_PIPELINE_REFUSED');
  assert.equal(where(subscription), { received: 3, delivered: 0, dropped: 1, queued: 2 });
  await bus.close(AbortSignal.abort());
});

test('[R-E4] a source that does not wait is bounded: publishers by maxWaiting, their bytes by maxBytes', async () => {
  const bus = createBus<Buffer>({ name: 'b', bufferSize: 1, maxWaiting: 3, maxBytes: 100 });
  const { handler } = gate<Buffer>();
  const subscription = bus.subscribe(handler, { name: 's' });
  const outcomes = Array.from({ length: 10 }, () => codeOf(() => bus.publish(Buffer.alloc(10))));
  await turn();
  assert.equal([subscription.stats().waiting, subscription.stats().refused], [3, 5]);
  await bus.close(AbortSignal.abort());
  const codes = await Promise.all(outcomes);
  assert.is(codes.filter((code) => code === 'ESPER_PIPELINE_REFUSED').length, 5);
  assert.is(codes.filter((code) => code === 'ESPER_PIPELINE_CLOSED').length, 3);
});

test.run();
