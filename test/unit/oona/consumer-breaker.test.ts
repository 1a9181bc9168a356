import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { CircuitBreakerState } from '../../../src/leyline/index.ts';
import { consumeBreakerOf, oldestPendingOf } from '../../../src/oona/consumer/watched.ts';
import { TransportError } from '../../../src/oona/errors.ts';
import { createMemoryTransport } from '../../../src/oona/transport/memory.ts';
import type { BusTransport, TransportReader } from '../../../src/oona/transport/transport.ts';
import { accountsAreEven, openConsumerBench } from '../../conformance/consumer-bench.ts';
import { until } from '../../helpers/until.ts';

const test = suite('breaker of a consumer');

/** The memory engine behind a line that a test can cut for reading. */
function cuttable(): { readonly transport: BusTransport; isCut: boolean } {
  const memory = createMemoryTransport();
  const line: { transport: BusTransport; isCut: boolean } = { transport: memory, isCut: false };
  const openReader = (): TransportReader => {
    const reader = memory.openReader();
    return {
      read: async (request, signal) => {
        if (line.isCut) throw new TransportError('ESPER_OONA_DISCONNECTED', 'cut');
        return reader.read(request, signal);
      },
      close: () => reader.close(),
    };
  };
  line.transport = new Proxy(memory, {
    get: (target, key) => {
      if (key === 'openReader') return openReader;
      const found: unknown = Reflect.get(target, key);
      return typeof found === 'function' ? found.bind(target) : found;
    },
  });
  return line;
}

test('[R-O4] opens when reading fails for long, tries again, closes with the first read, and loses nothing', async () => {
  const keepAlive = setInterval(() => undefined, 60_000);
  const line = cuttable();
  const { publish, worker, close } = openConsumerBench(line.transport);
  const { consumer, metrics, log } = worker();
  assert.is(consumer.breakerState, 'closed');
  line.isCut = true;
  await publish();
  await consumer.start();
  await until('open', () => consumer.breakerState === 'open');
  assert.equal(consumeBreakerOf([consumer]), { consume: CircuitBreakerState.CIRCUIT_STATE_OPEN });
  assert.is(metrics.value('oona.consume.breaker_opened_total'), 1);
  assert.is(consumer.stats().state, 'backing-off');
  assert.ok(consumer.stats().readErrors >= 5);
  assert.ok(log.some(({ message }) => message === 'oona consume: breaker open'));
  line.isCut = false;
  await until('handled', () => consumer.stats().handled === 1);
  assert.is(consumer.breakerState, 'closed');
  assert.equal(consumeBreakerOf([consumer]), { consume: CircuitBreakerState.CIRCUIT_STATE_CLOSED });
  assert.ok(accountsAreEven(consumer));
  await close();
  clearInterval(keepAlive);
});

test('[R-O4] handlers that fail do not open it', async () => {
  const keepAlive = setInterval(() => undefined, 60_000);
  const { publish, worker, close } = openConsumerBench(createMemoryTransport());
  const { consumer, metrics } = worker({
    options: { maxDeliveries: 2, retryBaseMs: 100, retryCapMs: 300 },
    parts: { random: () => 0.999 },
    handler: () => {
      throw new Error('always');
    },
  });
  await consumer.start();
  for (let i = 0; i < 10; i++) {
    await publish();
    await until('given up', () => consumer.stats().deadLettered === i + 1);
  }
  assert.is(consumer.stats().handlerFailures, 20);
  assert.is(consumer.breakerState, 'closed');
  assert.is(metrics.value('oona.consume.breaker_opened_total'), 0);
  await close();
  clearInterval(keepAlive);
});

test('[R-O4] health hears of the worst of several consumers, and of nothing without one', async () => {
  assert.equal(consumeBreakerOf([]), {});
  assert.is(oldestPendingOf([]), undefined);
  const { worker, close } = openConsumerBench(createMemoryTransport());
  const { consumer } = worker();
  const as = (breakerState: 'half-open' | 'closed', ms: number): typeof consumer => ({
    ...consumer,
    breakerState,
    oldestPendingMs: () => ms,
  });
  assert.is(oldestPendingOf([as('closed', 0)]), 0);
  assert.is(oldestPendingOf([as('closed', 3), as('closed', 70), as('closed', 5)]), 70);
  const { CIRCUIT_STATE_HALF_OPEN: consume } = CircuitBreakerState;
  assert.equal(consumeBreakerOf([as('closed', 0), as('half-open', 0)]), { consume });
  await close();
});

test.run();
