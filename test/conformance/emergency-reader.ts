import { suite } from 'uvu';
import type { BusTransport } from '../../src/oona/transport/transport.ts';
import { badInputTests } from './emergency-bad-input.ts';
import { openReaderBench, type ReaderBench } from './emergency-bench.ts';
import { deliveryTests } from './emergency-delivery.ts';
import { retryTests } from './emergency-retries.ts';
import { hostGroupTests } from './host-groups.ts';
import type { TransportFixture } from './transport-bench.ts';

/** How the reader of the emergency stream behaves, whatever the engine. */
export function emergencyReaderConformance(
  kind: BusTransport['kind'],
  setup: () => Promise<TransportFixture>,
): void {
  const test = suite(`emergency reader on ${kind}`);
  // The memory engine's waits do not keep a process alive.
  const keepAlive = setInterval(() => undefined, 60_000);
  const opened: ReaderBench[] = [];
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

  const bench = (): ReaderBench => {
    const made = openReaderBench(fixture.open());
    opened.push(made);
    return made;
  };
  deliveryTests(test, bench);
  badInputTests(test, bench);
  retryTests(test, bench);
  hostGroupTests(test, bench);
  test.run();
}
