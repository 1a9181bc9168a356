import { setTimeout as delay } from 'node:timers/promises';
import type { Test } from 'uvu';
import * as assert from 'uvu/assert';
import { TransportError } from '../../src/oona/errors.ts';
import type { BusTransport } from '../../src/oona/transport/transport.ts';
import type { Consumer, Delivery } from '../../src/oona/work-types.ts';
import { until } from '../helpers/until.ts';
import { accountsAreEven, type ConsumerBench, calls, report } from './consumer-bench.ts';
import { never } from './transport-bench.ts';

const WINDOW_MS = 60_000;
const one = { maxInFlight: 1, batchSize: 1 } as const;
const isDone = ({ consumer }: { consumer: Consumer }): boolean => consumer.stats().pending === 0;

/** Calls of the guard counted, and failed at will. */
function watched(transport: BusTransport) {
  const counts = { reserve: 0, acknowledgeHandled: 0, events: 0 };
  const faults: { reserve?: Error; lostAcknowledgement?: Error } = {};
  const proxy = new Proxy(transport, {
    get(target, key) {
      if (key === 'reserve') {
        return async (...call: Parameters<BusTransport['reserve']>) => {
          counts.reserve += 1;
          counts.events += call[0].events.length;
          if (faults.reserve !== undefined) throw faults.reserve;
          return target.reserve(...call);
        };
      }
      if (key === 'acknowledgeHandled') {
        return async (...call: Parameters<BusTransport['acknowledgeHandled']>) => {
          counts.acknowledgeHandled += 1;
          const done = await target.acknowledgeHandled(...call);
          if (faults.lostAcknowledgement !== undefined) throw faults.lostAcknowledgement;
          return done;
        };
      }
      const found: unknown = Reflect.get(target, key);
      return typeof found === 'function' ? found.bind(target) : found;
    },
  });
  return { transport: proxy, counts, faults };
}

/** Handlers that end when the test says so. */
function gate() {
  const running: { readonly delivery: Delivery; readonly end: (error?: Error) => void }[] = [];
  const handler = (delivery: Delivery) =>
    new Promise<void>((resolve, reject) => {
      running.push({ delivery, end: (error) => (error === undefined ? resolve() : reject(error)) });
    });
  return { running, handler };
}

/** Reads as a consumer that is never heard of again. */
async function abandoned({ transport, stream }: ConsumerBench, count: number): Promise<readonly string[]> {
  await transport.ensureGroup(stream, 'g', '0', calls);
  const reader = transport.openReader();
  const request = { stream, group: 'g', consumer: 'dead', afterId: '0', count, blockMs: 0 };
  const entries = await reader.read({ ...request, which: 'new' }, never);
  await reader.close();
  assert.is(entries.length, count);
  return entries.map(({ entryId }) => entryId);
}

