import { suite } from 'uvu';
import type { BusTransport } from '../../src/oona/transport/transport.ts';
import { badRowTests } from './consumer-bad-rows.ts';
import { type ConsumerBench, openConsumerBench } from './consumer-bench.ts';
import { replayedDeliveryTests } from './consumer-replays.ts';
import type { LetterFixture } from './dead-letters.ts';

/** What consumers refuse, and how it comes back; whatever the engine. */
export function consumerRowsConformance(
  kind: BusTransport['kind'],
  setup: () => Promise<LetterFixture>,
): void {
  const test = suite(`consumer's bad input on ${kind}`);
  // The memory engine's waits do not keep a process alive.
  const keepAlive = setInterval(() => undefined, 60_000);
  const opened: ConsumerBench[] = [];
  let fixture: LetterFixture;

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
  badRowTests(test, bench);
  replayedDeliveryTests(test, bench);
  test.run();
}
