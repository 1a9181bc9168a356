import type { BusTransport } from '../../src/oona/transport/transport.ts';
import { consumerBadInputTests } from './consumer-bad-input.ts';
import { type ConsumerBench, openConsumerBench } from './consumer-bench.ts';
import { consumerDeliveryTests } from './consumer-delivery.ts';
import { consumerRetryTests } from './consumer-retries.ts';
import { stopTests } from './consumer-stops.ts';
import { takeoverTests } from './consumer-takeovers.ts';
import { engineSuite } from './engine-suite.ts';
import type { TransportFixture } from './transport-bench.ts';

/** How a consumer behaves, whatever the engine. */
export function consumerConformance(
  kind: BusTransport['kind'],
  setup: () => Promise<TransportFixture>,
): void {
  const { test, fixture, keep } = engineSuite(`consumer on ${kind}`, setup);
  const bench = (): ConsumerBench => keep(openConsumerBench(fixture().open()));
  consumerDeliveryTests(test, bench);
  consumerRetryTests(test, bench);
  consumerBadInputTests(test, bench);
  takeoverTests(test, bench);
  stopTests(test, bench);
  test.run();
}
