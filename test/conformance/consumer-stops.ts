import { setTimeout as delay } from 'node:timers/promises';
import type { Test } from 'uvu';
import * as assert from 'uvu/assert';
import { TransportError } from '../../src/oona/errors.ts';
import type { BusTransport, TransportReader } from '../../src/oona/transport/transport.ts';
import { until } from '../helpers/until.ts';
import { accountsAreEven, type ConsumerBench, calls, reportIdOf } from './consumer-bench.ts';

/** `transport` with readers that fail while `isCut()`. */
function flapping(transport: BusTransport, isCut: () => boolean): BusTransport {
  const openReader = (): TransportReader => {
    const reader = transport.openReader();
    return {
      read: async (request, signal) => {
        if (isCut()) throw new TransportError('ESPER_OONA_DISCONNECTED', 'cut', { retryable: true });
        return reader.read(request, signal);
      },
      close: () => reader.close(),
    };
  };
  return new Proxy(transport, {
    get: (target, key) => {
      if (key === 'openReader') return openReader;
      const found: unknown = Reflect.get(target, key);
      return typeof found === 'function' ? found.bind(target) : found;
    },
  });
}

/** Of what is pending under this name. */
async function countsOf({ transport, stream }: ConsumerBench, consumer: string): Promise<number[]> {
  const request = { stream, group: 'g', consumer, afterId: '0', count: 1000 };
  return (await transport.ownPending(request, calls)).map(({ deliveryCount }) => deliveryCount);
}

