import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { Test } from 'uvu';
import * as assert from 'uvu/assert';
import { errorCode } from '../../src/core/errors.ts';
import { hostGroup } from '../../src/oona/streams.ts';
import { appendRaw, emergency, sealed, signed } from '../helpers/oona-fixtures.ts';
import { until } from '../helpers/until.ts';
import { calls, idOf, type ReaderBench } from './emergency-bench.ts';

/** Handlers that fail, hosts that come back, groups that vanish, stopping. */
export function retryTests(test: Test, bench: () => ReaderBench): void {
  test('[R-O1] a failed handler gets the emergency again until it succeeds; those behind it do not wait', async () => {
    const { host, pending } = bench();
    const counts: number[] = [];
    const stubborn = emergency();
    const { oona, reader, delivered } = host({
      handler: (delivery) => {
        if (delivery.message.signalId !== stubborn.signalId) return;
        counts.push(delivery.deliveryCount);
        if (counts.length < 4) throw new Error('not yet');
      },
    });
    await reader.start();
    await oona.publishEmergency(stubborn);
    const other = emergency();
    await oona.publishEmergency(other);
    await until('both handled', () => delivered.length === 2);
    assert.equal(delivered.map(idOf), [other.signalId, stubborn.signalId]);
    assert.equal(counts, [1, 2, 3, 4]);
    assert.is(reader.stats().handlerFailures, 3);
    await until('everything acknowledged', async () => (await pending()) === 0);
    assert.is(reader.stats().retrying, 0);
  });

  test('[R-O1] an emergency whose handler keeps failing stays pending', async () => {
    const { host, pending } = bench();
    const { oona, reader } = host({
      handler: () => Promise.reject(new Error('never')),
    });
    await reader.start();
    await oona.publishEmergency(emergency());
    await until('a second try', () => reader.stats().handlerFailures >= 2);
    assert.is(await pending(), 1);
    assert.is(reader.stats().retrying, 1);
    await reader.stop();
    assert.is(await pending(), 1);
  });

  test('[R-O1] a handler that hangs does not keep the next emergency from being heard', async () => {
    const { host } = bench();
    const stuck = emergency();
    const { oona, reader, delivered } = host({
      handler: ({ message }) =>
        message.signalId === stuck.signalId ? new Promise<void>(() => undefined) : undefined,
      reader: { handlerTimeoutMs: 30 },
    });
    await reader.start();
    await oona.publishEmergency(stuck);
    const next = emergency();
    await oona.publishEmergency(next);
    await until('the next emergency', () => delivered.length === 1);
    assert.is(delivered[0]?.message.signalId, next.signalId);
    assert.ok(reader.stats().handlerFailures >= 1);
  });

  test('[R-O1] a host that comes back gets first what it had not acknowledged', async () => {
    const { host, pending } = bench();
    const first = host({
      handler: () => Promise.reject(new Error('dying')),
    });
    await first.reader.start();
    const [old, recent] = [emergency(), emergency()];
    await first.oona.publishEmergency(old);
    await until('a try', () => first.reader.stats().handlerFailures >= 1);
    await first.reader.stop();
    await first.oona.publishEmergency(recent);
    const again = host();
    await again.reader.start();
    await until('both', () => again.delivered.length === 2);
    assert.equal(again.delivered.map(idOf), [old.signalId, recent.signalId]);
    assert.ok((again.delivered[0]?.deliveryCount ?? 0) >= 2);
    await until('everything acknowledged', async () => (await pending()) === 0);
  });

  test('[R-O1] more failing emergencies than are kept in memory are all retried in the end', async () => {
    const { host, pending } = bench();
    let failing = true;
    const { oona, reader, delivered } = host({
      handler: () => {
        if (failing) throw new Error('not yet');
      },
    });
    const sent = Array.from({ length: 300 }, () => emergency());
    await Promise.all(sent.map((message) => oona.publishEmergency(message)));
    await reader.start();
    await until('all tried', () => reader.stats().handlerFailures >= 300);
    assert.ok(reader.stats().retrying <= 256);
    failing = false;
    await until('all handled', () => delivered.length === 300);
    assert.is(new Set(delivered.map(idOf)).size, 300);
    await until('everything acknowledged', async () => (await pending()) === 0);
  });

  test('[R-O1] an emergency trimmed before it was handled is told as lost', async () => {
    const { host, pending, transport, stream } = bench();
    const first = host({
      handler: () => Promise.reject(new Error('dying')),
    });
    await first.reader.start();
    const published = await first.oona.publishEmergency(emergency());
    await until('a try', () => first.reader.stats().handlerFailures >= 1);
    await first.reader.stop();
    // Whole nodes of a Redis stream: the first is gone when the second has begun.
    for (let i = 0; i < 120; i++) await appendRaw(transport, stream, signed(new Uint8Array(4).fill(255)));
    await delay(30);
    const request = { stream, ...sealed(emergency()), dedupId: randomUUID(), dedupWindowMs: 0, ttlMs: 10 };
    await transport.append(request, calls);
    const look = {
      stream,
      group: hostGroup('host-a'),
      consumer: 'host-a',
      afterId: '0',
      count: 1,
      blockMs: 0,
    };
    const looker = transport.openReader();
    const never = new AbortController().signal;
    await until('the trim', async () => (await looker.read({ ...look, which: 'pending' }, never))[0]?.lost);
    await looker.close();
    const again = host();
    await again.reader.start();
    // Maybe of one entry more: Redis may have handed the next one to the read that the stop cut off.
    await until('the loss', () => again.reader.stats().lost >= 1);
    const lost = again.rejected
      .filter(({ code }) => code === 'ESPER_OONA_LOST')
      .map(({ entryId }) => entryId);
    assert.is(lost[0], 'entryId' in published ? published.entryId : undefined);
    await until('the good one', () => again.delivered.length === 1);
    await until('everything acknowledged', async () => (await pending()) === 0);
  });

  test('[R-O1] a group that is removed under the reader heals itself and loses nothing that is recent', async () => {
    const { host, transport, stream } = bench();
    const { oona, reader, delivered } = host();
    await reader.start();
    await oona.publishEmergency(emergency());
    await until('the first', () => delivered.length === 1);
    await transport.removeGroup(stream, hostGroup('host-a'), calls);
    const second = emergency();
    await oona.publishEmergency(second);
    await until('the second', () => delivered.length === 2);
    assert.is(delivered[1]?.message.signalId, second.signalId);
    assert.ok(reader.stats().errors >= 1);
    assert.is(reader.stats().lastErrorCode, 'ESPER_OONA_NO_GROUP');
    // The healed group starts in the past: what was handled already comes as a redelivery, not to the handler.
    assert.is(reader.stats().redelivered, 1);
  });

  test('[R-O1] stop waits for the handler that runs and acknowledges it; the rest stays for the next start', async () => {
    const { host, pending } = bench();
    let release = (): void => undefined;
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    let entered = 0;
    const { oona, reader, delivered } = host({
      handler: async () => {
        entered += 1;
        await released;
      },
    });
    await oona.publishEmergency(emergency());
    await oona.publishEmergency(emergency());
    await reader.start();
    await until('the handler', () => entered === 1);
    const stopping = reader.stop();
    release();
    await stopping;
    await reader.stop();
    assert.is(delivered.length, 1);
    assert.is(await pending(), 1);
    assert.is(reader.stats().state, 'stopped');
    assert.is(await reader.start().catch(errorCode), 'ESPER_OONA_CLOSED');
  });

  test('[R-O1] start is idempotent, and a transport closed under the reader ends it', async () => {
    const { host, transport } = bench();
    const { reader } = host();
    assert.is(reader.stats().state, 'idle');
    await Promise.all([reader.start(), reader.start()]);
    await until('reading', () => reader.stats().state === 'reading');
    await transport.close();
    await until('the end', () => reader.stats().state === 'stopped');
    await reader.stop();
  });
}
