import { setTimeout as delay } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { BusMessageType } from '../../src/leyline/index.ts';
import { DEFAULT_STREAMS } from '../../src/oona/streams.ts';
import { createRedisTransport } from '../../src/oona/transport/redis.ts';
import { createRig, message, opened } from '../helpers/publishing.ts';
import { startRedis } from '../helpers/redis-server.ts';
import { until } from '../helpers/until.ts';

const test = suite('publishing over an outage of Redis');
const REPORT = BusMessageType.BUS_MESSAGE_TYPE_FIELD_REPORT;

test('[R-O1] redis-server is killed and comes back: no promise hangs, what was accepted is there once', async () => {
  const server = await startRedis({ persistence: 'aof', args: ['--appendfsync', 'always'] });
  const transport = createRedisTransport({ url: server.url });
  const tuning = { breaker: { openBaseMs: 50, openCapMs: 200 }, mode: { dwellMs: 100, quietMs: 100 } };
  const { publisher, breaker, mode, close, metrics } = createRig(transport, tuning, {
    publishDeadlineMs: 2000,
  });
  await transport.ping({ deadlineMs: 10_000 });
  const accepted: string[] = [];
  const ends: Record<string, number> = {};
  const waiting: Promise<unknown>[] = [];
  let sent = 0;
  const publish = (): void => {
    sent += 1;
    const reportId = `r${sent}`;
    const ended = publisher.publish(message(REPORT, { reportId })).then(({ outcome }) => {
      ends[outcome] = (ends[outcome] ?? 0) + 1;
      if (outcome === 'published' || outcome === 'deferred') accepted.push(`report:${reportId}`);
    });
    waiting.push(ended);
  };
  const send = async (while_: () => boolean): Promise<void> => {
    while (while_()) {
      for (let i = 0; i < 5; i++) publish();
      await delay(2);
    }
  };
  await send(() => sent < 500);
  const inFlight = send(() => sent < 600);
  await server.kill();
  await inFlight;
  await send(() => (ends.deferred ?? 0) < 500);
  assert.ok(mode.active);
  assert.is.not(breaker.state, 'closed');
  await server.restart();
  await until('the mode is over', () => !mode.active);
  await until('the outbox is empty', () => publisher.outboxStats().waiting === 0);
  const before = ends.published ?? 0;
  await send(() => (ends.published ?? 0) < before + 500);
  await Promise.all(waiting);
  const back = (): Promise<boolean> =>
    transport.ping({ deadlineMs: 1000 }).then(
      () => true,
      () => false,
    );
  await until('every connection is back', back);
  const ids = (await opened(transport, DEFAULT_STREAMS.normal)).map(
    ({ attributes }) => attributes.event_id ?? '',
  );
  const stored = new Set(ids);
  assert.is(stored.size, ids.length, 'each once');
  assert.equal(
    accepted.filter((id) => !stored.has(id)),
    [],
  );
  const { accepted: taken, published, duplicates, dropped } = publisher.outboxStats();
  assert.equal([taken, Object.values(dropped).some((count) => count > 0)], [published + duplicates, false]);
  assert.ok((ends.failed ?? 0) > 0, 'those before the breaker opened were told');
  assert.ok(metrics.value('oona.publish.breaker_opened_total') > 0);
  await close();
  await transport.close();
  await server.stop();
});

test.run();
