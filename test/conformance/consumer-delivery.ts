import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { Test } from 'uvu';
import * as assert from 'uvu/assert';
import { errorCode } from '../../src/core/errors.ts';
import { BusMessageType, sealMessage } from '../../src/leyline/index.ts';
import { keyRing } from '../helpers/oona-fixtures.ts';
import { until } from '../helpers/until.ts';
import { accountsAreEven, type ConsumerBench, calls, FIELD_REPORT, reportIdOf } from './consumer-bench.ts';
import { never } from './transport-bench.ts';

const KERNEL_REQUEST = BusMessageType.BUS_MESSAGE_TYPE_KERNEL_PREFETCH_REQUEST;

export function consumerDeliveryTests(test: Test, bench: () => ConsumerBench): void {
  test('[R-O2] what was published before the group existed is delivered, in order, with all that came with it', async () => {
    const { publish, worker, pending } = bench();
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    const ids = [await publish('first', { traceparent }), await publish('second')];
    const { consumer, deliveries, metrics } = worker();
    await consumer.start();
    await until('both', () => consumer.stats().acknowledged === 2);
    const [first, second] = deliveries;
    assert.equal(deliveries.map(reportIdOf), ['first', 'second']);
    assert.equal([first?.entryId, second?.entryId], ids);
    assert.is(first?.type, FIELD_REPORT);
    assert.is(first?.eventId, 'first');
    assert.is(first?.deliveryCount, 1);
    assert.is(first?.keyId, keyRing.currentKeyId);
    assert.is(first?.attributes.source, 'test');
    assert.is(first?.traceparent, traceparent);
    assert.is(second?.traceparent, undefined);
    assert.ok(Math.abs(Date.now() - (first?.issuedAtMs ?? 0)) < 60_000);
    assert.not(first?.signal.aborted);
    assert.is(await pending(), 0);
    assert.is(metrics.value('oona.consume.normal.handled_total'), 2);
    assert.ok(accountsAreEven(consumer));
  });

  test('[R-O2] a read that waits is given what comes, and consumers of one group divide it', async () => {
    const { publish, worker } = bench();
    const slowly = { handler: () => delay(2), options: { maxInFlight: 2, batchSize: 2 } };
    const workers = [worker(slowly), worker(slowly)];
    await Promise.all(workers.map(({ consumer }) => consumer.start()));
    const sent = Array.from({ length: 60 }, () => randomUUID());
    for (const id of sent) await publish(id);
    await until('all', () => workers.reduce((sum, { deliveries }) => sum + deliveries.length, 0) === 60);
    const got = workers.flatMap(({ deliveries }) => deliveries.map(reportIdOf));
    assert.equal([...got].sort(), [...sent].sort());
    assert.ok(workers.every(({ deliveries }) => deliveries.length > 0));
  });

  test('[R-O2] each group gets everything', async () => {
    const { publish, worker } = bench();
    const one = worker({ options: { group: 'one' } });
    const two = worker({ options: { group: 'two' } });
    await publish();
    await Promise.all([one.consumer.start(), two.consumer.start()]);
    await until('both', () => one.deliveries.length === 1 && two.deliveries.length === 1);
  });

  test('[R-O2] own pending entries come first after a restart under the same name', async () => {
    const { publish, worker, transport, stream } = bench();
    const ids = [await publish('a'), await publish('b')];
    await transport.ensureGroup(stream, 'g', '0', calls);
    const reader = transport.openReader();
    const request = { stream, group: 'g', consumer: 'me', afterId: '0', count: 10, blockMs: 0 };
    assert.equal(
      (await reader.read({ ...request, which: 'new' }, never)).map(({ entryId }) => entryId),
      ids,
    );
    await reader.close();
    await publish('c');
    const { consumer, deliveries } = worker({ options: { consumer: 'me' } });
    await consumer.start();
    await until('all', () => consumer.stats().acknowledged === 3);
    assert.equal(deliveries.map(reportIdOf), ['a', 'b', 'c']);
    assert.equal(
      deliveries.map(({ deliveryCount }) => deliveryCount),
      [2, 2, 1],
    );
  });

  test('[R-O2] a group that is removed heals at 0, and what was handled comes as redelivered', async () => {
    const { publish, worker, transport, stream, pending } = bench();
    const { consumer, deliveries } = worker();
    await consumer.start();
    await publish('a');
    await until('the first', () => consumer.stats().acknowledged === 1);
    await transport.removeGroup(stream, 'g', calls);
    await publish('b');
    await until('the second', () => deliveries.length === 2);
    await until('the repetition', () => consumer.stats().redelivered === 1);
    assert.ok(consumer.stats().readErrors >= 1);
    assert.is(consumer.stats().lastErrorCode, 'ESPER_OONA_NO_GROUP');
    await until('everything acknowledged', async () => (await pending()) === 0);
    assert.ok(accountsAreEven(consumer));
  });

  test('[R-O2] at most maxInFlight handlers at once; reading goes on while they run', async () => {
    const { publish, worker } = bench();
    let running = 0;
    let most = 0;
    const { consumer, deliveries } = worker({
      options: { maxInFlight: 5, batchSize: 2 },
      handler: async () => {
        running += 1;
        most = Math.max(most, running);
        await delay(3);
        running -= 1;
      },
    });
    for (let i = 0; i < 40; i++) await publish();
    await consumer.start();
    await until('all', () => consumer.stats().acknowledged === 40);
    assert.is(most, 5);
    assert.is(deliveries.length, 40);
  });

  test('[R-O2] one handler that hangs holds back nobody else', async () => {
    const { publish, worker } = bench();
    const { consumer } = worker({
      options: { maxInFlight: 2 },
      handler: ({ eventId }) => (eventId === 'hangs' ? new Promise<void>(() => undefined) : undefined),
    });
    await publish('hangs');
    for (let i = 0; i < 10; i++) await publish();
    await consumer.start();
    await until('the others', () => consumer.stats().acknowledged === 10);
    assert.is(consumer.stats().inFlight, 1);
    assert.is(consumer.stats().pending, 1);
  });

  test('[R-O2] tells for how long it has had the entry that it has had longest', async () => {
    const { publish, worker } = bench();
    let finish = (): void => undefined;
    const { consumer } = worker({
      handler: ({ eventId }) =>
        eventId === 'first' ? new Promise<void>((resolve) => (finish = resolve)) : undefined,
    });
    assert.is(consumer.oldestPendingMs(), 0);
    await publish('first');
    await consumer.start();
    await until('it is in its handler', () => consumer.stats().inFlight === 1);
    await delay(60);
    await publish('second');
    await until('the second', () => consumer.stats().handled === 1);
    assert.ok(consumer.oldestPendingMs() >= 50, `${consumer.oldestPendingMs()} ms`);
    assert.is(consumer.breakerState, 'closed');
    finish();
    await until('the first', () => consumer.stats().handled === 2);
    assert.is(consumer.oldestPendingMs(), 0);
  });

  test('[R-O2] pause holds back new entries, resume lets them through', async () => {
    const { publish, worker } = bench();
    const { consumer, deliveries } = worker({ options: { leaseMs: 200 } });
    await consumer.start();
    await publish();
    await until('the first', () => deliveries.length === 1);
    consumer.pause();
    assert.is(consumer.stats().state, 'paused');
    for (let i = 0; i < 5; i++) await publish();
    await delay(400);
    assert.is(deliveries.length, 1);
    consumer.resume();
    await until('the rest', () => consumer.stats().acknowledged === 6);
    assert.ok(accountsAreEven(consumer));
  });

  test('[R-O2] conservative mode pauses the normal stream unless told otherwise', async () => {
    const { publish, worker } = bench();
    let isConservative = true;
    const listeners = new Set<() => void>();
    const conservative = {
      isConservative: () => isConservative,
      subscribe: (listener: () => void) => {
        listeners.add(listener);
        return () => void listeners.delete(listener);
      },
    };
    const held = worker({ parts: { conservative }, options: { group: 'held' } });
    const free = worker({
      parts: { conservative },
      options: { group: 'free', pauseInConservativeMode: false },
    });
    await Promise.all([held.consumer.start(), free.consumer.start()]);
    await publish();
    await until('the free one', () => free.consumer.stats().acknowledged === 1);
    assert.is(held.deliveries.length, 0);
    assert.is(held.consumer.stats().state, 'paused');
    isConservative = false;
    for (const listener of listeners) listener();
    await until('the other', () => held.consumer.stats().acknowledged === 1);
    await held.consumer.stop();
    assert.is(listeners.size, 0);
  });

  test('[R-O2] types that were not asked for are acknowledged and counted as skipped', async () => {
    const { publish, append, worker, stream } = bench();
    const message = { requestId: 'r', blueprintId: 'b' };
    await append(sealMessage({ messageType: KERNEL_REQUEST, message, attributes: { stream } }, keyRing));
    await publish();
    const { consumer, deliveries } = worker({ options: { types: [FIELD_REPORT] } });
    await consumer.start();
    await until('both', () => consumer.stats().acknowledged === 2);
    assert.is(consumer.stats().skipped, 1);
    assert.is(consumer.stats().handled, 1);
    assert.is(deliveries.length, 1);
  });

  test('[R-O2] stop waits for handlers, acknowledges them, leaves the rest pending and leaves the group', async () => {
    const { publish, worker, pending, transport, stream } = bench();
    const first = worker({ options: { maxInFlight: 1 }, handler: () => delay(50) });
    for (let i = 0; i < 3; i++) await publish();
    await first.consumer.start();
    await until('a handler', () => first.consumer.stats().inFlight === 1);
    await Promise.all([first.consumer.stop(), first.consumer.stop()]);
    const { acknowledged, pending: left, read, state } = first.consumer.stats();
    assert.is(state, 'stopped');
    assert.ok(acknowledged >= 1);
    assert.is(await pending(), left);
    assert.is(read, acknowledged + left);
    assert.is(await first.consumer.start().catch(errorCode), 'ESPER_OONA_CLOSED');
    const second = worker({ options: { leaseMs: 100 } });
    await second.consumer.start();
    await until('everything', async () => second.deliveries.length === 3 - acknowledged);
    await until('everything acknowledged', async () => (await pending()) === 0);
    await second.consumer.stop();
    const names = (await transport.consumers(stream, 'g', calls)).map(({ consumer }) => consumer);
    assert.not(names.includes(second.consumer.consumer));
  });

  test('[R-O2] a handler that outlasts drainMs is told by its signal, and its entry stays pending', async () => {
    const { publish, worker, pending } = bench();
    let aborted = false;
    const { consumer } = worker({
      options: { drainMs: 20 },
      handler: ({ signal }) =>
        new Promise<void>((resolve) => {
          signal.addEventListener('abort', () => {
            aborted = true;
            resolve();
          });
        }),
    });
    await publish();
    await consumer.start();
    await until('the handler', () => consumer.stats().inFlight === 1);
    await consumer.stop();
    assert.ok(aborted);
    assert.is(await pending(), 1);
    assert.is(consumer.stats().pending, 1);
    assert.is(consumer.stats().acknowledged, 0);
  });

  test('[R-O2] a transport closed under the consumer ends it', async () => {
    const { worker, transport } = bench();
    const { consumer } = worker();
    await consumer.start();
    await transport.close();
    await until('the end', () => consumer.stats().state === 'stopped');
    await consumer.stop();
  });
}
