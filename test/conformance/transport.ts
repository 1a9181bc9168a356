import { suite } from 'uvu';
import type { BusTransport } from '../../src/oona/transport/transport.ts';
import { appendTests } from './transport-appends.ts';
import { type Bench, openBench, type TransportFixture } from './transport-bench.ts';
import { consumerTests } from './transport-consumers.ts';
import { deadLetterTests } from './transport-dead-letters.ts';
import { depthTests } from './transport-depth.ts';
import { groupTests } from './transport-groups.ts';
import { leaseTests } from './transport-leases.ts';
import { pendingTests } from './transport-pending.ts';
import { readTests } from './transport-reads.ts';
import { trimTests } from './transport-trim.ts';

/** The behaviour every engine must show; run once for each. */
export function transportConformance(
  kind: BusTransport['kind'],
  setup: () => Promise<TransportFixture>,
): void {
  const test = suite(`transport ${kind}`);
  let fixture: TransportFixture;
  // The memory engine's waits do not keep a process alive.
  const keepAlive = setInterval(() => undefined, 60_000);
  const opened: BusTransport[] = [];

  test.before(async () => {
    fixture = await setup();
  });
  test.after.each(async () => {
    await Promise.all(opened.splice(0).map((transport) => transport.close()));
  });
  test.after(async () => {
    clearInterval(keepAlive);
    await fixture.teardown();
  });

  const bench = (): Bench => {
    const made = openBench(fixture);
    opened.push(made.transport, made.peer);
    return made;
  };
  appendTests(test, bench);
  groupTests(test, bench);
  readTests(test, bench);
  leaseTests(test, bench);
  pendingTests(test, bench);
  deadLetterTests(test, bench);
  depthTests(test, bench);
  trimTests(test, bench);
  consumerTests(test, bench);
  test.run();
}
