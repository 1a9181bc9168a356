import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Clock, systemClock } from '../../../src/core/clock.ts';
import { createMemoryTransport } from '../../../src/oona/transport/memory.ts';
import { calls, openConsumerBench } from '../../conformance/consumer-bench.ts';
import { never } from '../../conformance/transport-bench.ts';
import { until } from '../../helpers/until.ts';

const test = suite('housekeeping of a group');

test('[R-O2] a consumer that is gone for long is removed when nothing is pending under its name, else kept', async () => {
  const keepAlive = setInterval(() => undefined, 60_000);
  let aheadMs = 0;
  const clock: Clock = { ...systemClock, monotonicMs: () => systemClock.monotonicMs() + aheadMs };
  const { transport, stream, publish, worker, close } = openConsumerBench(createMemoryTransport({ clock }));
  const reader = transport.openReader();
  const request = { stream, group: 'g', which: 'new' as const, afterId: '0', count: 1, blockMs: 0 };
  await transport.ensureGroup(stream, 'g', '0', calls);
  await publish();
  await reader.read({ ...request, consumer: 'idle' }, never);
  await publish();
  await reader.read({ ...request, consumer: 'owing' }, never);
  const names = async (): Promise<string[]> =>
    (await transport.consumers(stream, 'g', calls)).map(({ consumer }) => consumer);
  const [first] = await transport.range({ stream, after: '', count: 1, newestFirst: false }, calls);
  await transport.acknowledge(stream, 'g', [first?.entryId ?? ''], calls);
  // A lease that does not pass here: nobody claims what 'owing' owes.
  const { consumer } = worker({ options: { leaseMs: 1500, claimIntervalMs: 3_600_000 } });
  await consumer.start();
  await until('its own name', async () => (await names()).includes(consumer.consumer));
  assert.equal((await names()).sort(), ['idle', 'owing', consumer.consumer].sort());
  consumer.pause();
  aheadMs = 301_000;
  await until('the removal', async () => !(await names()).includes('idle'));
  const left = await names();
  assert.ok(left.includes('owing') && left.includes(consumer.consumer));
  await reader.close();
  await close();
  clearInterval(keepAlive);
});

test.run();
