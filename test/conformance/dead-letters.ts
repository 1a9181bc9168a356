import { suite } from 'uvu';
import type { BusTransport } from '../../src/oona/transport/transport.ts';
import { type LetterBench, openLetterBench } from '../helpers/dead-letters.ts';
import { auditTests } from './dead-letters-audit.ts';
import { lookingTests } from './dead-letters-looking.ts';
import { replayTests } from './dead-letters-replay.ts';

export interface LetterFixture {
  open(): BusTransport;
  teardown(): Promise<void>;
}

/** What a dead-letter stream can be asked for, on either engine. */
export function deadLetterConformance(kind: string, setup: () => Promise<LetterFixture>): void {
  const test = suite(`dead letters: ${kind}`);
  let fixture: LetterFixture | undefined;
  let bench: LetterBench | undefined;

  test.before(async () => {
    fixture = await setup();
  });
  test.before.each(() => {
    if (fixture === undefined) throw new Error('no fixture');
    bench = openLetterBench(fixture.open());
  });
  test.after.each(async () => {
    await bench?.transport.close();
  });
  test.after(async () => {
    await fixture?.teardown();
  });

  const current = (): LetterBench => {
    if (bench === undefined) throw new Error('no bench');
    return bench;
  };
  lookingTests(test, current);
  replayTests(test, current);
  auditTests(test, current);
  test.run();
}
