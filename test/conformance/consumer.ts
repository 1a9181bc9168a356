import { suite } from 'uvu';
import type { BusTransport } from '../../src/oona/transport/transport.ts';
import { consumerBadInputTests } from './consumer-bad-input.ts';
import { type ConsumerBench, openConsumerBench } from './consumer-bench.ts';
import { consumerDeliveryTests } from './consumer-delivery.ts';
import { consumerRetryTests } from './consumer-retries.ts';
import { stopTests } from './consumer-stops.ts';
import { takeoverTests } from './consumer-takeovers.ts';
import type { TransportFixture } from './transport-bench.ts';

/** How a consumer behaves, whatever the engine. */
export function consumerConformance(
  kind: BusTransport['kind'],
  setup: () => Promise<TransportFixture>,
): void {
  const test = suite(`consumer on ${kind}`);
  // The memory engine's waits do not keep a process alive.
  const keepAlive = setInterval(() => undefined, 60_000);
  const opened: ConsumerBench[] = [];
  let fixture: TransportFixture;

  test.before(async () => {
    fixture = await setup();
  });
  test.after.each(async () => {
    await Promise.all(opened.splice(0).map((bench) => bench.close()));
  });
  test.after(async () => {
    clearInterval(keepAlive);
    await fixture.teardown();
  });

  const bench = (): ConsumerBench => {
    const made = openConsumerBench(fixture.open());
    opened.push(made);
    return made;
  };
  consumerDeliveryTests(test, bench);
  consumerRetryTests(test, bench);
  consumerBadInputTests(test, bench);
  takeoverTests(test, bench);
  stopTests(test, bench);
  test.run();
}