/** What only a guard that the whole group shares can do. */
export function sharedGuardTests(test: Test, bench: () => ConsumerBench): void {
  test('[R-O6] two copies at two consumers at once: one is handled, the other waits and is a replay', async () => {
    const { append, worker, letters, stream } = bench();
    const { running, handler } = gate();
    const workers = [worker({ options: one, handler }), worker({ options: one, handler })];
    const entry = report('twin', stream);
    const ids = [await append(entry), await append(entry)];
    await Promise.all(workers.map(({ consumer }) => consumer.start()));
    await until('each has one', () => workers.every(({ consumer }) => consumer.stats().read === 1));
    await until('one waits', () => workers.some(({ consumer }) => consumer.stats().retrying === 1));
    await delay(60);
    assert.is(running.length, 1);
    running[0]?.end();
    await until('both decided', () => workers.every(isDone));
    assert.is(running.length, 1);
    assert.equal(
      (await letters()).map(({ origin_id, reason, event_id }) => [origin_id, reason, event_id]),
      [[ids.find((id) => id !== running[0]?.delivery.entryId), 'ESPER_OONA_REPLAYED', 'twin']],
    );
    assert.ok(workers.every(({ consumer }) => accountsAreEven(consumer)));
  });

  test('[R-O6] a copy of what was given up is handled, by another consumer too; a retry is no replay', async () => {
    const { append, worker, letters, stream } = bench();
    const { running, handler } = gate();
    const options = { ...one, maxDeliveries: 2 };
    const workers = [worker({ options, handler }), worker({ options, handler })];
    const entry = report('twin', stream);
    await append(entry);
    await append(entry);
    await Promise.all(workers.map(({ consumer }) => consumer.start()));
    const entryIds = (): string[] => running.map(({ delivery }) => delivery.entryId);
    await until('the first', () => running.length === 1);
    running[0]?.end(new Error('not yet'));
    await until('the second try', () => running.length === 2);
    running[1]?.end(new Error('never'));
    await until('the copy', () => running.length === 3);
    running[2]?.end();
    await until('both decided', () => workers.every(isDone));
    const [first, again, copy] = entryIds();
    assert.is(first, again);
    assert.is.not(first, copy);
    assert.equal(
      (await letters()).map(({ origin_id, reason }) => [origin_id, reason]),
      [[first, 'ESPER_OONA_DELIVERIES_EXHAUSTED']],
    );
  });

  test('[R-O6] a consumer that begins later knows what others of its group have handled; other groups have their own', async () => {
    const { append, publish, worker, letters, stream } = bench();
    const entry = report('once', stream);
    await append(entry);
    const first = worker();
    await first.consumer.start();
    await until('it', () => first.consumer.stats().handled === 1);
    await first.consumer.stop();
    await append(entry);
    await publish('more');
    const [second, other, local] = [
      worker(),
      worker({ options: { group: 'other' } }),
      worker({ options: { group: 'forgetful', replayGuard: 'local' } }),
    ];
    await Promise.all([second, other, local].map(({ consumer }) => consumer.start()));
    await until('all', () => second.consumer.stats().read === 2 && isDone(second));
    await until('all of the other', () => other.consumer.stats().read === 3 && isDone(other));
    assert.equal([second.consumer.stats().handled, other.consumer.stats().handled], [1, 2]);
    assert.equal(second.consumer.stats().deadLetteredByCode, { ESPER_OONA_REPLAYED: 1 });
    const replayed = (await letters()).filter(({ reason }) => reason === 'ESPER_OONA_REPLAYED');
    assert.equal(replayed.map(({ group }) => group).sort(), ['forgetful', 'g', 'other']);
  });

  test('[R-O6] the reservation of a consumer that died passes to whoever takes its entry over', async () => {
    const made = bench();
    const { append, worker, transport, stream } = made;
    const entry = report('inherited', stream);
    await append(entry);
    const events = (await abandoned(made, 1)).map((entryId) => ({ key: 'inherited', entryId }));
    const request = { stream, group: 'g', windowMs: WINDOW_MS, events };
    assert.equal(await transport.reserve(request, calls), ['new']);
    await append(entry);
    const heir = worker({ options: { leaseMs: 200 } });
    await heir.consumer.start();
    await until('both decided', () => heir.consumer.stats().read === 2 && isDone(heir));
    assert.equal(
      heir.deliveries.map(({ entryId, deliveryCount }) => [entryId, deliveryCount]),
      [[events[0]?.entryId, 2]],
    );
    assert.equal(heir.consumer.stats().deadLetteredByCode, { ESPER_OONA_REPLAYED: 1 });
  });

  test('[R-O6] what was handled by a consumer that did not get to acknowledge it is acknowledged by its heir', async () => {
    const made = bench();
    const { publish, worker, transport, stream, pending } = made;
    await publish('done');
    const events = (await abandoned(made, 1)).map((entryId) => ({ key: 'done', entryId }));
    const request = { stream, group: 'g', consumer: 'not the owner', windowMs: WINDOW_MS, events };
    assert.equal(await transport.acknowledgeHandled(request, calls), []);
    const heir = worker({ options: { leaseMs: 100 } });
    await heir.consumer.start();
    await until('it', () => heir.consumer.stats().acknowledged === 1);
    assert.equal([heir.consumer.stats().redelivered, heir.deliveries.length], [1, 0]);
    assert.is(await pending(), 0);
  });

  test('[R-O6] hundreds of events, each twice, at three consumers that fail now and then: each is handled once', async () => {
    const { append, worker, letters, pending, stream } = bench();
    const total = 300;
    const done = new Map<string, number>();
    const handler = async ({ eventId, deliveryCount }: Delivery): Promise<void> => {
      if (Number(eventId) % 7 === 0 && deliveryCount === 1) throw new Error('not yet');
      if (Number(eventId) % 3 === 0) await delay(1);
      done.set(eventId, (done.get(eventId) ?? 0) + 1);
    };
    const options = { maxInFlight: 16, batchSize: 8 };
    const workers = Array.from({ length: 3 }, () => worker({ options, handler }));
    await Promise.all(workers.map(({ consumer }) => consumer.start()));
    const entries = Array.from({ length: total }, (_, i) => report(String(i), stream));
    await Promise.all([...entries, ...entries].map((entry) => append(entry)));
    const read = (): number => workers.reduce((sum, { consumer }) => sum + consumer.stats().read, 0);
    await until('all decided', () => read() === 2 * total && workers.every(isDone));
    assert.is(done.size, total);
    assert.ok([...done.values()].every((times) => times === 1));
    const reasons = new Set((await letters()).map(({ reason }) => reason));
    assert.equal([...reasons], ['ESPER_OONA_REPLAYED']);
    assert.is((await letters()).length, total);
    assert.is(await pending(), 0);
    assert.ok(workers.every(({ consumer }) => accountsAreEven(consumer)));
  });

  test('[R-O6] while the guard cannot be asked nothing is handled; entries wait, pending, and go on by themselves', async () => {
    const { publish, worker, transport, pending } = bench();
    const line = watched(transport);
    line.faults.reserve = new TransportError('ESPER_OONA_OUT_OF_MEMORY', 'full', { retryable: true });
    const { consumer, deliveries, log } = worker({
      options: { maxInFlight: 8, leaseMs: 200 },
      parts: { transport: line.transport },
    });
    await consumer.start();
    for (let i = 1; i <= 20; i++) {
      await publish();
      await until('it', () => consumer.stats().read >= Math.min(i, 8));
    }
    const { reserve, events } = line.counts;
    await until('it was asked again and again', () => line.counts.reserve >= reserve + 5);
    assert.ok(line.counts.events >= events + 5 * 4, 'all that wait in one call, not each in its own');
    await delay(300);
    assert.equal([deliveries.length, consumer.stats().read, consumer.stats().pending], [0, 8, 8]);
    assert.is(consumer.stats().lastErrorCode, 'ESPER_OONA_OUT_OF_MEMORY');
    assert.ok(log.some(({ code }) => code === 'ESPER_OONA_OUT_OF_MEMORY'));
    delete line.faults.reserve;
    await until('all', () => consumer.stats().handled === 20);
    assert.ok(deliveries.every(({ deliveryCount }) => deliveryCount === 1));
    assert.is(consumer.stats().takenOver, 0);
    assert.is(await pending(), 0);
  });

  test('[R-O6] beside an entry that may have ended other processes nothing is read while its event is asked for', async () => {
    const made = bench();
    const { publish, worker, transport, stream } = made;
    const line = watched(transport);
    line.faults.reserve = new TransportError('ESPER_OONA_TIMEOUT', 'away', { retryable: true });
    for (let i = 0; i < 4; i++) await publish();
    const entryIds = await abandoned(made, 4);
    const owned = { stream, group: 'g', consumer: 'dead', entryIds };
    for (let i = 0; i < 2; i++) await transport.redeliver(owned, calls);
    const { consumer, deliveries } = worker({
      options: { consumer: 'dead', maxDeliveries: 8 },
      parts: { transport: line.transport },
    });
    await consumer.start();
    await until('it was asked again and again', () => line.counts.reserve > 2);
    assert.equal([consumer.stats().read, line.counts.events], [1, line.counts.reserve]);
    delete line.faults.reserve;
    await until('all', () => consumer.stats().handled === 4);
    assert.ok(deliveries.every(({ deliveryCount }) => deliveryCount === 4));
  });

  test('[R-O6] an acknowledgement whose answer is lost is told again, and nothing is handled twice', async () => {
    const { publish, worker, transport, pending } = bench();
    const line = watched(transport);
    line.faults.lostAcknowledgement = new TransportError('ESPER_OONA_TIMEOUT', 'lost', { retryable: true });
    for (let i = 0; i < 5; i++) await publish();
    const { consumer, deliveries } = worker({ parts: { transport: line.transport } });
    await consumer.start();
    await until('told twice', () => line.counts.acknowledgeHandled > 1);
    assert.is(consumer.stats().acknowledged, 0);
    delete line.faults.lostAcknowledgement;
    await until('all', () => consumer.stats().handled === 5);
    assert.equal([deliveries.length, await pending()], [5, 0]);
    assert.ok(accountsAreEven(consumer));
  });

  test('[R-O6] what waits for an answer when its consumer stops goes to the next one at once, undelivered', async () => {
    const { publish, worker, transport } = bench();
    const line = watched(transport);
    line.faults.reserve = new TransportError('ESPER_OONA_TIMEOUT', 'away', { retryable: true });
    for (let i = 0; i < 3; i++) await publish();
    const first = worker({ parts: { transport: line.transport } });
    await first.consumer.start();
    await until('it asks', () => line.counts.reserve > 0);
    await first.consumer.stop();
    const second = worker();
    await second.consumer.start();
    await until('all', () => second.consumer.stats().handled === 3);
    assert.equal(
      second.deliveries.map(({ deliveryCount }) => deliveryCount),
      [1, 1, 1],
    );
    assert.is(first.deliveries.length, 0);
  });

  test('[R-O6] one question for each batch and one answer with its acknowledgements; a local guard asks nothing', async () => {
    const { publish, worker, transport } = bench();
    const [line, quiet] = [watched(transport), watched(transport)];
    for (let i = 0; i < 128; i++) await publish();
    const shared = worker({ parts: { transport: line.transport } });
    const options = { group: 'local', replayGuard: 'local' } as const;
    const local = worker({ options, parts: { transport: quiet.transport } });
    await Promise.all([shared.consumer.start(), local.consumer.start()]);
    await until('all', () => [shared, local].every(({ consumer }) => consumer.stats().handled === 128));
    assert.equal(quiet.counts, { reserve: 0, acknowledgeHandled: 0, events: 0 });
    assert.is(line.counts.events, 128);
    // Of 64 entries each, the first of them perhaps smaller.
    assert.ok(line.counts.reserve <= 4 && line.counts.acknowledgeHandled <= 8, JSON.stringify(line.counts));
  });
}
