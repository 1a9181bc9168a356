import { setImmediate as turn } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { silentLogger } from '../../../src/core/logger.ts';
import { EmitterPart } from '../../../src/pipeline/emitter.ts';
import {
  createBus,
  type Emitter,
  type EmitterOptions,
  type PipelineError,
} from '../../../src/pipeline/index.ts';
import { createManualClock } from '../../helpers/manual-clock.ts';
import { codeOf, gate, keepErrors } from '../../helpers/pipeline.ts';

const test = suite('emitters');

async function rig(emitter: Emitter<number>, options: EmitterOptions = {}) {
  const clock = createManualClock();
  const errors = keepErrors();
  const bus = createBus<number>({ name: 'external', clock, errors });
  const part = new EmitterPart(emitter, options, { clock, random: () => 1, errors, logger: silentLogger });
  const pass = async (ms: number): Promise<void> => {
    for (let passed = 0; passed < ms; passed += 50) {
      clock.advance(50);
      await turn();
    }
  };
  await part.start();
  const subscription = part.subscribe(bus);
  return { clock, errors, bus, part, pass, subscription };
}

const stop = (part: EmitterPart<number>) => part.stop(new AbortController().signal);

test('[R-E6] an event that fails is tried again with a back-off, then lost and counted', async () => {
  let fails = 2;
  const got: number[] = [];
  const { bus, part, pass, errors, subscription } = await rig(
    {
      name: 'file',
      emit: (event) => {
        if (fails-- > 0) throw new Error('disk full');
        got.push(event);
      },
    },
    { retries: 2, retryBaseMs: 100 },
  );
  const delivered = bus.deliver(1);
  await pass(400);
  await delivered;
  assert.equal(got, [1]);
  fails = 3;
  const lost = codeOf(() => bus.deliver(2));
  await pass(400);
  assert.is(await lost, 'ESPER_PIPELINE_NOT_DELIVERED');
  assert.is(subscription.stats().droppedFor.failed, 1);
  assert.is(errors.of('EMITTER_FAILED').length, 5);
  assert.is(errors.reports[0]?.component, 'emitter:file');
  const { emitted, failedCalls } = part.stats();
  assert.equal({ emitted, failedCalls }, { emitted: 1, failedCalls: 5 });
  await stop(part);
});

test('[R-E6] an event that can never be taken is not tried again, and says nothing about the sink', async () => {
  let calls = 0;
  const { bus, part, errors } = await rig(
    {
      name: 'file',
      emit: async () => {
        calls += 1;
        throw new Error('bad event');
      },
    },
    { retries: 5, isRetryable: () => false, breaker: { consecutiveFailures: 2 } },
  );
  for (let i = 0; i < 5; i++) assert.is(await codeOf(() => bus.deliver(i)), 'ESPER_PIPELINE_NOT_DELIVERED');
  assert.is(calls, 5);
  assert.is(errors.of('EMITTER_CIRCUIT_OPEN').length, 0);
  await stop(part);
});

test('[R-E6] while its breaker is open, events wait, and what is to be acknowledged is refused at once', async () => {
  let works = false;
  const got: number[] = [];
  const { bus, part, pass, errors, subscription } = await rig(
    {
      name: 'file',
      emit: (event) => {
        if (!works) throw new Error('no');
        got.push(event);
      },
    },
    { breaker: { consecutiveFailures: 2, openBaseMs: 5000 }, bufferSize: 4 },
  );
  await bus.publish(1);
  await bus.publish(2);
  const early = codeOf(() => bus.deliver(0));
  await turn();
  assert.is(errors.of('EMITTER_CIRCUIT_OPEN').length, 1);
  assert.is(await early, 'ESPER_PIPELINE_REFUSED', 'also what was queued before it opened');
  await bus.publish(3);
  await bus.publish(4);
  await turn();
  const refused = await bus.deliver(5).catch((error: PipelineError) => error);
  assert.equal([refused?.code, refused?.retryAfterMs], ['ESPER_PIPELINE_REFUSED', 5000]);
  assert.is(subscription.stats().queued, 2, 'they wait');
  works = true;
  await pass(6000);
  assert.equal(got, [3, 4]);
  await bus.deliver(6);
  assert.equal(got, [3, 4, 6]);
  await stop(part);
});

