import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { Test } from 'uvu';
import * as assert from 'uvu/assert';
import { createKeyRing, sealMessage } from '../../src/leyline/index.ts';
import { keyRing, otherKeyRing, signed } from '../helpers/oona-fixtures.ts';
import { until } from '../helpers/until.ts';
import { accountsAreEven, type ConsumerBench, FIELD_REPORT, report } from './consumer-bench.ts';

export function consumerBadInputTests(test: Test, bench: () => ConsumerBench): void {
  test('[R-O6] each bad entry is dead-lettered with its code, and what lies around it is handled', async () => {
    const { append, publish, worker, letters, pending, stream } = bench();
    const good = report(randomUUID(), stream);
    const dated = (offsetMs: number) =>
      report(randomUUID(), stream, { issued_at_ms: String(Date.now() + offsetMs) });
    const rows = [
      ['ESPER_LEYLINE_EMPTY', signed(new Uint8Array(0))],
      ['ESPER_LEYLINE_TRUNCATED', signed(good.payload.subarray(0, good.payload.length - 3))],
      ['ESPER_LEYLINE_TRUNCATED', signed(new Uint8Array(64).fill(255))],
      ['ESPER_LEYLINE_UNKNOWN_TYPE', signed(new Uint8Array([8, 99, 18, 2, 8, 1]))],
      ['ESPER_LEYLINE_UNKNOWN_TYPE', signed(new Uint8Array([8, 20, 18, 2, 8, 1]))],
      ['ESPER_LEYLINE_SIGNATURE_MISSING', { ...good, signature: '' }],
      ['ESPER_LEYLINE_SIGNATURE_MALFORMED', { ...good, signature: 'short' }],
      ['ESPER_LEYLINE_SIGNATURE_MALFORMED', { ...good, signature: 'é'.repeat(44) }],
      ['ESPER_LEYLINE_SIGNATURE_MISMATCH', report(randomUUID(), stream, {}, otherKeyRing)],
      ['ESPER_LEYLINE_TOO_LARGE', signed(new Uint8Array(1024 * 1024 + 1))],
      ['ESPER_OONA_WRONG_STREAM', report(randomUUID(), 'oona.policy')],
      ['ESPER_OONA_TOO_OLD', dated(-901_000)],
      ['ESPER_OONA_FROM_FUTURE', dated(40_000)],
    ] as const;
    const expected: string[][] = [];
    for (const [code, entry] of rows) {
      await publish();
      expected.push([await append(entry), code]);
    }
    await publish();
    const { consumer, deliveries } = worker();
    await consumer.start();
    await until('everything decided', () => consumer.stats().pending === 0 && consumer.stats().read > 26);
    assert.is(deliveries.length, rows.length + 1);
    const found = (await letters()).map(({ origin_id = '', reason = '' }) => [origin_id, reason]);
    assert.equal(found.sort(), expected.sort());
    assert.is(consumer.stats().deadLetteredByCode.ESPER_LEYLINE_UNKNOWN_TYPE, 2);
    assert.is(await pending(), 0);
    assert.ok(accountsAreEven(consumer));
  });

  test('[R-O6] a message signed with the previous key is handled', async () => {
    const { append, worker, stream } = bench();
    const rotated = createKeyRing({
      current: { id: 'new', secret: 'a secret that is brand new' },
      previous: [{ secret: 'a secret that tests share' }],
    });
    await append(report('e', stream));
    const { consumer, deliveries } = worker({ parts: { keyRing: rotated } });
    await consumer.start();
    await until('it', () => consumer.stats().acknowledged === 1);
    assert.is(deliveries[0]?.keyId, keyRing.currentKeyId);
  });

  test('[R-O6] the same event under another entry id is a replay; a retry of the same entry is none', async () => {
    const { append, worker, letters, stream } = bench();
    const entry = report('once', stream);
    const { consumer, deliveries } = worker({
      handler: ({ deliveryCount }) => {
        if (deliveryCount === 1) throw new Error('not yet');
      },
    });
    await append(entry);
    const replay = await append(entry);
    await consumer.start();
    await until('both decided', () => consumer.stats().read === 2 && consumer.stats().pending === 0);
    assert.equal(
      deliveries.map(({ deliveryCount }) => deliveryCount),
      [1, 2],
    );
    assert.is(consumer.stats().handled, 1);
    const found = await letters();
    assert.equal(
      found.map(({ origin_id, reason, event_id }) => [origin_id, reason, event_id]),
      [[replay, 'ESPER_OONA_REPLAYED', 'once']],
    );
    assert.ok(accountsAreEven(consumer));
  });

  test('[R-O6] what a failing entry left is handled under its other entry id', async () => {
    const { append, worker, letters, stream } = bench();
    const entry = report('twice', stream);
    const first = await append(entry);
    await append(entry);
    const { consumer, deliveries } = worker({
      options: { maxDeliveries: 2 },
      handler: ({ entryId }) => {
        if (entryId === first) throw new Error('never');
      },
    });
    await consumer.start();
    await until('both decided', () => consumer.stats().read === 2 && consumer.stats().pending === 0);
    assert.is(consumer.stats().handled, 1);
    assert.is(deliveries.at(-1)?.entryId === first, false);
    assert.equal(
      (await letters()).map(({ origin_id }) => origin_id),
      [first],
    );
  });

  test('[R-O6] a copy that waits for the first one is refused once it is too old: the guard does not remember for ever', async () => {
    const { append, worker, letters, stream } = bench();
    let finish = (): void => undefined;
    const { consumer, deliveries } = worker({
      options: { maxAgeMs: 1000, retryCapMs: 20 },
      handler: () =>
        new Promise((resolve) => {
          finish = resolve;
        }),
    });
    const entry = report('twice', stream);
    const ids = [await append(entry), await append(entry)];
    await consumer.start();
    await until('the copy is refused', () => consumer.stats().deadLettered === 1);
    finish();
    await until('both decided', () => consumer.stats().pending === 0);
    assert.equal([deliveries.length, consumer.stats().handled], [1, 1]);
    assert.equal(
      (await letters()).map(({ origin_id, reason }) => [origin_id, reason]),
      [[ids[1], 'ESPER_OONA_TOO_OLD']],
    );
  });

  test('[R-O6] a full replay guard makes entries wait and says so; nothing is forgotten', async () => {
    const { publish, worker, letters } = bench();
    const { consumer, log } = worker({ options: { replayCapacity: 3, replayGuard: 'local' } });
    for (let i = 0; i < 5; i++) await publish();
    await consumer.start();
    await until('three', () => consumer.stats().acknowledged === 3);
    await until('the rest waits', () => consumer.stats().retrying === 2);
    await delay(60);
    const { acknowledged, pending, deadLettered, lastErrorCode } = consumer.stats();
    assert.equal({ acknowledged, pending, deadLettered }, { acknowledged: 3, pending: 2, deadLettered: 0 });
    assert.is(lastErrorCode, 'ESPER_OONA_REPLAY_GUARD_FULL');
    assert.ok(log.some(({ code }) => code === 'ESPER_OONA_REPLAY_GUARD_FULL'));
    assert.equal(await letters(), []);
  });

  test('[R-O6] a peer without attributes of ours is accepted, or refused when the bus demands an identity', async () => {
    const { append, worker, letters } = bench();
    const plain = sealMessage({ messageType: FIELD_REPORT, message: { reportId: 'r' } }, keyRing);
    const entryId = await append(plain);
    const open = worker({ options: { group: 'open' } });
    const strict = worker({ options: { group: 'strict' }, parts: { acceptUnidentified: false } });
    await Promise.all([open.consumer.start(), strict.consumer.start()]);
    await until(
      'both',
      () => open.consumer.stats().handled === 1 && strict.consumer.stats().deadLettered === 1,
    );
    assert.is(open.deliveries[0]?.eventId, entryId);
    assert.equal(
      (await letters()).map(({ reason }) => reason),
      ['ESPER_OONA_UNIDENTIFIED'],
    );
  });

  test('[R-O6] letters that cannot be stored wait, however many, and Node warns of nothing', async () => {
    const { publish, worker, transport, letters } = bench();
    const warnings: Error[] = [];
    const onWarning = (warning: Error) => warnings.push(warning);
    process.on('warning', onWarning);
    let tries = 0;
    let away = true;
    const handler = () => Promise.reject(Object.assign(new Error('no'), { retryable: false }));
    const cut = new Proxy(transport, {
      get(target, name) {
        const found: unknown = Reflect.get(target, name);
        if (typeof found !== 'function') return found;
        if (name !== 'deadLetter' || !away) return found.bind(target);
        tries += 1;
        return () => Promise.reject(new Error('away'));
      },
    });
    for (let i = 0; i < 20; i++) await publish();
    const { consumer } = worker({ handler, parts: { transport: cut } });
    await consumer.start();
    await until('each is tried again', () => tries > 40);
    away = false;
    await until('all', () => consumer.stats().deadLettered === 20);
    process.off('warning', onWarning);
    assert.equal([(await letters()).length, warnings], [20, []]);
  });
}
