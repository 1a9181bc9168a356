import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Metrics } from '../../../src/core/metrics.ts';
import { ErrorBus } from '../../../src/faults/error-bus.ts';
import type { ErrorReport } from '../../../src/faults/error-event.ts';
import { metricsHandler } from '../../../src/faults/handlers/metrics.ts';
import { collector, errorReport, keptLogger, turns } from '../../helpers/faults.ts';
import { createManualClock } from '../../helpers/manual-clock.ts';

const test = suite('error bus, circles and strange reports');

test('[R-E5] handlers that report after waiting do not keep each other at work', async () => {
  const clock = createManualClock();
  const bus = new ErrorBus({ clock, logger: keptLogger() });
  const calls: string[] = [];
  for (const name of ['one', 'two']) {
    bus.listen({
      name,
      handle: async ({ code }) => {
        calls.push(`${name} ${code}`);
        await turns(1);
        bus.emit(errorReport({ code: code === 'A' ? 'B' : 'A' }));
      },
    });
  }
  bus.emit(errorReport({ code: 'A' }));
  await turns(200);
  assert.ok(calls.length <= 16, String(calls.length));
  const still = calls.length;
  await turns(200);
  assert.is(calls.length, still);
  const { bySeverity, listeners } = bus.snapshot();
  assert.ok((bySeverity[4] ?? 0) >= still, 'all are counted');
  assert.ok(listeners.every(({ suppressed }) => suppressed > 0));
  clock.advance(100);
  await turns();
  bus.emit(errorReport({ code: 'A' }));
  await turns();
  assert.ok(calls.length > still, 'told again after a rest');
  await bus.close();
});

test('[R-E2][R-E8] a type that does not exist is that of the code, and no name of a counter', async () => {
  const metrics = new Metrics();
  const bus = new ErrorBus({ logger: keptLogger() });
  const { events, ...keeps } = collector();
  bus.listen({ ...keeps, name: 'keeps' });
  bus.listen(metricsHandler({ metrics }));
  const names = Object.keys(metrics.snapshot().counters);
  for (const type of [
    'evil.1',
    'pipeline.error.other',
    'pipeline.engine.',
    `pipeline.engine.${'x'.repeat(65)}`,
  ])
    bus.emit(errorReport({ code: `${type}`, type: type as never }));
  bus.emit(errorReport({ code: 'MINE', type: 'pipeline.engine.mine' }));
  await turns();
  assert.equal(
    events.map(({ type }) => type),
    [...Array(4).fill('pipeline.engine.other'), 'pipeline.engine.mine'],
  );
  assert.equal(Object.keys(metrics.snapshot().counters), names);
  await bus.close();
});

test('[R-E5] a report that reads differently each time ends no process', async () => {
  const bus = new ErrorBus({ logger: keptLogger() }, { maxRecords: 1 });
  const { events, ...keeps } = collector();
  bus.listen(keeps);
  bus.emit(errorReport());
  let reads = 0;
  const changing = {
    ...errorReport(),
    get code() {
      reads += 1;
      return reads === 1 ? 'TEXT' : 5;
    },
  };
  bus.emit(changing as unknown as ErrorReport);
  await turns();
  assert.equal(
    events.map(({ code }) => code),
    ['ADAPTER_FAILED', '5'],
  );
  await bus.close();
});

test.run();
