import type { BusTransport } from '../../src/oona/transport/transport.ts';
import { consumerBadInputTests } from './consumer-bad-input.ts';
import { type ConsumerBench, openConsumerBench } from './consumer-bench.ts';
import { consumerDeliveryTests } from './consumer-delivery.ts';
import { consumerRetryTests } from './consumer-retries.ts';
import { sharedGuardTests } from './consumer-shared-guard.ts';
import { stopTests } from './consumer-stops.ts';
import { takeoverTests } from './consumer-takeovers.ts';
import { engineSuite } from './engine-suite.ts';
import type { TransportFixture } from './transport-bench.ts';

/** How a consumer behaves, whatever the engine and whoever keeps its replay guard. */
export function consumerConformance(
  kind: BusTransport['kind'],
  setup: () => Promise<TransportFixture>,
  replayGuard: 'local' | 'shared' = 'local',
): void {
  const title = replayGuard === 'local' ? `consumer on ${kind}` : `consumer on ${kind}, shared guard`;
  const { test, fixture, keep } = engineSuite(title, setup);
  const bench = (): ConsumerBench => keep(openConsumerBench(fixture().open(), { replayGuard }));
  consumerDeliveryTests(test, bench);
  consumerRetryTests(test, bench);
  consumerBadInputTests(test, bench);
  takeoverTests(test, bench);
  stopTests(test, bench);
  if (replayGuard === 'shared') sharedGuardTests(test, bench);
  test.run();
}
