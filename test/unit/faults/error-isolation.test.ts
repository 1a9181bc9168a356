import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ErrorBus } from '../../../src/faults/error-bus.ts';
import type { ErrorBusOptions } from '../../../src/faults/error-bus-options.ts';
import type { ListenerSnapshot } from '../../../src/faults/error-listener.ts';
import { FaultsClosedError, HandlerTimeoutError } from '../../../src/faults/errors.ts';
import { CRITICAL, collector, errorReport, keptLogger, present, turns } from '../../helpers/faults.ts';
import { createManualClock } from '../../helpers/manual-clock.ts';

const test = suite('error bus: listeners that misbehave');

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

function setup(options: ErrorBusOptions = {}) {
  const clock = createManualClock();
  const logger = keptLogger();
  const bus = new ErrorBus({ clock, logger }, options);
  const clean = collector({ name: 'clean' });
  bus.listen(clean);
  const of = (name: string): ListenerSnapshot =>
    present(bus.snapshot().listeners.find((listener) => listener.name === name));
  const emit = async (...codes: string[]): Promise<void> => {
    for (const code of codes) bus.emit(errorReport({ code }));
    await turns();
  };
  return { clock, logger, bus, clean, of, emit };
}

test('[R-E5][R-E8] one that throws or rejects is counted, told in the last-resort log, and served on', async () => {
  const { bus, clean, of, emit, logger } = setup();
  bus.listen({
    name: 'throws',
    handle: () => {
      throw new Error('redis://u:pw@h is gone');
    },
  });
  bus.listen({ name: 'rejects', handle: () => Promise.reject(new Error('no')) });
  await emit('A', 'B');
  await turns();
  assert.equal(clean.told(), ['A x 1', 'B x 1']);
  assert.equal([of('throws').failed, of('throws').delivered], [2, 2]);
  assert.equal([of('rejects').failed, of('rejects').delivered], [2, 2]);
  assert.is(logger.lines.length, 1, 'a line a second');
  assert.is(logger.lines[0]?.message, 'error bus: handler throws failed: redis://***@h is gone');
});

test('[R-E5] one that hangs is waited for in vain only so long, then handed the next event', async () => {
  const { bus, clock, clean, of, emit } = setup({ handlerTimeoutMs: 100, maxHungCalls: 2 });
  const reasons: unknown[] = [];
  const ends: (() => void)[] = [];
  bus.listen({
    name: 'hangs',
    handle: (_, signal) => {
      signal.addEventListener('abort', () => reasons.push(signal.reason));
      return new Promise((resolve) => ends.push(resolve));
    },
  });
  await emit('A', 'B', 'C', 'D');
  assert.equal(clean.told(), ['A x 1', 'B x 1', 'C x 1', 'D x 1']);
  assert.is(ends.length, 1, 'one call at a time');
  clock.advance(100);
  await turns();
  clock.advance(100);
  await turns();
  assert.ok(reasons.length === 2 && reasons.every((reason) => reason instanceof HandlerTimeoutError));
  assert.equal([of('hangs').timedOut, of('hangs').hung, of('hangs').queued], [2, 2, 2]);
  clock.advance(10_000);
  await turns();
  assert.is(ends.length, 2, 'no more calls while two hang');
  ends[0]?.();
  await turns();
  assert.is(ends.length, 3);
  assert.equal([of('hangs').hung, of('hangs').delivered, of('hangs').queued], [1, 3, 1]);
});

test('[R-E5] one that is stuck costs the others nothing, and holds no context', async () => {
  const { bus, clean, of } = setup({ queueLimit: 8, reservedForCritical: 2 });
  bus.listen({ name: 'stuck', handle: () => new Promise(() => undefined) });
  for (let i = 0; i < 40; i++) {
    bus.emit(errorReport({ code: `C${i}`, context: { big: { i } } }));
    await turns(2);
  }
  assert.is(clean.events.length, 40);
  const { offered, delivered, queued, dropped } = of('stuck');
  assert.equal(
    { offered, delivered, queued, dropped },
    { offered: 40, delivered: 1, queued: 6, dropped: 33 },
  );
});

test('[R-E5] the context of a report is let go in the turn after it, though a stuck listener keeps the event', async () => {
  const bus = new ErrorBus();
  bus.listen({ name: 'stuck', handle: () => new Promise(() => undefined) });
  bus.emit(errorReport({ code: 'FIRST' }));
  await turns();
  let context: object | undefined = { payload: new Uint8Array(8) };
  const ref = new WeakRef(context);
  bus.emit(errorReport({ code: 'SECOND', context: context as Record<string, unknown> }));
  context = undefined;
  await turns();
  collectGarbage();
  await turns();
  assert.is(ref.deref(), undefined);
});

