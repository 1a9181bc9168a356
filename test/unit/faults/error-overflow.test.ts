import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { ErrorReport } from '../../../src/faults/error-event.ts';
import {
  CRITICAL,
  collector,
  ERROR,
  errorBus,
  errorReport,
  INFO,
  present,
  turns,
  WARNING,
} from '../../helpers/faults.ts';

const test = suite('error bus: overflow');

const numbered = (severity: number, from: number, to: number): ErrorReport[] =>
  Array.from({ length: to - from }, (_, i) => errorReport({ severity, component: `c${from + i}` }));

test('[R-E5] slots are kept free for CRITICAL, and under overflow the least severe goes first', async () => {
  const { bus } = errorBus({ queueLimit: 6, reservedForCritical: 2 });
  const listener = collector();
  bus.listen(listener);
  for (const report of numbered(WARNING, 0, 6)) bus.emit(report);
  // Full but for the two: the newest warning gives way to an error, then the reserve is used, then warnings go.
  bus.emit(errorReport({ severity: ERROR, component: 'e0' }));
  bus.emit(errorReport({ severity: INFO, component: 'i0' }));
  for (const report of numbered(CRITICAL, 10, 15)) bus.emit(report);
  await turns();
  assert.equal(
    listener.events.map(({ component }) => component),
    ['e0', 'c10', 'c11', 'c12', 'c13', 'c14'],
  );
  const { offered, dropped, delivered, suppressed } = present(bus.snapshot().listeners[0]);
  assert.equal(
    { offered, dropped, delivered, suppressed },
    { offered: 13, dropped: 7, delivered: 6, suppressed: 0 },
  );
});

test('[R-E5] a CRITICAL error displaces nothing as severe, and its count is told with the next', async () => {
  const { bus } = errorBus({ queueLimit: 2, reservedForCritical: 1 });
  const listener = collector();
  bus.listen(listener);
  for (const report of numbered(CRITICAL, 0, 3)) bus.emit(report);
  await turns();
  assert.equal(
    listener.events.map(({ component }) => component),
    ['c0', 'c1'],
  );
  assert.is(bus.snapshot().listeners[0]?.dropped, 1);
});

test('[R-E5] what was displaced is counted on the next event of its kind', async () => {
  const { bus } = errorBus({ queueLimit: 2, reservedForCritical: 1 });
  const listener = collector();
  bus.listen(listener);
  bus.emit(errorReport({ severity: WARNING, code: 'A' }));
  bus.emit(errorReport({ severity: WARNING, code: 'A' }));
  bus.emit(errorReport({ severity: ERROR, code: 'B' }));
  await turns();
  bus.emit(errorReport({ severity: WARNING, code: 'A' }));
  await turns();
  assert.equal(listener.told(), ['B x 1', 'A x 3']);
});

test('[R-E5] and so is what had no room', async () => {
  const { bus } = errorBus({ queueLimit: 2, reservedForCritical: 1 });
  const listener = collector();
  bus.listen(listener);
  bus.emit(errorReport({ code: 'A' }));
  await turns();
  for (const code of ['B', 'A']) bus.emit(errorReport({ code }));
  await turns();
  bus.emit(errorReport({ code: 'A' }));
  await turns();
  assert.equal(listener.told(), ['A x 1', 'B x 1', 'A x 2']);
});

test('[R-E5] distinct errors beyond maxRecords share one record, and are told as what they are', async () => {
  const { bus } = errorBus({ maxRecords: 2 });
  const listener = collector();
  bus.listen(listener);
  for (let i = 0; i < 5; i++) bus.emit(errorReport({ code: `CODE_${i}` }));
  await turns();
  assert.equal(listener.told(), ['CODE_0 x 1', 'CODE_1 x 1', 'CODE_2 x 1', 'CODE_3 x 1', 'CODE_4 x 1']);
  assert.equal(
    bus.snapshot().records.map(({ code, component, count }) => `${code} ${component} ${count}`),
    ['CODE_0 adapter:http 1', 'CODE_1 adapter:http 1', 'OTHER other 3'],
  );
});

test('[R-E5] names that fall together in the look-up are told apart, and long ones are cut', () => {
  const { bus } = errorBus();
  // Same lengths, same first letter of the code, same last letters of the component; and a name of two letters.
  for (let round = 0; round < 3; round++) {
    for (const code of ['AAB', 'ABB', 'ACB']) {
      for (const component of ['one:xyz', 'two:xyz', 'xx']) bus.emit(errorReport({ code, component }));
    }
  }
  bus.emit(errorReport({ code: 'L'.repeat(1e6) }));
  bus.emit(errorReport({ code: 'L'.repeat(1e6) }));
  const { records } = bus.snapshot();
  assert.equal(
    records.map(({ count }) => count),
    [...Array(9).fill(3), 2],
  );
  assert.ok((records.at(-1)?.code.length ?? 0) < 200);
});

test.run();
