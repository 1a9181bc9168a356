import type { Test } from 'uvu';
import * as assert from 'uvu/assert';
import { until } from '../helpers/until.ts';
import { accountsAreEven, type ConsumerBench, calls } from './consumer-bench.ts';
import { never } from './transport-bench.ts';

export function consumerRetryTests(test: Test, bench: () => ConsumerBench): void {
  test('[R-O2] a handler that fails twice is called three times, with delivery counts 1, 2, 3', async () => {
    const { publish, worker, pending, letters } = bench();
    const { consumer, deliveries } = worker({
      handler: ({ deliveryCount }) => {
        if (deliveryCount < 3) throw new Error('not yet');
      },
    });
    await publish();
    await consumer.start();
    await until('the success', () => consumer.stats().acknowledged === 1);
    assert.equal(
      deliveries.map(({ deliveryCount }) => deliveryCount),
      [1, 2, 3],
    );
    assert.is(consumer.stats().handlerFailures, 2);
    assert.is(await pending(), 0);
    assert.equal(await letters(), []);
    assert.ok(accountsAreEven(consumer));
  });

  test('[R-O2] one that always fails ends as one dead letter, with cause and the untouched original', async () => {
    const { publish, worker, pending, letters, transport, stream } = bench();
    const { consumer, deliveries, log } = worker({
      options: { maxDeliveries: 3 },
      handler: async () => {
        throw new Error('no disk at nfs://user:hunter2@store/path');
      },
    });
    const entryId = await publish('e-1');
    await consumer.start();
    await until('the dead letter', () => consumer.stats().deadLettered === 1);
    assert.is(deliveries.length, 3);
    const found = await letters();
    assert.is(found.length, 1);
    const { payload, signature, first_at_ms, last_at_ms, ...fields } = found[0] ?? {};
    assert.equal(fields, {
      reason: 'ESPER_OONA_DELIVERIES_EXHAUSTED',
      error: 'no disk at nfs://***@store/path',
      ...{ origin_stream: stream, origin_id: entryId, group: 'g', consumer: consumer.consumer },
      ...{ delivery_count: '3', message_type: '3', event_id: 'e-1' },
    });
    assert.ok(Number(first_at_ms) <= Number(last_at_ms));
    const request = { stream, after: '', count: 1, newestFirst: false };
    const [original] = await transport.range(request, calls);
    assert.is(payload, Buffer.from(original?.fields.get('payload') ?? []).toString('latin1'));
    assert.is(signature, Buffer.from(original?.fields.get('signature') ?? []).toString('latin1'));
    assert.is(await pending(), 0);
    assert.equal(consumer.stats().deadLetteredByCode, { ESPER_OONA_DELIVERIES_EXHAUSTED: 1 });
    assert.not(JSON.stringify(log).includes('hunter2'));
    assert.ok(accountsAreEven(consumer));
  });

  test('[R-O2] an error that says it is not retryable is dead-lettered at once, under its code', async () => {
    const { publish, worker, letters } = bench();
    const { consumer, deliveries } = worker({
      handler: ({ eventId }) => {
        const code = eventId === 'coded' ? { code: 'BLUEPRINT_UNKNOWN' } : {};
        throw Object.assign(new Error(`no use: ${'x'.repeat(5000)}`), { retryable: false, ...code });
      },
    });
    await publish('coded');
    await publish('plain');
    await consumer.start();
    await until('both', () => consumer.stats().deadLettered === 2);
    assert.is(deliveries.length, 2);
    const found = await letters();
    assert.equal(found.map(({ reason }) => reason).sort(), [
      'BLUEPRINT_UNKNOWN',
      'ESPER_OONA_HANDLER_FAILED',
    ]);
    for (const { error = '' } of found) assert.ok(error.startsWith('no use') && error.length < 3100);
  });

  test('[R-O2] a handler that hangs is aborted, counts as failed, and its late answer changes nothing', async () => {
    const { publish, worker, letters } = bench();
    let late = (): void => undefined;
    let reason: unknown;
    const { consumer, deliveries } = worker({
      options: { handlerTimeoutMs: 30 },
      handler: ({ deliveryCount, signal }) => {
        if (deliveryCount > 1) return;
        signal.addEventListener('abort', () => {
          reason = signal.reason;
        });
        return new Promise<void>((resolve) => {
          late = resolve;
        });
      },
    });
    await publish();
    await consumer.start();
    await until('the second delivery', () => consumer.stats().acknowledged === 1);
    late();
    await publish();
    await until('the next', () => consumer.stats().acknowledged === 2);
    assert.ok(reason instanceof Error && reason.message.includes('handlerTimeoutMs'));
    assert.equal(
      deliveries.map(({ deliveryCount }) => deliveryCount),
      [1, 2, 1, 2],
    );
    assert.is(consumer.stats().handlerFailures, 2);
    assert.equal(await letters(), []);
    assert.ok(accountsAreEven(consumer));
  });

  test('[R-O2] hundreds that fail at once are all tried again and hold back nobody', async () => {
    const { publish, worker, pending } = bench();
    const { consumer, deliveries } = worker({
      options: { maxInFlight: 10 },
      handler: ({ deliveryCount }) => {
        if (deliveryCount === 1) throw new Error('not yet');
      },
    });
    await Promise.all(Array.from({ length: 300 }, () => publish()));
    await consumer.start();
    await until('all', () => consumer.stats().acknowledged === 300);
    assert.is(deliveries.length, 600);
    assert.is(consumer.stats().retrying, 0);
    assert.is(await pending(), 0);
  });

  test('[R-O2] an entry that ended its consumers goes to the dead letters unhandled, and only that one', async () => {
    const { publish, worker, letters, transport, stream } = bench();
    const ids = [await publish('before'), await publish('poison'), await publish('after')];
    await transport.ensureGroup(stream, 'g', '0', calls);
    const request = { stream, group: 'g', consumer: 'mortal', afterId: '0', count: 10, blockMs: 0 };
    const reader = transport.openReader();
    await reader.read({ ...request, which: 'new' }, never);
    await reader.close();
    // Each life takes up what the one before it left, and dies of the poison before it can acknowledge it.
    const handled: string[] = [];
    for (let life = 0; life < 8 && (await letters()).length === 0; life++) {
      let died = (): void => undefined;
      const death = new Promise<void>((resolve) => {
        died = resolve;
      });
      const { consumer } = worker({
        options: { consumer: 'mortal', drainMs: 0, maxDeliveries: 4 },
        handler: ({ eventId }) => {
          if (eventId !== 'poison') {
            handled.push(eventId);
            return;
          }
          died();
          return new Promise<void>(() => undefined);
        },
      });
      await consumer.start();
      const buried = until('a dead letter', () => consumer.stats().deadLettered === 1).catch(() => undefined);
      await Promise.race([death, buried]);
      if (consumer.stats().deadLettered === 1) {
        await until('the others', () => new Set(handled).size === 2);
        await until('their end', () => consumer.stats().pending === 0);
      }
      await consumer.stop();
    }
    const found = await letters();
    assert.equal(
      found.map(({ origin_id, reason }) => [origin_id, reason]),
      [[ids[1], 'ESPER_OONA_DELIVERIES_EXHAUSTED']],
    );
    assert.equal([...new Set(handled)].sort(), ['after', 'before']);
  });
}
