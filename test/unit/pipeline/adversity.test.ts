import { setImmediate as turn } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { errorCode } from '../../../src/core/errors.ts';
import { Metrics } from '../../../src/core/metrics.ts';
import { createMemoryMonitor, ErrorBus } from '../../../src/faults/index.ts';
import { type AdapterContext, createBus, engine, setEngineGauges } from '../../../src/pipeline/index.ts';
import { codeOf, gate, intake, keepErrors, where } from '../../helpers/pipeline.ts';
import { until } from '../../helpers/until.ts';

// What parts may do that nobody should.

const test = suite('pipeline, against all odds');
const QUIET = { memoryMonitor: false } as const;
const SILENT = { debug() {}, info() {}, warn() {}, error() {} };

test('[R-E6][R-E11] a start that rejects with undefined has failed as well', async () => {
  const adapter = { name: 'http', start: () => Promise.reject() };
  const made = engine({ ...QUIET, logger: SILENT, adapters: [{ adapter, required: true }] });
  assert.is(await codeOf(() => made.start()), 'ESPER_PIPELINE_START_FAILED');
});

test('[R-E6] a run that broke down is stopped once, also when all is stopped meanwhile, and is up no more', async () => {
  let contexts: AdapterContext<number> | undefined;
  let stops = 0;
  let end = (): void => undefined;
  const adapter = {
    name: 'http',
    start: (context: AdapterContext<number>) => {
      contexts = context;
    },
    stop: () => {
      stops += 1;
      return new Promise<void>((resolve) => {
        end = resolve;
      });
    },
  };
  const made = engine({ ...QUIET, logger: SILENT, adapters: [adapter] });
  await made.start();
  contexts?.fail(new Error('the port is gone'));
  await turn();
  assert.not(made.health().ready);
  assert.equal(made.health().troubles, [
    { part: 'adapter:http', state: 'waiting', error: 'the port is gone' },
  ]);
  const stopped = made.stop();
  await turn();
  await turn();
  assert.is(made.state, 'stopping', 'waits for the stop that is under way');
  end();
  assert.ok((await stopped).clean);
  assert.is(stops, 1);
});

test('[R-E5][R-E11] handlers on a shared error bus are told of the stop, then closed, before they are let go of', async () => {
  const errors = new ErrorBus({ logger: SILENT });
  const told: string[] = [];
  const slow = {
    name: 'slow',
    handle: async ({ code }: { readonly code: string }) => {
      await turn();
      told.push(code);
    },
    close: () => void told.push('closed'),
  };
  const emitter = { name: 'e', emit: () => undefined, stop: () => Promise.reject(new Error('busy')) };
  const made = engine({ ...QUIET, errors, errorHandlers: [slow], emitters: [emitter] });
  await made.start();
  assert.equal((await made.stop()).unfinished, ['emitter:e']);
  assert.equal(told, ['STOP_FAILED', 'closed']);
  await errors.close();
  assert.is(told.length, 2);
});

test('[R-E3][R-E7] a monitor of somebody else that is high already degrades and stops the engine', async () => {
  const errors = new ErrorBus({ logger: SILENT });
  const memory = createMemoryMonitor({ memoryLimitBytes: 2 ** 20 }, { errors, env: {} });
  memory.start();
  await until('the level', () => memory.check().level === 'shutdown');
  const made = engine({ errors, logger: SILENT, memoryMonitor: memory });
  await made.start();
  assert.match((await made.stopped).reason, /memory shutdown/);
  memory.stop();
  await errors.close();
});

test('[R-E11] refuseWhile that throws refuses, and publish goes on', async () => {
  const bus = createBus<number>({ name: 'b', retryAfterMs: 77 });
  const refuseWhile = () => {
    throw new Error('on purpose');
  };
  bus.subscribe(() => undefined, { name: 's', refuseWhile });
  const error = await bus.deliver(1).catch((thrown: unknown) => thrown);
  assert.is(errorCode(error), 'ESPER_PIPELINE_REFUSED');
  assert.is((error as { retryAfterMs?: number }).retryAfterMs, 77);
  await bus.publish(2);
  await bus.close();
});

test('[R-E6] isRetryable that throws hides no failure: it is retried and told', async () => {
  const source = intake<number>();
  const errors = new ErrorBus({ logger: SILENT });
  const told: string[] = [];
  errors.listen({ name: 'keeps', handle: ({ message }) => void told.push(message) });
  const emit = () => {
    throw new Error('the disk is full');
  };
  const isRetryable = () => {
    throw new Error('no idea');
  };
  const emitters = [{ emitter: { name: 'e', emit }, isRetryable, retries: 1, retryBaseMs: 1 }];
  const made = engine({ ...QUIET, errors, adapters: [source.adapter], emitters });
  await made.start();
  const error = await source.context.deliver(1).catch((thrown: unknown) => thrown);
  assert.match(String(error), /the disk is full/);
  assert.is(made.stats().emitters[0]?.failedCalls, 2);
  await made.stop();
  await errors.close();
  assert.ok(told.some((message) => message.includes('isRetryable threw: no idea')));
});

