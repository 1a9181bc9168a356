import { setImmediate as turn } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { errorCode } from '../../../src/core/errors.ts';
import { silentLogger } from '../../../src/core/logger.ts';
import { ErrorSeverity } from '../../../src/leyline/index.ts';
import { AdapterPart } from '../../../src/pipeline/adapter.ts';
import {
  type Adapter,
  type AdapterContext,
  type AdapterOptions,
  createBus,
} from '../../../src/pipeline/index.ts';
import { createManualClock } from '../../helpers/manual-clock.ts';
import { codeOf, gate, keepErrors } from '../../helpers/pipeline.ts';

const test = suite('adapters');

function rig(
  adapter: Adapter<number>,
  options: AdapterOptions = {},
  handler: () => unknown = () => undefined,
) {
  const clock = createManualClock();
  const errors = keepErrors();
  const bus = createBus<number>({ name: 'internal', clock, errors });
  const subscription = bus.subscribe(handler, { name: 's' });
  // Full jitter of 1: each wait is its upper bound.
  const context = { clock, random: () => 1, errors, logger: silentLogger };
  const part = new AdapterPart(adapter, options, bus, context);
  const pass = async (ms: number): Promise<void> => {
    for (let passed = 0; passed < ms; passed += 50) {
      clock.advance(50);
      await turn();
    }
  };
  return { clock, errors, bus, subscription, part, pass };
}

test('[R-E6] one that fails at its start is reported, stopped and started again after the back-off', async () => {
  const calls: string[] = [];
  let fails = 2;
  const { part, pass, errors } = rig({
    name: 'http',
    start: async () => {
      calls.push('start');
      if (fails-- > 0) throw new Error('address in use');
    },
    stop: () => void calls.push('stop'),
  });
  const failure = await part.start();
  assert.match(String(failure?.error), /address in use/);
  assert.is(part.state, 'waiting');
  await pass(400);
  assert.equal(calls, ['start', 'stop', 'start', 'stop', 'start']);
  assert.is(part.state, 'running');
  const [report] = errors.of('ADAPTER_FAILED');
  assert.equal([report?.component, report?.recoverable], ['adapter:http', true]);
  assert.is(errors.reports.length, 2);
  await part.stop(new AbortController().signal);
  assert.is(part.state, 'stopped');
  assert.is(calls.length, 6, 'stopped once more');
});

test('[R-E6] one that always fails opens its breaker, and is tried less and less often', async () => {
  let starts = 0;
  const { part, pass, errors } = rig(
    {
      name: 'http',
      start: () => {
        starts += 1;
        throw new Error('no');
      },
    },
    { restartBaseMs: 50, restartCapMs: 50, breaker: { consecutiveFailures: 5, openBaseMs: 10_000 } },
  );
  await part.start();
  await pass(1000);
  assert.is(starts, 5);
  const [open] = errors.of('ADAPTER_CIRCUIT_OPEN');
  assert.equal(
    [open?.component, open?.severity, open?.context?.open_ms],
    ['adapter:http', ErrorSeverity.ERROR_SEVERITY_CRITICAL, 10_000],
  );
  await pass(9900);
  assert.is(starts, 6, 'one call to see whether it still fails');
  assert.is(errors.of('ADAPTER_CIRCUIT_OPEN').length, 2);
  await part.stop(new AbortController().signal);
  await pass(30_000);
  assert.is(starts, 6, 'stopped');
});

test('[R-E6] too many failures within the window: given up, and not recoverable', async () => {
  let starts = 0;
  const { part, pass, errors } = rig(
    {
      name: 'http',
      start: () => {
        starts += 1;
        throw new Error('no');
      },
    },
    { restartBaseMs: 50, restartCapMs: 50, maxRestarts: 3, breaker: { consecutiveFailures: 100 } },
  );
  await part.start();
  await pass(10_000);
  assert.is(starts, 4);
  assert.is(part.state, 'givenUp');
  const last = errors.reports.at(-1);
  assert.equal([last?.code, last?.recoverable], ['ADAPTER_FAILED', false]);
  await part.stop(new AbortController().signal);
});

test('[R-E6] a start that never settles ends at its time-out, with its signal aborted', async () => {
  const signals: AbortSignal[] = [];
  const { part, pass, errors } = rig(
    {
      name: 'http',
      start: ({ signal }) => {
        signals.push(signal);
        return new Promise(() => undefined);
      },
    },
    { startTimeoutMs: 1000, restartBaseMs: 50, restartCapMs: 50 },
  );
  const first = part.start();
  await pass(900);
  assert.is(part.state, 'starting');
  await pass(300);
  assert.is(errorCode((await first)?.error), 'ESPER_PIPELINE_TIMEOUT');
  assert.ok(signals[0]?.aborted);
  assert.match(errors.reports[0]?.message ?? '', /start took longer than 1000 ms/);
  await part.stop(new AbortController().signal);
});

