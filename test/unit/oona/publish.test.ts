import { setTimeout as delay } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { BusMessageType, MessagePriority } from '../../../src/leyline/index.ts';
import { LEYLINE_STATES } from '../../../src/oona/publish/publish-breaker.ts';
import type { PublishingParts, PublishingTuning } from '../../../src/oona/publish/publishing.ts';
import { UrgentTokens } from '../../../src/oona/publish/urgent-tokens.ts';
import { DEFAULT_STREAMS } from '../../../src/oona/streams.ts';
import type { BusMessage, WorkPublishResult } from '../../../src/oona/work-types.ts';
import { createFaultTransport } from '../../helpers/fault-transport.ts';
import { createManualClock } from '../../helpers/manual-clock.ts';
import { createRig, message, opened } from '../../helpers/publishing.ts';
import { until } from '../../helpers/until.ts';

const test = suite('publishing');
const REPORT = BusMessageType.BUS_MESSAGE_TYPE_FIELD_REPORT;
const TELEMETRY = BusMessageType.BUS_MESSAGE_TYPE_TELEMETRY;
const HIGH = { priority: MessagePriority.MESSAGE_PRIORITY_HIGH };
let made = 0;
const report = (): BusMessage => {
  made += 1;
  return message(REPORT, { reportId: `r${made}`, notes: 'x'.repeat(100) });
};
const coded = (result: WorkPublishResult): unknown[] => [result.outcome, (result as { code?: string }).code];

/** Opens after one failure and comes back soon. */
const nervous = { consecutiveFailures: 1, consecutiveSpanMs: 0, openBaseMs: 20, openCapMs: 40 };
const brief = { dwellMs: 0, quietMs: 10 };

function setup(tuning: PublishingTuning = {}, more: Partial<PublishingParts> = {}) {
  const transport = createFaultTransport();
  const rig = createRig(transport, tuning, { publishDeadlineMs: 200, ...more });
  return { transport, ...rig };
}

test("[R-O1] a caller's mistakes are rejected with a code, never thrown, and nothing is sent", async () => {
  const { publisher, transport, metrics } = setup();
  const tries: [unknown, unknown, string][] = [
    [report(), { deadlineMs: 0 }, 'ESPER_OPTION_INVALID'],
    [report(), { deadlineMs: Number.NaN }, 'ESPER_OPTION_INVALID'],
    [report(), { signal: {} }, 'ESPER_OPTION_INVALID'],
    [report(), { priority: 9 }, 'ESPER_OPTION_INVALID'],
    [report(), { eventId: '' }, 'ESPER_OPTION_INVALID'],
    [report(), { eventId: 'x'.repeat(257) }, 'ESPER_OPTION_INVALID'],
    [report(), { mayReroute: 'yes' }, 'ESPER_OPTION_INVALID'],
    [report(), { evntId: 'x' }, 'ESPER_OPTION_INVALID'],
    [report(), 7, 'ESPER_OPTION_INVALID'],
    [report(), { attributes: { event_id: 'mine' } }, 'ESPER_OPTION_INVALID'],
    [report(), { attributes: { stream: 'other' } }, 'ESPER_OPTION_INVALID'],
    [report(), { attributes: 'junk' }, 'ESPER_OPTION_INVALID'],
    [report(), { attributes: { a: 1 } }, 'ESPER_LEYLINE_INVALID'],
    [report(), { traceparent: '00-0-0-00' }, 'ESPER_OPTION_INVALID'],
    [report(), { tracestate: 'x'.repeat(513) }, 'ESPER_OPTION_INVALID'],
    [undefined, {}, 'ESPER_OPTION_INVALID'],
    [{}, {}, 'ESPER_OPTION_INVALID'],
    [{ type: 99, message: {} }, {}, 'ESPER_LEYLINE_UNKNOWN_TYPE'],
    [{ type: 'toString', message: {} }, {}, 'ESPER_LEYLINE_UNKNOWN_TYPE'],
    [{ type: REPORT, message: null }, {}, 'ESPER_OPTION_INVALID'],
    [{ type: REPORT, message: {} }, {}, 'ESPER_LEYLINE_EMPTY'],
    [{ type: REPORT, message: { reportId: 7 } }, {}, 'ESPER_LEYLINE_INVALID'],
    [{ type: REPORT, message: { notes: 7 } }, {}, 'ESPER_LEYLINE_INVALID'],
    [{ type: REPORT, message: { reportId: 'x'.repeat(300) } }, {}, 'ESPER_OPTION_INVALID'],
    [{ type: REPORT, message: { notes: 'x'.repeat(2 ** 21) } }, {}, 'ESPER_LEYLINE_TOO_LARGE'],
  ];
  for (const [what, options, code] of tries) {
    const result = await publisher.publish(what as BusMessage, options as object);
    assert.equal(coded(result), ['rejected', code], JSON.stringify(options).slice(0, 80));
  }
  assert.is(transport.attempts.length, 0);
  assert.is(metrics.value('oona.publish.rejected_total'), tries.length);
});

