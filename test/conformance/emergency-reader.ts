import type { BusTransport } from '../../src/oona/transport/transport.ts';
import { badInputTests } from './emergency-bad-input.ts';
import { openReaderBench, type ReaderBench } from './emergency-bench.ts';
import { deliveryTests } from './emergency-delivery.ts';
import { retryTests } from './emergency-retries.ts';
import { engineSuite } from './engine-suite.ts';
import { hostGroupTests } from './host-groups.ts';
import type { TransportFixture } from './transport-bench.ts';

/** How the reader of the emergency stream behaves, whatever the engine. */
export function emergencyReaderConformance(
  kind: BusTransport['kind'],
  setup: () => Promise<TransportFixture>,
): void {
  const { test, fixture, keep } = engineSuite(`emergency reader on ${kind}`, setup);
  const bench = (): ReaderBench => keep(openReaderBench(fixture().open()));
  deliveryTests(test, bench);
  badInputTests(test, bench);
  retryTests(test, bench);
  hostGroupTests(test, bench);
  test.run();
}
