import { setTimeout as delay } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { BusMessageType } from '../../../src/leyline/index.ts';
import type { PublishingParts, PublishingTuning } from '../../../src/oona/publish/publishing.ts';
import type { BusMessage } from '../../../src/oona/work-types.ts';
import { createFaultTransport } from '../../helpers/fault-transport.ts';
import { createManualClock } from '../../helpers/manual-clock.ts';
import { createRig, message } from '../../helpers/publishing.ts';
import { until } from '../../helpers/until.ts';

const test = suite('publishing that waits');
const REPORT = BusMessageType.BUS_MESSAGE_TYPE_FIELD_REPORT;
let made = 0;
const report = (): BusMessage => {
  made += 1;
  return message(REPORT, { reportId: `r${made}`, notes: 'x'.repeat(100) });
};

/** Opens after one failure and comes back soon. */
const nervous = { consecutiveFailures: 1, consecutiveSpanMs: 0, openBaseMs: 20, openCapMs: 40 };
const brief = { dwellMs: 0, quietMs: 10 };

function setup(tuning: PublishingTuning = {}, more: Partial<PublishingParts> = {}) {
  const transport = createFaultTransport();
  const rig = createRig(transport, tuning, { publishDeadlineMs: 200, ...more });
  return { transport, ...rig };
}

test('[R-O1] a full outbox drops its oldest and tells; a message that fits nowhere is dropped itself', async () => {
  const { publisher, mode, metrics, events, observed } = setup({
    publish: { outboxMaxMessages: 3, outboxMaxBytes: 4096 },
  });
  mode.hold('manual');
  for (let i = 0; i < 5; i++) assert.is((await publisher.publish(report())).outcome, 'deferred');
  assert.equal(publisher.outboxStats().dropped.overflow, 2);
  const large = await publisher.publish(message(REPORT, { notes: 'x'.repeat(5000) }));
  assert.equal([large.outcome, (large as { reason: string }).reason], ['dropped', 'outbox-full']);
  assert.equal(
    [metrics.value('publish_dropped'), metrics.value('oona.publish.outbox_dropped_total')],
    [0, 3],
    'each under its own name',
  );
  assert.equal(
    events.map(({ code, component }) => `${code} ${component}`),
    [
      'DEGRADED_MODE_ACTIVATED oona.conservative_mode',
      'BUFFER_SATURATED oona.publish.outbox',
      'EVENT_DROPPED oona.publish.normal',
    ],
  );
  assert.is(observed.filter((line) => line === 'normal outbox_dropped').length, 3);
});

test('[R-O1] what waited longer than receivers accept is dropped as expired', async () => {
  const clock = createManualClock();
  const { publisher, mode, transport } = setup({ mode: { dwellMs: 0, quietMs: 0 } }, { clock, ttlMs: 1000 });
  mode.hold('manual');
  await publisher.publish(report());
  clock.advance(1000);
  mode.release('manual');
  await until('over', () => {
    clock.advance(1);
    return publisher.outboxStats().waiting === 0;
  });
  assert.equal([publisher.outboxStats().dropped.expired, transport.attempts.length], [1, 0]);
});

test('[R-O1] the outbox is emptied no faster than it may', async () => {
  const clock = createManualClock();
  const { publisher, mode, transport } = setup(
    { mode: { dwellMs: 0, quietMs: 0 }, publish: { outboxFlushPerSecond: 100 } },
    { clock },
  );
  mode.hold('manual');
  for (let i = 0; i < 100; i++) await publisher.publish(report());
  mode.release('manual');
  clock.advance(1);
  const startedAtMs = clock.monotonicMs();
  await until('all are out', async () => {
    clock.advance(1);
    await delay(0);
    const allowed = 3 + (clock.monotonicMs() - startedAtMs) / 10;
    assert.ok(transport.attempts.length <= allowed, `${transport.attempts.length} of ${allowed}`);
    return publisher.outboxStats().published === 100;
  });
  assert.ok(clock.monotonicMs() - startedAtMs >= 900);
});

test('[R-O1] close gives what waits its time, then counts the rest as dropped', async () => {
  const { publisher, transport, mode, close } = setup({ publish: { closeFlushMs: 100 } });
  mode.hold('manual');
  for (let i = 0; i < 5; i++) await publisher.publish(report());
  transport.mode = 'down';
  await close();
  const { accepted, waiting, dropped } = publisher.outboxStats();
  assert.equal([accepted, waiting, dropped.closed], [5, 0, 5]);
  assert.ok(transport.attempts.length > 0, 'it was tried');
});

test('[R-O1] a send that fails while close is under way goes to no sleep of its own', async () => {
  const { publisher, transport, mode, close } = setup({
    breaker: nervous,
    mode: brief,
    publish: { closeFlushMs: 0 },
  });
  mode.hold('manual');
  await publisher.publish(report());
  transport.mode = 'stuck';
  mode.release('manual');
  await until('it is sent', () => transport.attempts.length === 1);
  const closing = close();
  await delay(0);
  transport.release();
  await closing;
  assert.equal([transport.attempts.length, publisher.outboxStats().dropped.closed], [1, 1]);
});

test('[R-O1] a probe sends what waits longest and is of use, alone and in the mode; else it pings', async () => {
  const clock = createManualClock();
  const { publisher, mode, transport } = setup({}, { clock, ttlMs: 1000 });
  mode.hold('manual');
  for (let i = 0; i < 50; i++) await publisher.publish(report());
  clock.advance(1000);
  await publisher.publish(report());
  await publisher.probe();
  const { dropped, published, waiting } = publisher.outboxStats();
  assert.equal([dropped.expired, published, waiting, transport.attempts.length], [50, 1, 0, 1]);
  await publisher.probe();
  assert.is(transport.attempts.length, 1);
  assert.ok(mode.active);
});

test.run();
