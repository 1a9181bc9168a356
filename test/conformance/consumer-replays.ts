import { randomUUID } from 'node:crypto';
import type { Test } from 'uvu';
import * as assert from 'uvu/assert';
import { systemClock } from '../../src/core/clock.ts';
import { silentLogger } from '../../src/core/logger.ts';
import { Metrics } from '../../src/core/metrics.ts';
import { createKeyRing, type KeyRing } from '../../src/leyline/index.ts';
import { createDeadLetters } from '../../src/oona/dead-letters/dead-letters.ts';
import type { DeadLetters } from '../../src/oona/dead-letters/types.ts';
import { DEFAULT_STREAMS } from '../../src/oona/streams.ts';
import { keyRing } from '../helpers/oona-fixtures.ts';
import { until } from '../helpers/until.ts';
import { deadStreamOf, lettersOf } from './consumer-bad-rows.ts';
import { accountsAreEven, type ConsumerBench, report } from './consumer-bench.ts';

function deadLettersOf(bench: ConsumerBench, ring: KeyRing = keyRing): DeadLetters {
  const streams = { ...DEFAULT_STREAMS, normal: bench.stream, deadLetter: deadStreamOf(bench) };
  const parts = { clock: systemClock, logger: silentLogger, metrics: new Metrics(), callDeadlineMs: 10_000 };
  return createDeadLetters({ transport: bench.transport, keyRing: ring, streams, ...parts });
}