test('[R-E6] a call that hangs is aborted at its time-out; those that hang on are bounded', async () => {
  const { handler, begun, signals, release } = gate<number>();
  const { bus, part, pass, subscription } = await rig(
    { name: 'file', emit: handler },
    { emitTimeoutMs: 800, maxAbandoned: 3, breaker: { consecutiveFailures: 1000 } },
  );
  for (let i = 0; i < 6; i++) await bus.publish(i);
  await pass(10_000);
  assert.is(begun.length, 3, 'no more calls to what does not end');
  assert.ok(signals.every(({ aborted }) => aborted));
  assert.is(subscription.stats().droppedFor.failed, 6);
  assert.is(part.stats().abandoned, 3);
  assert.is(await codeOf(() => bus.deliver(9)), 'ESPER_PIPELINE_REFUSED');
  release();
  await turn();
  const delivered = bus.deliver(10);
  release();
  release();
  release();
  await delivered;
  assert.equal(begun, [0, 1, 2, 10]);
  await stop(part);
});

test('[R-E6] slower than its source for minutes: the queue is bounded and the source waits', async () => {
  const { handler, release } = gate<number>();
  const { bus, part, pass, errors, subscription } = await rig(
    { name: 'file', emit: handler },
    { emitTimeoutMs: 0 },
  );
  let published = 0;
  let over = false;
  const source = (async () => {
    while (!over) {
      await bus.publish(published);
      published += 1;
    }
  })();
  let most = 0;
  for (let i = 0; i < 300; i++) {
    await pass(1000);
    release();
    await turn();
    most = Math.max(most, subscription.stats().queued);
  }
  assert.is(most, 9, 'eight wait, one is under way');
  assert.ok(published >= 300 && published <= 310, `${published} in five minutes`);
  const told = errors.of('BACK_PRESSURE_ACTIVE').length;
  assert.ok(told >= 40 && told <= 300, `${told}: at most one a second`);
  over = true;
  const closed = bus.close(AbortSignal.abort());
  await closed;
  await source.catch(() => undefined);
  await stop(part);
});

test('[R-E6] concurrency: so many calls at once, no more', async () => {
  const { handler, begun, release } = gate<number>();
  const { bus, part } = await rig({ name: 'file', emit: handler }, { concurrency: 3 });
  for (let i = 0; i < 8; i++) await bus.publish(i);
  assert.is(begun.length, 3);
  release();
  await turn();
  assert.is(begun.length, 4);
  for (let i = 0; i < 8; i++) {
    release();
    await turn();
  }
  await bus.close();
  await stop(part);
});

test('[R-E6] one that cannot start yet keeps its events waiting, and refuses acknowledged ones', async () => {
  const got: number[] = [];
  let fails = 3;
  const { bus, part, pass, errors } = await rig({
    name: 'file',
    start: () => {
      if (fails-- > 0) throw new Error('not mounted');
    },
    emit: (event) => void got.push(event),
  });
  assert.is(part.state, 'waiting');
  await bus.publish(1);
  assert.is(await codeOf(() => bus.deliver(2)), 'ESPER_PIPELINE_REFUSED');
  assert.equal(got, []);
  await pass(3000);
  assert.equal(got, [1]);
  assert.is(errors.of('EMITTER_FAILED').length, 3);
  await stop(part);
});

test('[R-E6] a rate: so many calls a second', async () => {
  const got: number[] = [];
  const { bus, part, pass } = await rig(
    { name: 'file', emit: (event) => void got.push(event) },
    { rate: { ratePerSecond: 2, burst: 1 }, bufferSize: 100 },
  );
  for (let i = 0; i < 10; i++) await bus.publish(i);
  await pass(2100);
  assert.is(got.length, 5);
  const closed = bus.close(AbortSignal.abort());
  await closed;
  await stop(part);
});

test('[R-E9] what is no emitter is refused', async () => {
  for (const emitter of [undefined, {}, { name: 'a b', emit: () => undefined }, { name: 'a' }]) {
    assert.is(await codeOf(() => rig(emitter as never)), 'ESPER_OPTION_INVALID');
  }
  const emitter = { name: 'a', emit: () => undefined };
  for (const options of [
    { retries: -1 },
    { emitTimeoutMs: -1 },
    { breaker: { foo: 1 } },
    { handlerTimeoutMs: 1 },
  ]) {
    assert.is(await codeOf(() => rig(emitter, options as never)), 'ESPER_OPTION_INVALID');
  }
});

test.run();
