import { setImmediate as tick } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { silentLogger } from '../../../src/core/logger.ts';
import { Metrics } from '../../../src/core/metrics.ts';
import { ErrorSeverity } from '../../../src/leyline/messages.ts';
import { ConservativeMode } from '../../../src/oona/publish/conservative-mode.ts';
import { ErrorEvents, type PublishErrorEvent } from '../../../src/oona/publish/error-events.ts';
import { createMemoryTransport } from '../../../src/oona/transport/memory.ts';
import { createManualClock } from '../../helpers/manual-clock.ts';
import { createRig } from '../../helpers/publishing.ts';

const test = suite('conservative mode and error events');

function setup() {
  const clock = createManualClock();
  const metrics = new Metrics();
  const mode = new ConservativeMode(
    { clock, metrics, logger: silentLogger },
    { dwellMs: 5000, quietMs: 2000 },
  );
  const heard: boolean[] = [];
  mode.onChange((active) => heard.push(active));
  const pass = async (ms: number): Promise<void> => {
    clock.advance(ms);
    await tick();
  };
  return { clock, metrics, mode, heard, pass };
}

test('[R-O1] on at once, off only after its dwell time', async () => {
  const { mode, heard, pass, metrics } = setup();
  mode.hold('breaker');
  assert.equal([mode.active, mode.reasons], [true, ['breaker']]);
  mode.release('breaker');
  await pass(4999);
  assert.equal([mode.active, mode.reasons], [true, []]);
  await pass(1);
  assert.not(mode.active);
  assert.equal(heard, [true, false]);
  assert.equal(
    [metrics.value('oona.conservative_mode.active'), metrics.value('oona.conservative_mode.entered_total')],
    [0, 1],
  );
});

test('[R-O1] every reason must be gone for the quiet time without a break', async () => {
  const { mode, heard, pass } = setup();
  mode.hold('breaker');
  mode.hold('slo:a:fast');
  await pass(10_000);
  mode.release('breaker');
  await pass(10_000);
  assert.ok(mode.active, 'slo is held');
  mode.release('slo:a:fast');
  await pass(1999);
  mode.hold('breaker');
  mode.release('breaker');
  await pass(1999);
  assert.ok(mode.active, 'the quiet time began anew');
  await pass(1);
  assert.not(mode.active);
  assert.equal(heard, [true, false], 'one change each way');
});

test('[R-O1] holding twice is released once, releasing what nobody holds does nothing', async () => {
  const { mode, pass } = setup();
  mode.release('manual');
  assert.not(mode.active);
  mode.hold('manual');
  mode.hold('manual');
  mode.release('slo:a:fast');
  await pass(60_000);
  assert.ok(mode.active);
  mode.release('manual');
  mode.release('manual');
  await pass(60_000);
  assert.not(mode.active);
});

test('[R-O1] a listener that throws keeps nothing from the others, one that left hears nothing, closed is closed', async () => {
  const { clock, mode, heard, pass } = setup();
  mode.onChange(() => {
    throw new Error('listener');
  });
  let count = 0;
  const leave = mode.onChange(() => {
    count += 1;
  });
  leave();
  mode.hold('manual');
  mode.release('manual');
  mode.close();
  await pass(60_000);
  mode.hold('slo:a:fast');
  assert.equal([heard, count, clock.sleepers], [[true], 0, 0]);
});

test('[R-O5] trouble is told at once, then with back-off and a count of what was not told', () => {
  const clock = createManualClock();
  const told: PublishErrorEvent[] = [];
  const events = new ErrorEvents((event) => told.push(event), clock, silentLogger);
  let contexts = 0;
  const drop = (): void =>
    events.raise('dropped', 'normal', 1, () => {
      contexts += 1;
      return { depth: '9' };
    });
  for (let i = 0; i < 100_000; i++) {
    drop();
    clock.advance(1);
  }
  assert.equal(
    [told[0]?.count, told[0]?.code, told[0]?.component],
    [1, 'EVENT_DROPPED', 'oona.publish.normal'],
  );
  assert.equal(
    told.map(({ count }) => count),
    [1, 1000, 2000, 4000, 8000, 16_000, 32_000],
  );
  assert.is(contexts, told.length, 'nothing is put together for what is not told');
  clock.advance(200_000);
  drop();
  assert.is(told.length, 8, 'after a quiet time it is told at once');
  events.raise('rerouted', 'normal', 1, () => ({}));
  events.raise('dropped', 'policy', 1, () => ({}));
  assert.is(told.length, 10, 'each trouble and place by itself');
});

test('[R-O5] a listener of error events that throws is contained', () => {
  const thrower = (): void => {
    throw new Error('listener');
  };
  const events = new ErrorEvents(thrower, createManualClock(), silentLogger);
  assert.not.throws(() => events.raise('dropped', 'normal', 1, () => ({})));
});

const PACE = { mode: { dwellMs: 5000, quietMs: 2000 } };

test('[R-O1] [R-E2] entering and leaving are one error event each, with what held the mode', async () => {
  const clock = createManualClock();
  const rig = createRig(createMemoryTransport({ clock }), PACE, { clock });
  const pass = async (ms: number): Promise<void> => {
    clock.advance(ms);
    await tick();
  };
  const { mode, breaker, events } = rig;
  breaker.isolate();
  mode.hold('manual');
  mode.hold('slo:publish_latency:fast');
  mode.release('slo:publish_latency:fast');
  await pass(60_000);
  assert.is(events.length, 1, 'a further reason is no change');
  breaker.release();
  mode.release('manual');
  await pass(1999);
  mode.hold('manual');
  mode.release('manual');
  await pass(2000);
  mode.hold('manual');
  assert.equal(
    events.map(({ code, context }) => [code, context]),
    [
      ['DEGRADED_MODE_ACTIVATED', { reasons: 'breaker', lastedMs: '0' }],
      ['DEGRADED_MODE_CLEARED', { reasons: 'breaker,manual,slo:publish_latency:fast', lastedMs: '63999' }],
      ['DEGRADED_MODE_ACTIVATED', { reasons: 'manual', lastedMs: '0' }],
    ],
  );
  const [on, off] = events;
  assert.equal(
    [on?.severity, on?.type, on?.component, on?.count, on?.recoverable],
    [
      ErrorSeverity.ERROR_SEVERITY_CRITICAL,
      'pipeline.engine.degraded_mode_activated',
      'oona.conservative_mode',
      1,
      true,
    ],
  );
  assert.equal(
    [off?.severity, off?.type, off?.recoverable],
    [ErrorSeverity.ERROR_SEVERITY_INFO, 'pipeline.engine.degraded_mode_cleared', true],
  );
  await rig.close();
});

test('[R-O1] [R-E2] a listener of its events that throws keeps the mode from nothing', async () => {
  const clock = createManualClock();
  const onErrorEvent = (): void => {
    throw new Error('listener');
  };
  const rig = createRig(createMemoryTransport({ clock }), PACE, { clock, onErrorEvent });
  const heard: boolean[] = [];
  rig.mode.onChange((active) => heard.push(active));
  rig.mode.hold('manual');
  rig.mode.release('manual');
  clock.advance(5000);
  await tick();
  assert.equal([rig.mode.active, heard], [false, [true, false]]);
  await rig.close();
});

test.run();
