import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createRedisTransport } from '../../src/oona/index.ts';
import { accountsAreEven, openConsumerBench, reportIdOf } from '../conformance/consumer-bench.ts';
import { startFixture } from '../helpers/fixture-process.ts';
import { atEnd, closeAfterEach, server } from '../helpers/oona-hosts.ts';
import { until } from '../helpers/until.ts';

const test = suite('consumers that are killed');
closeAfterEach(test);

async function open() {
  const { url } = await server();
  const bench = openConsumerBench(createRedisTransport({ url }));
  atEnd(() => bench.close());
  const start = (name = '') => {
    const deadLetter = bench.stream.replace('test.', 'dead.');
    const child = startFixture<string>('oona-consumer.ts', [url, bench.stream, deadLetter, name]);
    atEnd(() => child.kill());
    return child;
  };
  return { ...bench, start };
}

test('[R-O2] a consumer killed in the middle of a batch: what it left is handled by another', async () => {
  const { publish, worker, pending, start } = await open();
  const sent = Array.from({ length: 1500 }, () => randomUUID());
  await Promise.all(sent.map((id) => publish(id)));
  const child = start();
  await until('some handled', () => child.messages.length > 100);
  await child.kill();
  assert.ok((await pending()) > 0, 'it died with entries in its hands');
  const { consumer, deliveries } = worker({ options: { leaseMs: 300 } });
  await consumer.start();
  await until('everything decided', async () => {
    const { read, pending: here } = consumer.stats();
    return (
      read > 0 && here === 0 && (await pending()) === 0 && deliveries.some((one) => one.deliveryCount > 1)
    );
  });
  const handled = new Set([...child.messages, ...deliveries.map(reportIdOf)]);
  assert.equal(
    sent.filter((id) => !handled.has(id)),
    [],
  );
  assert.ok(accountsAreEven(consumer));
});

test('[R-O2] a message whose handler exits the process is dead-lettered, and nothing that lay beside it', async () => {
  const { publish, pending, letters, start } = await open();
  const sent = Array.from({ length: 60 }, () => randomUUID());
  for (const id of sent.slice(0, 30)) await publish(id);
  const poison = await publish('poison');
  for (const id of sent.slice(30)) await publish(id);
  const handled = new Set<string>();
  let deaths = 0;
  for (; deaths < 12; deaths++) {
    // Half of them come back under their old name, half find the entries under that of a dead one.
    const child = start(deaths % 2 === 0 ? 'mortal' : '');
    let over = false;
    void child.ended.then(() => {
      over = true;
    });
    await until(
      'death or rest',
      async () => over || ((await letters()).length > 0 && (await pending()) === 0),
    );
    for (const id of child.messages) handled.add(id);
    if (!over) break;
    await delay(350);
  }
  assert.equal(
    (await letters()).map(({ origin_id, reason }) => [origin_id, reason]),
    [[poison, 'ESPER_OONA_DELIVERIES_EXHAUSTED']],
  );
  assert.equal(
    sent.filter((id) => !handled.has(id)),
    [],
  );
  assert.ok(deaths >= 3 && deaths <= 5, `${deaths} deaths`);
});

test.run();