test('[R-E6] one that breaks down while it runs is stopped and started again; a healthy run forgets its failures', async () => {
  const contexts: AdapterContext<number>[] = [];
  const { part, pass, errors } = rig(
    { name: 'http', start: (context) => void contexts.push(context) },
    { restartBaseMs: 100, restartCapMs: 100_000, healthyAfterMs: 1000, breaker: { consecutiveFailures: 3 } },
  );
  await part.start();
  for (let i = 0; i < 6; i++) {
    await pass(1100);
    contexts.at(-1)?.fail(new Error(`broke ${i}`));
    await pass(150);
    assert.is(contexts.length, i + 2, 'after the first back-off again');
  }
  assert.is(errors.of('ADAPTER_FAILED').length, 6);
  assert.is(errors.of('ADAPTER_CIRCUIT_OPEN').length, 0, 'each run was healthy');
  assert.ok(contexts[0]?.signal.aborted);
  assert.not(contexts.at(-1)?.signal.aborted);
  await part.stop(new AbortController().signal);
});

test('[R-E6] what it emits after its stop is refused and counted, of an earlier run too', async () => {
  const contexts: AdapterContext<number>[] = [];
  const { part, pass, subscription } = rig(
    { name: 'http', start: (context) => void contexts.push(context) },
    { restartBaseMs: 50, restartCapMs: 50 },
  );
  await part.start();
  await contexts[0]?.publish(1);
  contexts[0]?.fail(new Error('broke'));
  await pass(200);
  assert.is(await codeOf(() => contexts[0]?.publish(2)), 'ESPER_PIPELINE_CLOSED');
  await contexts[1]?.deliver(3);
  await part.stop(new AbortController().signal);
  assert.is(await codeOf(() => contexts[1]?.publish(4)), 'ESPER_PIPELINE_CLOSED');
  assert.is(await codeOf(() => contexts[1]?.deliver(5)), 'ESPER_PIPELINE_CLOSED');
  const { accepted, refused, afterStop } = part.stats();
  assert.equal({ accepted, refused, afterStop }, { accepted: 2, refused: 3, afterStop: 3 });
  assert.is(subscription.stats().received, 2);
});

test('[R-E6] what it had begun it may still hand in while it stops', async () => {
  let context: AdapterContext<number> | undefined;
  const { part, subscription } = rig({
    name: 'http',
    start: (given) => {
      context = given;
    },
    stop: async () => {
      await turn();
      await context?.deliver(7);
    },
  });
  await part.start();
  await part.stop(new AbortController().signal);
  assert.is(subscription.stats().delivered, 1);
});

test('[R-E6][R-E7] a rate: publish waits for its turn, deliver is refused; a limit is lifted exactly', async () => {
  let context: AdapterContext<number> | undefined;
  const adapter: Adapter<number> = {
    name: 'http',
    start: (given) => {
      context = given;
    },
  };
  const { part, pass, subscription } = rig(adapter, { rate: { ratePerSecond: 10, burst: 2 } });
  await part.start();
  const publish = () => context?.publish(1);
  void publish();
  void publish();
  void publish();
  await turn();
  assert.is(subscription.stats().received, 2);
  assert.is(await codeOf(() => context?.deliver(2)), 'ESPER_PIPELINE_REFUSED');
  await pass(150);
  assert.is(subscription.stats().received, 3);
  await pass(1000);
  const own = part.stats().rate;
  assert.equal(own, { ratePerSecond: 10, burst: 2 });
  const lift = part.limit({ ratePerSecond: 0, burst: 1 });
  assert.equal(part.stats().rate, { ratePerSecond: 0, burst: 1 });
  void publish();
  void publish();
  await pass(5000);
  assert.is(subscription.stats().received, 4);
  lift();
  lift();
  assert.equal(part.stats().rate, own, 'exactly what it was');
  await pass(100);
  assert.is(subscription.stats().received, 5);
  await part.stop(new AbortController().signal);

  const exempt = rig(adapter, { exempt: true });
  await exempt.part.start();
  exempt.part.limit({ ratePerSecond: 0, burst: 1 });
  assert.is(exempt.part.stats().rate, undefined);
  for (let i = 0; i < 5; i++) await context?.deliver(i);
  assert.is(exempt.subscription.stats().delivered, 5, 'health is told under pressure too');
  await exempt.part.stop(new AbortController().signal);
});

test('[R-E6] a stop that throws or hangs is an error of the stop, and ends in time', async () => {
  const throwing = rig({
    name: 'http',
    start: () => undefined,
    stop: () => {
      throw new Error('no');
    },
  });
  await throwing.part.start();
  assert.match(String(await throwing.part.stop(new AbortController().signal).catch((error) => error)), /no/);
  const { handler } = gate<void>();
  const hanging = rig({
    name: 'http',
    start: () => undefined,
    stop: (signal) => handler(undefined, signal),
  });
  await hanging.part.start();
  const stopped = codeOf(() => hanging.part.stop(new AbortController().signal));
  await hanging.pass(5100);
  assert.is(await stopped, 'ESPER_PIPELINE_TIMEOUT');
  assert.is(hanging.part.state, 'stopped');
});

test('[R-E9] what is no adapter is refused', async () => {
  for (const adapter of [undefined, {}, { name: 'a b', start: () => undefined }, { name: 'a' }]) {
    assert.is(await codeOf(() => rig(adapter as never)), 'ESPER_OPTION_INVALID');
  }
  const adapter = { name: 'a', start: () => undefined };
  for (const options of [
    { startTimeoutMs: 0 },
    { breaker: { foo: 1 } },
    { rate: { ratePerSecond: -1, burst: 1 } },
  ]) {
    assert.is(await codeOf(() => rig(adapter, options as never)), 'ESPER_OPTION_INVALID');
  }
});

test.run();
