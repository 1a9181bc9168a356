import { suite, type Test } from 'uvu';

interface Closable {
  close(): Promise<void>;
}

export interface EngineSuite<F> {
  readonly test: Test;
  /** From the first test on. */
  fixture(): F;
  /** Closed after the test, what was opened last first. */
  keep<T extends Closable>(one: T): T;
}

/** A suite over an engine that is set up once for all of its tests. */
export function engineSuite<F extends { teardown(): Promise<void> }>(
  name: string,
  setup: () => Promise<F>,
): EngineSuite<F> {
  const test = suite(name);
  // The memory engine's waits do not keep a process alive.
  const keepAlive = setInterval(() => undefined, 60_000);
  const opened: Closable[] = [];
  let ready: F | undefined;

  test.before(async () => {
    ready = await setup();
  });
  test.after.each(async () => {
    for (const one of opened.splice(0).reverse()) await one.close();
  });
  test.after(async () => {
    clearInterval(keepAlive);
    await ready?.teardown();
  });

  return {
    test,
    fixture() {
      if (ready === undefined) throw new Error(`${name}: the engine is not set up yet`);
      return ready;
    },
    keep(one) {
      opened.push(one);
      return one;
    },
  };
}
