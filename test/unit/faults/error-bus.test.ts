import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { OptionError } from '../../../src/core/errors.ts';
import { ErrorBus } from '../../../src/faults/error-bus.ts';
import type { ErrorReport } from '../../../src/faults/error-event.ts';
import { FaultsClosedError } from '../../../src/faults/errors.ts';
import {
  CRITICAL,
  collector,
  DEBUG,
  ERROR,
  errorBus,
  errorReport,
  INFO,
  present,
  turns,
  WARNING,
} from '../../helpers/faults.ts';

const test = suite('error bus');

test('[R-E1][R-E5] a report becomes a frozen event, told in a later turn, to every listener', async () => {
  const { bus, clock } = errorBus();
  const [one, other] = [collector(), collector({ name: 'other' })];
  bus.listen(one);
  bus.listen(other);
  bus.emit(errorReport({ context: { port: 80 }, error: new Error('EADDRINUSE') }));
  assert.is(one.events.length, 0);
  await turns();
  const [event] = one.events;
  assert.ok(Object.isFrozen(event) && Object.isFrozen(event?.context));
  assert.is(event, other.events[0], 'made once');
  const { id, stackTrace, ...rest } = present(event);
  assert.match(id, /^[0-9a-f-]{36}-1$/);
  assert.match(stackTrace, /^Error: EADDRINUSE\n {4}at /);
  assert.equal(rest, {
    severity: ERROR,
    code: 'ADAPTER_FAILED',
    type: 'pipeline.error.adapter_failed',
    message: 'it broke',
    component: 'adapter:http',
    occurredAtMs: clock.wallMs(),
    context: { port: '80' },
    recoverable: true,
    count: 1,
  });
});

test('[R-E1] CRITICAL is not recoverable unless the report says so', async () => {
  const { bus } = errorBus();
  const listener = collector();
  bus.listen(listener);
  bus.emit(errorReport({ severity: CRITICAL }));
  bus.emit(errorReport({ severity: CRITICAL, recoverable: true, component: 'other' }));
  bus.emit(errorReport({ severity: ERROR, recoverable: false }));
  await turns();
  assert.equal(
    listener.events.map(({ recoverable }) => recoverable),
    [false, true, false],
  );
});

test('[R-E5] while nobody listens errors are counted, with first and last time, and no context is read', () => {
  const { bus, clock } = errorBus();
  const startMs = clock.wallMs();
  const context = {
    get secret(): string {
      throw assert.unreachable();
    },
  };
  bus.emit(errorReport({ context }));
  clock.advance(60_000);
  return Promise.resolve().then(() => {
    bus.emit(errorReport({ context, severity: WARNING }));
    const { records, bySeverity } = bus.snapshot();
    assert.equal(records, [
      {
        code: 'ADAPTER_FAILED',
        component: 'adapter:http',
        count: 2,
        suppressed: 2,
        severity: WARNING,
        firstAtMs: startMs,
        lastAtMs: startMs + 60_000,
      },
    ]);
    assert.equal(bySeverity, [0, 0, 0, 1, 1, 0]);
  });
});

test('[R-E5] the time is read again within a flood that leaves no turn to a timer', () => {
  const { bus, clock } = errorBus();
  bus.emit(errorReport());
  const startMs = clock.wallMs();
  clock.stepWall(5000);
  for (let i = 0; i < 1100; i++) bus.emit(errorReport());
  assert.is(bus.snapshot().records[0]?.lastAtMs, startMs + 5000);
});

test('[R-E5] equal errors that wait together are one event with a count; another severity is another event', async () => {
  const { bus } = errorBus();
  const listener = collector();
  bus.listen(listener);
  for (let i = 0; i < 5; i++) bus.emit(errorReport({ message: `the ${i}.` }));
  bus.emit(errorReport({ severity: CRITICAL }));
  bus.emit(errorReport({ component: 'adapter:grpc' }));
  await turns();
  assert.equal(
    listener.events.map(({ message, component, count }) => `${component} ${message} ${count}`),
    ['adapter:http the 0. 5', 'adapter:http it broke 1', 'adapter:grpc it broke 1'],
  );
  bus.emit(errorReport());
  await turns();
  assert.is(listener.events.at(-1)?.count, 1, 'told again once it is told');
  assert.equal(bus.snapshot().records[0]?.suppressed, 4);
});