test('[R-O1] one append a publish, bounded by its deadline, without looks or retries', async () => {
  const { publisher, transport } = setup();
  await publisher.publish(report());
  assert.is(transport.attempts.length, 1);
  assert.equal([transport.attempts[0]?.depthLimit, transport.attempts[0]?.ttlMs], [150_000, 0]);
  await publisher.publish(report(), HIGH);
  assert.equal([transport.attempts[1]?.depthLimit, transport.attempts[1]?.ttlMs], [undefined, 900_000]);
});

test('[R-O1] a bus that is away is a typed failure that says whether trying again helps', async () => {
  const { publisher, transport, observed } = setup();
  transport.mode = 'down';
  assert.equal(coded(await publisher.publish(report())), ['failed', 'ESPER_OONA_DISCONNECTED']);
  transport.mode = 'refusing';
  const refused = await publisher.publish(report());
  assert.equal(
    [...coded(refused), (refused as { retryable: boolean }).retryable],
    ['failed', 'ESPER_OONA_AUTH', false],
  );
  transport.mode = 'up';
  const aborted = await publisher.publish(report(), { signal: AbortSignal.abort() });
  assert.equal(coded(aborted), ['failed', 'ESPER_OONA_ABORTED']);
  assert.equal(observed, ['normal failed', 'normal failed', 'normal failed']);
});

test('[R-O1] a message that the caller changes after publish() goes out as it was', async () => {
  const { publisher, transport, mode } = setup({ mode: brief });
  const changing = { reportId: 'fixed', notes: 'before' };
  mode.hold('manual');
  const result = publisher.publish(message(REPORT, changing));
  changing.notes = 'after';
  assert.is((await result).outcome, 'deferred');
  mode.release('manual');
  await until('published', () => publisher.outboxStats().published === 1);
  const [entry] = await opened(transport, DEFAULT_STREAMS.normal);
  assert.ok(Buffer.from(entry?.payload ?? []).includes('before'));
});

test('[R-O1] the breaker opens on failures that go on; then publishing waits, and the outbox finds the bus again', async () => {
  const { publisher, transport, breaker, mode, metrics } = setup({ breaker: nervous, mode: brief });
  transport.mode = 'down';
  assert.is((await publisher.publish(report())).outcome, 'failed');
  assert.equal([breaker.state, mode.active, mode.reasons], ['open', true, ['breaker']]);
  assert.is(metrics.value('oona.publish.breaker_state'), LEYLINE_STATES.open);
  for (let i = 0; i < 10; i++) assert.is((await publisher.publish(report())).outcome, 'deferred');
  const before = transport.attempts.length;
  await until('it tries by itself', () => transport.attempts.length > before + 3);
  assert.is(publisher.outboxStats().waiting, 10, 'what fails goes back');
  transport.mode = 'up';
  await until('all is published', () => publisher.outboxStats().published === 10);
  await until('the mode is over', () => !mode.active);
  assert.is((await opened(transport, DEFAULT_STREAMS.normal)).length, 10);
  assert.is((await publisher.publish(report())).outcome, 'published');
});

test('[R-O1] without anything that waits a ping finds out that the bus is back', async () => {
  const { publisher, transport, breaker, mode } = setup({ breaker: nervous, mode: brief });
  transport.mode = 'down';
  await publisher.publish(report(), HIGH);
  assert.ok(mode.active);
  await until('closed', () => breaker.state === 'closed');
  await until('over', () => !mode.active);
});