/** What a clean end, a bad line and a group that goes leave behind: no entry uncounted, no delivery used up. */
export function stopTests(test: Test, bench: () => ConsumerBench): void {
  for (const kind of ['sync', 'async'] as const) {
    test(`[R-O2] stop() under load, ${kind} handler: what is pending is counted, and nothing is given up unseen`, async () => {
      const made = bench();
      const { publish, worker, letters, pending } = made;
      await Promise.all(Array.from({ length: 600 }, (_, i) => publish(`e-${i}`)));
      const options = { maxDeliveries: 1, leaseMs: 60_000, claimIntervalMs: 20 };
      let stopping: Promise<void> | undefined;
      let calledTimes = 0;
      const stopNow = (): void => {
        calledTimes += 1;
        if (calledTimes === 200) setImmediate(() => (stopping = first.consumer.stop()));
      };
      const first = worker({
        options,
        handler: kind === 'sync' ? stopNow : () => delay(0).then(stopNow),
      });
      await first.consumer.start();
      await until('the stop', () => stopping !== undefined);
      await stopping;
      const counts = await countsOf(made, first.consumer.consumer);
      assert.is(first.consumer.stats().pending, counts.length);
      assert.ok(counts.every((count) => count === 0));
      assert.ok(accountsAreEven(first.consumer));
      const second = worker({ options });
      await second.consumer.start();
      await until(
        'all',
        () => new Set([...first.deliveries, ...second.deliveries].map(reportIdOf)).size === 600,
      );
      assert.ok(second.deliveries.every(({ deliveryCount }) => deliveryCount === 1));
      await until('nothing pending', async () => (await pending()) === 0);
      assert.equal(await letters(), []);
    });
  }

  test('[R-O2] stop() waits for handlers, not for what waits behind them', async () => {
    const made = bench();
    const { publish, worker } = made;
    let finish = (): void => undefined;
    const { consumer } = worker({
      options: { maxInFlight: 2, batchSize: 2, drainMs: 600_000 },
      handler: () =>
        new Promise((resolve) => {
          finish = resolve;
        }),
    });
    await publish('a');
    await consumer.start();
    await until('the handler', () => consumer.stats().inFlight === 1);
    consumer.pause();
    await publish('b');
    await until('b was read', () => consumer.stats().pending === 2);
    const stopped = consumer.stop();
    await until('b was given back', async () => (await countsOf(made, consumer.consumer)).includes(0));
    finish();
    await stopped;
    assert.equal(
      [consumer.stats().acknowledged, consumer.stats().pending, consumer.stats().inFlight],
      [1, 1, 0],
    );
  });

  test('[R-O2] looks at its own pending entries after read errors use up no deliveries', async () => {
    const made = bench();
    const { publish, worker, transport } = made;
    let isCut = false;
    const { consumer } = worker({
      options: { blockMs: 20 },
      parts: { transport: flapping(transport, () => isCut) },
      handler: ({ signal }) => new Promise((resolve) => signal.addEventListener('abort', () => resolve())),
    });
    await publish('held');
    await consumer.start();
    await until('the handler', () => consumer.stats().inFlight === 1);
    isCut = true;
    await until('errors', () => consumer.stats().readErrors >= 4);
    isCut = false;
    await publish('next');
    await until('reads again', () => consumer.stats().inFlight === 2);
    assert.equal(await countsOf(made, consumer.consumer), [1, 1]);
  });

  test('[R-O2] what a read was handed whose answer was lost comes as its first delivery', async () => {
    const { publish, worker, transport } = bench();
    let losing = false;
    const losesAnswers = new Proxy(transport, {
      get: (target, key) => {
        const found: unknown = Reflect.get(target, key);
        if (key !== 'openReader') return typeof found === 'function' ? found.bind(target) : found;
        return () => {
          const reader = target.openReader();
          const read: TransportReader['read'] = async (request, signal) => {
            const entries = await reader.read(request, signal);
            if (!losing || entries.length === 0) return entries;
            losing = false;
            throw new TransportError('ESPER_OONA_TIMEOUT', 'answer lost', { retryable: true });
          };
          return { read, close: () => reader.close() };
        };
      },
    });
    const { consumer, deliveries } = worker({
      options: { maxDeliveries: 1 },
      parts: { transport: losesAnswers },
    });
    await publish('a');
    await consumer.start();
    await until('a', () => consumer.stats().handled === 1);
    losing = true;
    await publish('b');
    await until('b', () => consumer.stats().handled === 2);
    assert.is(losing, false);
    assert.equal(
      deliveries.map((one) => [reportIdOf(one), one.deliveryCount]),
      [
        ['a', 1],
        ['b', 1],
      ],
    );
    assert.ok(accountsAreEven(consumer));
  });

  test('[R-O2] when the group goes, a handler that runs ends its work, a failure is a letter, a retry is lost', async () => {
    const { publish, worker, transport, stream, letters } = bench();
    const ends = new Map<string, (error?: Error) => void>();
    let aborted = 0;
    const { consumer } = worker({
      options: { leaseMs: 300, retryBaseMs: 60_000, retryCapMs: 60_000 },
      parts: { random: () => 0.999 },
      handler: ({ eventId, signal }) => {
        if (eventId === 'later') throw new Error('not yet');
        signal.addEventListener('abort', () => {
          aborted += 1;
        });
        return new Promise((resolve, reject) => {
          ends.set(eventId, (error) => (error === undefined ? resolve() : reject(error)));
        });
      },
    });
    const ids = [await publish('good'), await publish('bad'), await publish('later')];
    await consumer.start();
    await until('all in hand', () => consumer.stats().inFlight === 2 && consumer.stats().retrying === 1);
    await transport.remove(stream, ids, calls);
    await transport.removeGroup(stream, 'g', calls);
    await until('the retry is lost', () => consumer.stats().lost === 1);
    assert.is(aborted, 0);
    ends.get('good')?.();
    ends.get('bad')?.(new Error('no'));
    await until('both end', () => consumer.stats().pending === 0);
    const { acknowledged, deadLettered, lost, takenOver } = consumer.stats();
    assert.equal([acknowledged, deadLettered, lost, takenOver], [1, 1, 1, 0]);
    assert.equal(
      (await letters()).map(({ origin_id }) => origin_id),
      [ids[1]],
    );
    assert.ok(accountsAreEven(consumer));
  });
}