test('[R-E5] one that is not recoverable never hides among those that are', async () => {
  const { bus } = errorBus();
  const listener = collector();
  bus.listen(listener);
  bus.emit(errorReport({ severity: CRITICAL, recoverable: true }));
  bus.emit(errorReport({ severity: CRITICAL, recoverable: false }));
  await turns();
  assert.equal(
    listener.events.map(({ recoverable }) => recoverable),
    [true, false],
  );
});

test('[R-E5] events come in the order in which they happened, whatever their severity', async () => {
  const { bus } = errorBus();
  const listener = collector();
  bus.listen(listener);
  const severities = [WARNING, ERROR, CRITICAL, INFO, DEBUG];
  for (const severity of severities) bus.emit(errorReport({ severity }));
  await turns();
  assert.equal(
    listener.events.map(({ severity }) => severity),
    severities,
  );
});

test('[R-E5] minSeverity spares a listener what it did not ask for', async () => {
  const { bus } = errorBus();
  const listener = collector({ minSeverity: ERROR });
  bus.listen(listener);
  for (const severity of [DEBUG, WARNING, ERROR, CRITICAL]) bus.emit(errorReport({ severity }));
  await turns();
  assert.is(listener.events.length, 2);
  assert.is(bus.snapshot().listeners[0]?.offered, 2);
});

const hostile = new Proxy({} as ErrorReport, {
  get: () => {
    throw new Error('hostile');
  },
});

test('[R-E5] no report makes emit throw', async () => {
  const { bus, logger } = errorBus();
  const listener = collector();
  bus.listen(listener);
  const bad: unknown[] = [null, undefined, 5, {}, hostile, { code: 5, component: null }];
  for (const report of bad) bus.emit(report as ErrorReport);
  assert.is(bus.snapshot().malformed, bad.length);
  assert.match(logger.lines[0]?.message ?? '', /^error bus: a report cannot be read/);
  bus.emit(
    errorReport({ severity: 2.5 as never, message: { toString: () => assert.unreachable() } as never }),
  );
  bus.emit(errorReport({ severity: 99 as never, code: 'X' }));
  await turns();
  assert.equal(
    listener.events.map(({ severity, message }) => [severity, message]),
    [
      [ERROR, '(cannot be made text)'],
      [ERROR, 'it broke'],
    ],
  );
});

test('[R-E5] a listener is checked when it comes', () => {
  const { bus } = errorBus();
  assert.throws(
    () => bus.listen(collector({ name: '' })),
    (e: unknown) => e instanceof OptionError,
  );
  assert.throws(
    () => bus.listen(collector({ minSeverity: 9 as never })),
    /minSeverity must be an ErrorSeverity/,
  );
  assert.throws(() => bus.listen({ name: 'x' } as never), /handle must be a function/);
  assert.throws(() => new ErrorBus({}, { queueLimit: 4, reservedForCritical: 4 }), /less than queueLimit/);
  for (let i = 0; i < 64; i++) bus.listen(collector({ name: `c${i}` }));
  assert.throws(() => bus.listen(collector()), /64 listeners are the most/);
});

test('[R-E5] close tells what waits, closes the handlers, and counts from then on', async () => {
  const { bus } = errorBus();
  let closed = 0;
  const listener = collector({ close: () => void closed++ });
  bus.listen(listener);
  bus.emit(errorReport());
  const { drained, snapshot } = await bus.close();
  assert.ok(drained);
  assert.is(closed, 1);
  assert.equal(listener.told(), ['ADAPTER_FAILED x 1']);
  assert.is(snapshot.listeners[0]?.delivered, 1);
  bus.emit(errorReport());
  await turns();
  assert.is(listener.events.length, 1);
  assert.equal(bus.snapshot().listeners, []);
  assert.is(bus.snapshot().records[0]?.count, 2);
  assert.throws(
    () => bus.listen(collector()),
    (e: unknown) => e instanceof FaultsClosedError,
  );
  assert.is(await bus.close(), await bus.close(), 'once');
});

test.run();