/** From a consumer into the dead letters and back. */
export function replayedDeliveryTests(test: Test, bench: () => ConsumerBench): void {
  test('[R-O6] a handler that fails twice is called with 1, 2, 3; one that always fails leaves one letter, and replay brings it back', async () => {
    const own = bench();
    let mended = false;
    const calls: [string, number][] = [];
    const { consumer } = own.worker({
      options: { maxDeliveries: 3 },
      handler: ({ eventId, deliveryCount }) => {
        calls.push([eventId, deliveryCount]);
        if (eventId === 'twice' && deliveryCount < 3) throw new Error('not yet');
        if (eventId === 'always' && !mended) throw new Error('the disk is full');
      },
    });
    const entry = report('always', own.stream);
    await own.append(report('twice', own.stream));
    const origin = await own.append(entry);
    await consumer.start();
    await until('both decided', () => consumer.stats().read === 2 && consumer.stats().pending === 0);
    const countsOf = (id: string): number[] =>
      calls.filter(([eventId]) => eventId === id).map(([, count]) => count);
    assert.equal(
      [countsOf('twice'), countsOf('always')],
      [
        [1, 2, 3],
        [1, 2, 3],
      ],
    );
    const [letter, ...none] = await lettersOf(own);
    assert.is(none.length, 0);
    assert.equal([letter?.originId, letter?.originStream, letter?.group], [origin, own.stream, 'g']);
    assert.equal([letter?.reason, letter?.error], ['ESPER_OONA_DELIVERIES_EXHAUSTED', 'the disk is full']);
    assert.equal([letter?.deliveryCount, letter?.eventId, letter?.messageType], [3, 'always', 3]);
    assert.ok(Buffer.from(letter?.payload ?? []).equals(Buffer.from(entry.payload)));
    assert.ok((letter?.firstAtMs ?? 0) > 0 && (letter?.firstAtMs ?? 0) <= (letter?.lastAtMs ?? 0));
    mended = true;
    const { replayed } = await deadLettersOf(own).replay([letter?.letterId ?? '']);
    assert.is(replayed, 1);
    await until('it is handled', () => consumer.stats().handled === 2);
    assert.equal(countsOf('always'), [1, 2, 3, 1]);
    assert.equal(await lettersOf(own), []);
    assert.ok(accountsAreEven(consumer));
  });

  test('[R-O6] a replayed letter is handled by the group that gave it up, and skipped by every other', async () => {
    const own = bench();
    let mended = false;
    const workerOf = (group: string, handler?: () => void) =>
      own.worker({ options: { group, maxDeliveries: 1 }, ...(handler && { handler }) });
    const failing = workerOf('g', () => {
      if (!mended) throw new Error('not yet');
    });
    const [had, late] = [workerOf('had-it'), workerOf('late')];
    await own.append(report('once', own.stream));
    await Promise.all([failing.consumer.start(), had.consumer.start()]);
    await until(
      'one handled it, one gave it up',
      () => had.consumer.stats().handled === 1 && failing.consumer.stats().deadLettered === 1,
    );
    mended = true;
    assert.is((await deadLettersOf(own).replay({ all: true })).replayed, 1);
    await late.consumer.start();
    await until('handled', () => failing.consumer.stats().handled === 1);
    await until('skipped', () => had.consumer.stats().skipped === 1 && late.consumer.stats().read === 2);
    await until('decided', () => late.consumer.stats().pending === 0);
    assert.equal(await lettersOf(own), []);
    assert.equal([late.consumer.stats().handled, late.consumer.stats().skipped], [1, 1]);
    assert.is(had.deliveries.length, 1);
    for (const { consumer } of [failing, had, late]) assert.ok(accountsAreEven(consumer));
  });

  test('[R-O6] what was dead-lettered when its key was removed comes back under the new key', async () => {
    const own = bench();
    const current = { secret: 'the secret after the rotation' };
    const rotated = createKeyRing({ current });
    const { consumer, deliveries } = own.worker({ parts: { keyRing: rotated } });
    for (let i = 0; i < 20; i++) await own.append(report(`old ${i}`, own.stream));
    await consumer.start();
    await until('all refused', () => consumer.stats().deadLettered === 20);
    const stillRefused = await deadLettersOf(own, rotated).replay({ all: true });
    assert.equal([stillRefused.replayed, stillRefused.refused], [0, 20]);
    const both = createKeyRing({ current, previous: [{ secret: 'a secret that tests share' }] });
    assert.is((await deadLettersOf(own, both).replay({ all: true })).replayed, 20);
    await until('all handled', () => consumer.stats().handled === 20);
    assert.ok(deliveries.every(({ keyId }) => keyId === rotated.currentKeyId));
    assert.is(new Set(deliveries.map(({ attributes }) => attributes.replay_of)).size, 20);
    assert.equal(await lettersOf(own), []);
  });

  test('[R-O6] a message too old when it was read is fresh when it is replayed', async () => {
    const own = bench();
    await own.append(report('late', own.stream, { issued_at_ms: '1000' }));
    const { consumer, deliveries } = own.worker();
    await consumer.start();
    await until('refused', () => consumer.stats().deadLettered === 1);
    assert.is((await deadLettersOf(own).replay({ code: 'ESPER_OONA_TOO_OLD' })).replayed, 1);
    await until('handled', () => consumer.stats().handled === 1);
    assert.is(deliveries[0]?.eventId, 'late');
  });

  test('[R-O6] a replay that consumers refused is handled under a new event id, and only then', async () => {
    const own = bench();
    const entry = report('once', own.stream);
    await own.append(entry);
    await own.append(entry);
    const { consumer, deliveries } = own.worker();
    await consumer.start();
    await until(
      'one handled, one refused',
      () => consumer.stats().read === 2 && consumer.stats().pending === 0,
    );
    const [letter] = await lettersOf(own);
    assert.is(letter?.reason, 'ESPER_OONA_REPLAYED');
    const deadLetters = deadLettersOf(own);
    assert.is((await deadLetters.replay({ all: true })).refused, 1);
    assert.is((await deadLetters.replay({ all: true }, { newEventId: true })).replayed, 1);
    await until('handled', () => consumer.stats().handled === 2);
    assert.is(deliveries.at(-1)?.eventId, `once:replay:${letter?.letterId}`);
  });

  test('[R-O6] letters of many messages are replayed under load, each handled once', async () => {
    const own = bench();
    let broken = true;
    const seen = new Map<string, number>();
    const { consumer } = own.worker({
      options: { maxDeliveries: 1 },
      handler: ({ eventId, attributes }) => {
        if (broken && attributes.replay_of === undefined && eventId.startsWith('bad'))
          throw new Error('broken');
        seen.set(eventId, (seen.get(eventId) ?? 0) + 1);
      },
    });
    await consumer.start();
    for (let i = 0; i < 100; i++) await own.append(report(`bad ${i}`, own.stream));
    await until('all given up', () => consumer.stats().deadLettered === 100);
    broken = false;
    const deadLetters = deadLettersOf(own);
    const load = Array.from({ length: 200 }, () => own.publish(randomUUID()));
    const reports = await Promise.all([deadLetters.replay({ all: true }), deadLetters.replay({ all: true })]);
    await Promise.all(load);
    assert.is(
      reports.reduce((sum, { replayed }) => sum + replayed, 0),
      100,
    );
    await until('all handled', () => consumer.stats().handled === 300 && consumer.stats().pending === 0);
    assert.ok([...seen.values()].every((times) => times === 1));
    assert.equal(await lettersOf(own), []);
    assert.ok(accountsAreEven(consumer));
  });
}
