import { setTimeout as delay } from 'node:timers/promises';
import type { Test } from 'uvu';
import * as assert from 'uvu/assert';
import type { BusTransport } from '../../src/oona/transport/transport.ts';
import { until } from '../helpers/until.ts';
import { accountsAreEven, type ConsumerBench, calls, reportIdOf } from './consumer-bench.ts';
import { never } from './transport-bench.ts';

/** Reads as a consumer that is never heard of again. */
async function abandoned({ transport, stream }: ConsumerBench, count: number): Promise<void> {
  await transport.ensureGroup(stream, 'g', '0', calls);
  const reader = transport.openReader();
  const request = { stream, group: 'g', consumer: 'dead', afterId: '0', count, blockMs: 0 };
  const entries = await reader.read({ ...request, which: 'new' }, never);
  assert.is(entries.length, count);
  await reader.close();
}

export function takeoverTests(test: Test, bench: () => ConsumerBench): void {
  test('[R-O2] entries of a dead consumer are claimed and go the way of new ones', async () => {
    const made = bench();
    const { publish, worker, letters, pending } = made;
    for (let i = 0; i < 40; i++) await publish(`e-${i}`);
    await abandoned(made, 40);
    const { consumer, deliveries } = worker({
      options: { leaseMs: 100, maxDeliveries: 2 },
      handler: ({ eventId }) => {
        if (eventId === 'e-7') throw new Error('always');
      },
    });
    await consumer.start();
    await until('all', () => consumer.stats().read === 40 && consumer.stats().pending === 0);
    assert.is(new Set(deliveries.map(reportIdOf)).size, 40);
    assert.ok(deliveries.every(({ deliveryCount }) => deliveryCount === 2));
    assert.is(consumer.stats().acknowledged, 39);
    assert.is((await letters()).length, 1);
    assert.is(await pending(), 0);
    assert.ok(accountsAreEven(consumer));
  });

  test('[R-O2] a long handler and a wait for a retry keep their leases', async () => {
    const { publish, worker, transport } = bench();
    const extended = new Map<string, number>();
    const counting = new Proxy(transport, {
      get: (target, key) => {
        const found: unknown = Reflect.get(target, key);
        if (key !== 'extendLease') return typeof found === 'function' ? found.bind(target) : found;
        return async (...[request, options]: Parameters<BusTransport['extendLease']>) => {
          const owned = await target.extendLease(request, options);
          for (const id of owned) extended.set(id, (extended.get(id) ?? 0) + 1);
          return owned;
        };
      },
    });
    let finish = (): void => undefined;
    const { consumer, deliveries } = worker({
      options: { leaseMs: 200, claimIntervalMs: 60_000, retryBaseMs: 60_000, retryCapMs: 60_000 },
      parts: { transport: counting, random: () => 0.999 },
      handler: ({ eventId }) => {
        if (eventId === 'later') throw new Error('not yet');
        return new Promise((resolve) => {
          finish = resolve;
        });
      },
    });
    const ids = [await publish('slow'), await publish('later')];
    await consumer.start();
    // Six to a lease: beyond the first of them.
    await until('extensions', () => ids.every((id) => (extended.get(id) ?? 0) > 7));
    assert.equal([consumer.stats().inFlight, consumer.stats().retrying], [1, 1]);
    finish();
    await until('the end', () => consumer.stats().acknowledged === 1);
    assert.is(consumer.stats().takenOver, 0);
    assert.is(deliveries.length, 2);
  });

  test('[R-O2] an entry that was taken over is aborted, counted once, and its late answer changes nothing', async () => {
    const { publish, worker, transport, stream, pending } = bench();
    let aborted = false;
    let finish = (): void => undefined;
    const { consumer } = worker({
      options: { leaseMs: 400, claimIntervalMs: 60_000 },
      handler: ({ signal }) =>
        new Promise<void>((resolve) => {
          finish = resolve;
          signal.addEventListener('abort', () => {
            aborted = true;
          });
        }),
    });
    await publish();
    await consumer.start();
    await until('the handler', () => consumer.stats().inFlight === 1);
    const request = { stream, group: 'g', consumer: 'thief', minIdleMs: 0, cursor: '0-0', count: 10 };
    assert.is((await transport.claim(request, calls)).entries.length, 1);
    await until('it is told', () => aborted);
    assert.is(consumer.stats().takenOver, 1);
    finish();
    await delay(50);
    assert.is(consumer.stats().acknowledged, 0);
    assert.is(await pending(), 1);
    assert.ok(accountsAreEven(consumer));
  });

  test('[R-O2] what was trimmed away while it was pending is counted as lost and leaves the pending list', async () => {
    const made = bench();
    const { publish, worker, transport, stream, pending } = made;
    const ids = [await publish('a'), await publish('b'), await publish('c')];
    await abandoned(made, 3);
    await transport.remove(stream, ids.slice(0, 2), calls);
    const { consumer, deliveries, log } = worker({ options: { leaseMs: 100 } });
    await consumer.start();
    await until('all', () => consumer.stats().lost === 2 && consumer.stats().acknowledged === 1);
    assert.equal(deliveries.map(reportIdOf), ['c']);
    assert.ok(log.some(({ code }) => code === 'ESPER_OONA_LOST'));
    assert.is(await pending(), 0);
    assert.ok(accountsAreEven(consumer));
  });

  test('[R-O2] what was trimmed away while it waited for a retry, or was its own pending, is lost too', async () => {
    const { publish, worker, transport, stream, pending } = bench();
    const entryId = await publish('a');
    const first = worker({
      options: { consumer: 'me', retryBaseMs: 300, retryCapMs: 300 },
      parts: { random: () => 0.999 },
      handler: () => {
        throw new Error('not yet');
      },
    });
    await first.consumer.start();
    await until('the retry', () => first.consumer.stats().retrying === 1);
    await transport.remove(stream, [entryId], calls);
    await until('the loss', () => first.consumer.stats().lost === 1);
    assert.is(await pending(), 0);
    assert.ok(accountsAreEven(first.consumer));
    await first.consumer.stop();

    const second = await publish('b');
    const reader = transport.openReader();
    const request = { stream, group: 'g', consumer: 'me', afterId: '0', count: 1, blockMs: 0 };
    await reader.read({ ...request, which: 'new' }, never);
    await reader.close();
    await transport.remove(stream, [second], calls);
    const again = worker({ options: { consumer: 'me' } });
    await again.consumer.start();
    await until('the second loss', () => again.consumer.stats().lost === 1);
    await until('nothing pending', async () => (await pending()) === 0);
    assert.ok(accountsAreEven(again.consumer));
  });

  test('[R-O2] a name that two live consumers have is told; a restart under the same name is not', async () => {
    const { worker } = bench();
    const options = { consumer: 'same', leaseMs: 100 };
    const first = worker({ options });
    await first.consumer.start();
    await delay(250);
    await first.consumer.stop();
    const second = worker({ options });
    await second.consumer.start();
    await delay(400);
    const taken = 'ESPER_OONA_CONSUMER_NAME_TAKEN';
    assert.not(second.log.some(({ code }) => code === taken));
    const third = worker({ options });
    await third.consumer.start();
    await until('both say so', () =>
      [second, third].every(({ log }) => log.some(({ code }) => code === taken)),
    );
    assert.is(third.consumer.stats().lastErrorCode, taken);
  });

  test('[R-O2] consumers have unique names by default', () => {
    const { worker } = bench();
    const names = [worker(), worker()].map(({ consumer }) => consumer.consumer);
    assert.is(new Set(names).size, 2);
    assert.match(names[0] ?? '', new RegExp(`^host-a:${process.pid}:[0-9a-f]{8}$`));
  });
}
