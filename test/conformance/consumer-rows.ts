import type { BusTransport } from '../../src/oona/transport/transport.ts';
import { badRowTests } from './consumer-bad-rows.ts';
import { type ConsumerBench, openConsumerBench } from './consumer-bench.ts';
import { replayedDeliveryTests } from './consumer-replays.ts';
import type { LetterFixture } from './dead-letters.ts';
import { engineSuite } from './engine-suite.ts';

/** What consumers refuse, and how it comes back; whatever the engine. */
export function consumerRowsConformance(
  kind: BusTransport['kind'],
  setup: () => Promise<LetterFixture>,
): void {
  const { test, fixture, keep } = engineSuite(`consumer's bad input on ${kind}`, setup);
  const bench = (): ConsumerBench => keep(openConsumerBench(fixture().open()));
  badRowTests(test, bench);
  replayedDeliveryTests(test, bench);
  test.run();
}