test('[R-E5] one that leaves within its own call is told nothing more', async () => {
  const { bus, clean, emit } = setup();
  const told: string[] = [];
  const leave = bus.listen({
    name: 'leaves',
    handle: ({ code }) => {
      told.push(code);
      leave();
      leave();
    },
  });
  await emit('A', 'B');
  assert.equal(told, ['A']);
  assert.equal(clean.told(), ['A x 1', 'B x 1']);
  assert.is(bus.snapshot().listeners.length, 1);
  const next = collector({ name: 'next' });
  bus.listen(next);
  await emit('A', 'B');
  assert.equal(next.told(), ['A x 1', 'B x 1'], 'nothing counted for the one whose place it has');
});

test('[R-E5] an error from an error handler is counted and logged, and does not go round', async () => {
  const { bus, clean, emit, logger } = setup();
  bus.listen({ name: 'reports', handle: () => bus.emit(errorReport({ code: 'FROM_HANDLER' })) });
  await emit('A');
  await turns(20);
  assert.equal(clean.told(), ['A x 1']);
  assert.is(bus.snapshot().fromHandlers, 1);
  assert.is(bus.snapshot().records.find(({ code }) => code === 'FROM_HANDLER')?.count, 1);
  assert.is(logger.lines[0]?.message, 'error bus: reported by an error handler: it broke');
});

test('[R-E5] nor does one that a handler reports after it waited: it ends with the handler at work on the same', async () => {
  const { bus, clean, of, emit } = setup();
  bus.listen({
    name: 'late',
    handle: async () => {
      await turns(1);
      bus.emit(errorReport({ code: 'FROM_HANDLER' }));
    },
  });
  await emit('A');
  await turns(50);
  assert.equal([of('late').delivered, of('late').suppressed, of('late').queued], [2, 1, 0]);
  const told = clean.events.filter(({ code }) => code === 'FROM_HANDLER');
  assert.is(
    told.reduce((sum, { count }) => sum + count, 0),
    2,
  );
});

test('[R-E5] nor one that a getter of a context reports, with a getter of its own', async () => {
  const { bus, clean } = setup();
  const context = {
    get again(): string {
      bus.emit(errorReport({ code: 'FROM_GETTER', context }));
      return 'text';
    },
  };
  bus.emit(errorReport({ context }));
  await turns(20);
  assert.equal(clean.told(), ['ADAPTER_FAILED x 1']);
  assert.is(bus.snapshot().fromHandlers, 1);
});

test('[R-E5] a last-resort log that throws harms nobody', async () => {
  const broken = (): never => {
    throw new Error('disk full');
  };
  const logger = { debug: broken, info: broken, warn: broken, error: broken };
  const bus = new ErrorBus({ logger });
  const clean = collector();
  bus.listen({ name: 'throws', handle: broken });
  bus.listen(clean);
  bus.emit(errorReport());
  bus.emit(null as never);
  await turns();
  assert.is(clean.events.length, 1);
});

test('[R-E5] a call that is given up takes the signal of none after it, also where none is declared', async () => {
  const { bus, clock, emit } = setup({ handlerTimeoutMs: 100 });
  const signals: AbortSignal[] = [];
  bus.listen({
    name: 'hangs',
    handle: (...[event, signal]: [event: { readonly code: string }, signal: AbortSignal]) => {
      signals.push(signal);
      return event.code === 'B' ? new Promise<void>(() => undefined) : undefined;
    },
  });
  await emit('A', 'B', 'C');
  clock.advance(100);
  await turns();
  assert.is(signals.length, 3);
  assert.ok(signals[1]?.aborted);
  assert.not(signals[2]?.aborted);
});

test('[R-E5] close gives up what hangs at its deadline, and tells so', async () => {
  const { bus, clock, clean, emit } = setup({ drainTimeoutMs: 300 });
  const reasons: unknown[] = [];
  let hangsClosed = false;
  bus.listen({
    name: 'hangs',
    handle: (_, signal) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(reasons.push(signal.reason)));
      }),
    close: () => {
      hangsClosed = true;
      return new Promise(() => undefined);
    },
  });
  await emit('A', 'B');
  const closing = bus.close();
  await turns();
  clock.advance(300);
  const { drained, snapshot } = await closing;
  assert.not(drained);
  assert.ok(hangsClosed);
  assert.ok(reasons.length === 1 && reasons[0] instanceof FaultsClosedError);
  const hangs = snapshot.listeners[1];
  assert.equal([hangs?.delivered, hangs?.dropped, hangs?.queued], [1, 1, 0]);
  assert.equal(clean.told(), ['A x 1', 'B x 1']);
});

test('[R-E5] close waits for a slow one, and bears one whose close throws', async () => {
  const { bus, logger } = setup();
  const told: string[] = [];
  bus.listen({
    name: 'slow',
    handle: async ({ code }) => {
      await turns(3);
      told.push(code);
    },
    close: () => Promise.reject(new Error('no')),
  });
  for (const code of ['A', 'B', 'C']) bus.emit(errorReport({ code, severity: CRITICAL }));
  const { drained } = await bus.close();
  assert.ok(drained);
  assert.equal(told, ['A', 'B', 'C']);
  assert.is(logger.lines[0]?.message, 'error bus: handler slow did not close: no');
});

test.run();