test('[R-E7] never delivered while it waits, also where the handler that hands it on does not wait', async () => {
  const first = createBus<number>({ name: 'first' });
  const second = createBus<number>({ name: 'second', bufferSize: 1 });
  const busy = gate<number>();
  const subscription = second.subscribe(busy.handler, { name: 's' });
  first.subscribe(
    (event, { acknowledgement }) => {
      second.publish(event, { acknowledgement }).catch(() => undefined);
    },
    { name: 'forgets' },
  );
  void second.publish(0);
  void second.publish(0);
  let answer = '';
  const answered = first.deliver(7).then(
    () => (answer = '200'),
    (error) => (answer = String(errorCode(error))),
  );
  await turn();
  assert.equal([answer, subscription.stats().waiting], ['', 1]);
  busy.release();
  await until('the second', () => busy.begun.length === 2);
  busy.release();
  await until('the event', () => busy.begun.includes(7));
  assert.is(answer, '');
  busy.fail();
  await answered;
  assert.is(answer, 'ESPER_PIPELINE_NOT_DELIVERED');
});

test('[R-E7] called off: everything that was made of the event is let go of', async () => {
  const first = createBus<number>({ name: 'first' });
  const second = createBus<number>({ name: 'second' });
  const busy = gate<number>();
  const subscription = second.subscribe(busy.handler, { name: 's' });
  first.subscribe(
    (event, { acknowledgement }) =>
      Promise.all([1, 2, 3].map((part) => second.publish(event + part, { acknowledgement }))),
    { name: 'splits' },
  );
  await second.publish(0);
  const abort = new AbortController();
  const code = codeOf(() => first.deliver(10, { signal: abort.signal }));
  await turn();
  abort.abort();
  assert.equal(where(subscription), { received: 4, delivered: 0, dropped: 3, queued: 1 });
  assert.is(await code, 'ESPER_PIPELINE_REFUSED');
  busy.release();
  await second.close();
  assert.equal(busy.begun, [0]);
});

test('[R-E11] sizes that are fractions add up to nothing when nothing is there', async () => {
  const bus = createBus<number>({ name: 'b', maxBytes: 10, sizeOf: (event) => event });
  const busy = gate<number>();
  const subscription = bus.subscribe(busy.handler, { name: 's', concurrency: 3 });
  for (const size of [0.3, 0.1, 0.2]) await bus.publish(size);
  for (let i = 0; i < 3; i++) busy.release();
  await until('the end', () => subscription.stats().queued === 0);
  assert.is(subscription.stats().bytes, 0);
});

test('[R-E11] the end of a bus is that of a subscription that was closed before, too', async () => {
  const bus = createBus<number>({ name: 'b' });
  const subscription = bus.subscribe(() => new Promise(() => undefined), { name: 's', handlerTimeoutMs: 0 });
  await bus.publish(1);
  await bus.publish(2);
  const ended = subscription.close();
  await bus.close(AbortSignal.abort());
  assert.equal(where(subscription), { received: 2, delivered: 0, dropped: 2, queued: 0 });
  await ended;
});

test('[R-E10] what an engine does is in gauges of a fixed set', async () => {
  const metrics = new Metrics();
  const source = intake<number>();
  const emit = (event: number): void => {
    if (event === 2) throw new Error('no twos');
  };
  const made = engine({
    ...QUIET,
    logger: SILENT,
    adapters: [source.adapter],
    emitters: [{ name: 'e', emit }],
  });
  setEngineGauges(metrics, made.stats());
  const names = Object.keys(metrics.snapshot().gauges);
  assert.ok(
    names.every((name) => /^pipeline\.[a-z_]+(\.[a-z_]+)*$/.test(name)),
    names.join(),
  );
  await made.start();
  for (const event of [1, 2, 3]) await source.context.publish(event);
  await until('the end', () => made.stats().external.subscriptions[0]?.queued === 0);
  setEngineGauges(metrics, made.stats());
  assert.equal(
    [
      'internal.received',
      'external.delivered',
      'external.dropped_for.failed',
      'emitters.failed_calls',
      'emitters.down',
    ].map((name) => metrics.value(`pipeline.${name}`)),
    [3, 2, 1, 1, 0],
  );
  assert.equal(Object.keys(metrics.snapshot().gauges), names);
  await made.stop();
});

test('[R-E5] a subscriber that publishes from its handler, and ends its own subscription there', async () => {
  const errors = keepErrors();
  const bus = createBus<number>({ name: 'b', errors });
  const got: number[] = [];
  const subscription = bus.subscribe(
    (event) => {
      got.push(event);
      if (event < 5) void bus.publish(event + 1);
      else void subscription.close();
    },
    { name: 's' },
  );
  await bus.publish(0);
  await subscription.close();
  assert.equal(got, [0, 1, 2, 3, 4, 5]);
  assert.equal(where(subscription), { received: 6, delivered: 6, dropped: 0, queued: 0 });
  assert.equal(errors.codes(), []);
});

test.run();