test('[R-O1] urgent messages pass an open breaker as probes, and their success closes it', async () => {
  const { publisher, transport, breaker, mode } = setup({
    breaker: { ...nervous, openBaseMs: 60_000, openCapMs: 60_000 },
  });
  transport.mode = 'down';
  await publisher.publish(report());
  await publisher.publish(report(), HIGH);
  assert.is(transport.attempts.length, 2, 'it was tried');
  assert.is(breaker.state, 'open');
  transport.mode = 'up';
  const about = message(TELEMETRY, { packetId: 'about' });
  assert.is((await publisher.publishInternal(about, { aboutEmergency: true })).outcome, 'published');
  assert.is(breaker.state, 'closed');
  assert.ok(mode.active, 'for its dwell time');
});

test('[R-O1] back-pressure, aborts and hasty deadlines never trip the breaker', async () => {
  const { publisher, transport, breaker } = setup({
    breaker: { consecutiveFailures: 1, consecutiveSpanMs: 0 },
    publish: { dropDepth: 1 },
  });
  await transport.ensureGroup(DEFAULT_STREAMS.normal, 'g', '0', { deadlineMs: 1000 });
  await publisher.publish(report());
  for (let i = 0; i < 10; i++) assert.is((await publisher.publish(report())).outcome, 'dropped');
  await publisher.publish(report(), { ...HIGH, signal: AbortSignal.abort() });
  transport.mode = 'stuck';
  const hasty = publisher.publish(report(), { deadlineMs: 99 });
  transport.release();
  assert.equal(coded(await hasty), ['failed', 'ESPER_OONA_TIMEOUT']);
  assert.is(breaker.state, 'closed');
  const patient = publisher.publish(report(), { deadlineMs: 100 });
  transport.release();
  await patient;
  assert.is(breaker.state, 'open');
});

test('[R-O1] a breaker isolated by hand: NORMAL waits, no try is made', async () => {
  const { publisher, transport, breaker, mode } = setup({ mode: brief });
  breaker.isolate();
  assert.ok(mode.active);
  assert.is((await publisher.publish(report())).outcome, 'deferred');
  await delay(50);
  assert.is(transport.attempts.length, 0);
  breaker.release();
  await until('published', () => publisher.outboxStats().published === 1);
});

test('[R-O1] close waits for publishes under way', async () => {
  const { publisher, transport, close } = setup();
  transport.mode = 'stuck';
  const ended: string[] = [];
  const publish = publisher.publish(report()).then(({ outcome }) => ended.push(outcome));
  const closing = close().then(() => ended.push('closed'));
  await delay(5);
  transport.release();
  await Promise.all([publish, closing]);
  assert.equal(ended, ['failed', 'closed']);
});

test('[R-O4] an urgent message without a token goes to the stream of its type; a failed one gives its token back', async () => {
  const clock = createManualClock();
  const tokens = new UrgentTokens(1, clock);
  const { publisher, transport, metrics } = setup({}, { tokens, clock });
  transport.mode = 'down';
  await publisher.publish(report(), HIGH);
  assert.equal(coded(await publisher.publish(message(REPORT, {}), HIGH)), [
    'rejected',
    'ESPER_LEYLINE_EMPTY',
  ]);
  transport.mode = 'up';
  assert.is((await publisher.publish(report(), HIGH)).stream, DEFAULT_STREAMS.emergency);
  assert.is((await publisher.publish(report(), HIGH)).stream, DEFAULT_STREAMS.normal);
  assert.is(metrics.value('oona.publish.urgent_capped_total'), 1);
});

test("[R-O1] the active trace is carried, the caller's own comes first, and none costs nothing", async () => {
  const active = {
    traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    tracestate: 'a=b',
  };
  const { publisher, transport } = setup({}, { activeTrace: () => active });
  const own = '00-11111111111111111111111111111111-2222222222222222-00';
  await publisher.publish(report());
  await publisher.publish(report(), { traceparent: own });
  const [first, second] = await opened(transport, DEFAULT_STREAMS.normal);
  assert.equal([first?.attributes.traceparent, first?.attributes.tracestate], [active.traceparent, 'a=b']);
  assert.equal([second?.attributes.traceparent, second?.attributes.tracestate], [own, undefined]);
});

test.run();
