import type { BusTransport } from '../../src/oona/transport/transport.ts';
import { engineSuite } from './engine-suite.ts';
import { appendTests } from './transport-appends.ts';
import { type Bench, openBench, type TransportFixture } from './transport-bench.ts';
import { consumerTests } from './transport-consumers.ts';
import { deadLetterTests } from './transport-dead-letters.ts';
import { depthTests } from './transport-depth.ts';
import { groupTests } from './transport-groups.ts';
import { guardTests } from './transport-guard.ts';
import { leaseTests } from './transport-leases.ts';
import { pendingTests } from './transport-pending.ts';
import { readTests } from './transport-reads.ts';
import { trimTests } from './transport-trim.ts';

/** The behaviour every engine must show; run once for each. */
export function transportConformance(
  kind: BusTransport['kind'],
  setup: () => Promise<TransportFixture>,
): void {
  const { test, fixture, keep } = engineSuite(`transport ${kind}`, setup);
  const bench = (): Bench => {
    const made = openBench(fixture());
    keep(made.transport);
    keep(made.peer);
    return made;
  };
  appendTests(test, bench);
  groupTests(test, bench);
  readTests(test, bench);
  leaseTests(test, bench);
  pendingTests(test, bench);
  guardTests(test, bench);
  deadLetterTests(test, bench);
  depthTests(test, bench);
  trimTests(test, bench);
  consumerTests(test, bench);
  test.run();
}
