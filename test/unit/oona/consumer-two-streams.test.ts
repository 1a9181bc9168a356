import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { systemClock } from '../../../src/core/clock.ts';
import { silentLogger } from '../../../src/core/logger.ts';
import { BusMessageType } from '../../../src/leyline/index.ts';
import { MessagePriority } from '../../../src/leyline/messages.ts';
import { createOona } from '../../../src/oona/index.ts';
import { DEFAULT_STREAMS } from '../../../src/oona/streams.ts';
import { createMemoryTransport } from '../../../src/oona/transport/memory.ts';
import { calls, FIELD_REPORT } from '../../conformance/consumer-bench.ts';
import { keyRing } from '../../helpers/oona-fixtures.ts';
import { until } from '../../helpers/until.ts';

const test = suite('consumer of two streams');
const keepAlive = setInterval(() => undefined, 60_000);
test.after(() => clearInterval(keepAlive));

test('[R-O2] close() waits for the handler of an urgent message although the other half has stopped', async () => {
  const transport = createMemoryTransport();
  const oona = createOona({ transport, keyRing, source: 'test', hostId: 'h', logger: silentLogger });
  let finish = (): void => undefined;
  let isDone = false;
  const consumer = oona.consumer({ stream: 'normal', group: 'g', blockMs: 50 }, async () => {
    await new Promise<void>((resolve) => {
      finish = resolve;
    });
    isDone = true;
  });
  await consumer.start();
  const message = { version: 1, reportId: 'urgent' };
  const priority = MessagePriority.MESSAGE_PRIORITY_CRITICAL;
  await oona.publish({ type: FIELD_REPORT, message }, { priority });
  await until('the handler', () => consumer.stats().inFlight === 1);
  const stopped = consumer.stop();
  await systemClock.sleep(100);
  const closed = oona.close();
  await systemClock.sleep(50);
  finish();
  await Promise.all([stopped, closed]);
  assert.ok(isDone);
  assert.is(consumer.stats().acknowledged, 1);
});

test('[R-O2] the urgent half of an unnamed consumer looks for no namesake', async () => {
  const transport = createMemoryTransport();
  const oona = createOona({ transport, keyRing, source: 'test', hostId: 'h', logger: silentLogger });
  const consumer = oona.consumer({ stream: 'normal', group: 'g', blockMs: 20 }, () => undefined);
  await consumer.start();
  const names = async (): Promise<string[]> =>
    (await transport.consumers(DEFAULT_STREAMS.emergency, 'normal:g', calls)).map((one) => one.consumer);
  await until('it reads', async () => (await names()).includes(consumer.consumer));
  await systemClock.sleep(50);
  assert.equal(await names(), [consumer.consumer]);
  await oona.close();
});

test('[R-O2] types without one of the stream itself: no urgent half', async () => {
  const transport = createMemoryTransport();
  const oona = createOona({ transport, keyRing, source: 'test', hostId: 'h', logger: silentLogger });
  const types = [BusMessageType.BUS_MESSAGE_TYPE_EMERGENCY_SIGNAL] as const;
  const consumer = oona.consumer({ stream: 'normal', group: 'g', types }, () => undefined);
  await consumer.start();
  assert.equal(await transport.groups(DEFAULT_STREAMS.emergency, calls), []);
  assert.throws(() => oona.consumer({ stream: 'normal', group: 'g', types: [] }, () => undefined), /types/);
  await oona.close();
});

test.run();
