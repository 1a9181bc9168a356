import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { EmergencyLevel } from '../../../src/leyline/messages.ts';
import { createEmergencyController } from '../../../src/tolaria/index.ts';
import { createManualClock } from '../../helpers/manual-clock.ts';
import { createTrainerHost, withTrainerHost } from '../../helpers/trainer-host.ts';
import { until } from '../../helpers/until.ts';

const test = suite('emergency controller: bus away, cap');
const { EMERGENCY_LEVEL_CONSERVATIVE: CONSERVATIVE, EMERGENCY_LEVEL_HALT: HALT } = EmergencyLevel;
const why = { reason: 'loss exploded', step: 7 };
const soon = { deadlineMs: 5000 };

test('[R-F11] [R-F10] while the bus is down the flag is set, and the signal arrives when the bus is back', () =>
  withTrainerHost({}, async ({ controller, signal, transport, events, emergencies, count }) => {
    transport.mode = 'down';
    const { signalId } = controller.escalate(HALT, why);
    assert.is(signal.level(), HALT);
    await until('several tries', () => count('publish_failed_total') >= 3);
    assert.equal(
      signal.unpublished().map((record) => record.signalId),
      [signalId],
      'a supervisor may publish it meanwhile',
    );
    const failed = events.find(({ type }) => type === 'failed');
    assert.ok(failed?.type === 'failed' && failed.willRetry && failed.code === 'ESPER_OONA_DISCONNECTED');
    transport.mode = 'up';
    await until('published', () => events.some(({ type }) => type === 'published'));
    assert.equal(
      (await emergencies()).map((message) => message.signalId),
      [signalId],
    );
    assert.is(signal.unpublished().length, 0);
  }));

test('[R-F3] a reply that was lost leads to no second entry', () =>
  withTrainerHost({}, async ({ controller, transport, events, emergencies, count }) => {
    transport.mode = 'lost-reply';
    controller.escalate(HALT, why);
    await until('failed', () => count('publish_failed_total') > 0);
    transport.mode = 'up';
    await controller.flush(soon);
    assert.is((await emergencies()).length, 1);
    const published = events.find(({ type }) => type === 'published');
    assert.ok(published?.type === 'published' && published.duplicate);
    assert.is(count('publish_duplicates_total'), 1);
  }));

test('[R-B7] does not try again what the supervisor has published meanwhile', () =>
  withTrainerHost({ retryBaseMs: 600_000, retryCapMs: 600_000, random: () => 1 }, async (host) => {
    const { controller, signal, transport, count } = host;
    transport.mode = 'down';
    const { signalId } = controller.escalate(HALT, why);
    await until('failed', () => count('publish_failed_total') === 1);
    const record = signal.find(signalId);
    assert.ok(record !== undefined && host.openOther().markPublished(record));
    await controller.flush(soon);
    assert.is(transport.attempts.length, 1);
    assert.is(count('published_elsewhere_total'), 1);
  }));

test('[R-B7] a failure that no retry mends leaves the record in the ring', () =>
  withTrainerHost({}, async ({ controller, signal, transport, events }) => {
    transport.mode = 'refusing';
    const { signalId } = controller.escalate(HALT, why);
    await controller.flush(soon);
    const failed = events.find(({ type }) => type === 'failed');
    assert.ok(failed?.type === 'failed' && !failed.willRetry && failed.code === 'ESPER_OONA_AUTH');
    assert.is(transport.attempts.length, 1);
    assert.equal(
      signal.unpublished().map((record) => record.signalId),
      [signalId],
    );
  }));

test('[R-F11] a bus that throws or never settles hurts nobody', async () => {
  const host = createTrainerHost();
  const clock = createManualClock();
  const codes: string[] = [];
  const publishers = {
    throwing: () => {
      throw new Error('broken');
    },
    rejecting: () => Promise.reject(new Error('broken')),
    silent: () => new Promise<never>(() => undefined),
  };
  for (const publishEmergency of Object.values(publishers)) {
    const bus = { publishEmergency, publishTelemetry: publishEmergency };
    const controller = createEmergencyController({ signal: host.signal, bus, runId: 'run', clock });
    controller.subscribe((event) => event.type === 'failed' && codes.push(event.code));
    controller.escalate(HALT, why);
    const before = codes.length;
    await until('failed', () => {
      clock.advance(5000);
      return codes.length > before;
    });
    let closed = false;
    controller.close().then(() => {
      closed = true;
    });
    await until('closed', () => {
      clock.advance(5000);
      return closed;
    });
  }
  assert.ok(codes.every((code) => code === 'ESPER_TOLARIA_PUBLISH_FAILED'));
  await host.close();
});

test('[R-F11] bounds what is under way and what waits; a HALT starts beyond the bound, and what is dropped is in the ring', () =>
  withTrainerHost(
    { maxInFlight: 2, bypassMaxPerMin: 1000 },
    async ({ controller, signal, transport, count }) => {
      transport.mode = 'stuck';
      controller.escalate(CONSERVATIVE, why);
      for (let i = 0; i < 5; i++) controller.escalate(CONSERVATIVE, why);
      assert.is(transport.attempts.length, 2);
      const halt = controller.escalate(HALT, why);
      assert.is(transport.attempts.length, 3);
      assert.is(transport.attempts[2]?.dedupId, halt.signalId);
      const routes = Array.from({ length: 70 }, () => controller.escalate(CONSERVATIVE, why).route);
      assert.is(routes.filter((route) => route === 'flag').length, 70 - (64 - 7));
      assert.is(count('publish_deferred_total'), 13);
      assert.is(controller.escalate(HALT, why).route, 'emergency', 'in place of a lower one that waits');
      assert.is(count('publish_deferred_total'), 14);
      assert.is(transport.attempts.length, 4);
      assert.is(signal.unpublished().length, 1 + 5 + 1 + 70 + 1);
    },
  ));

test('[R-F7] the cap holds back repeats alone, sends them as telemetry, and counts them', () =>
  withTrainerHost({ bypassMaxPerMin: 3, clock: createManualClock() }, async (host) => {
    const { controller, emergencies, telemetry, count, events } = host;
    const levels = [CONSERVATIVE, CONSERVATIVE, CONSERVATIVE, CONSERVATIVE, HALT, HALT, CONSERVATIVE, HALT];
    const capped: boolean[] = [];
    for (const level of levels) {
      capped.push(controller.escalate(level, why).capped);
      await until(
        'published',
        () => count('published_total') + count('telemetry_published_total') === capped.length,
      );
    }
    assert.equal(capped, [false, false, false, true, false, false, true, false]);
    assert.is(count('bypass_capped_total'), 2);
    assert.is(events.filter(({ type }) => type === 'capped').length, 2);
    assert.is((await emergencies()).length, 6);
    assert.is((await telemetry()).length, 2);
    assert.is(host.signal.unpublished().length, 0);
  }));

test('[R-F7] a failed publish gives its token back', () =>
  withTrainerHost(
    { bypassMaxPerMin: 2, clock: createManualClock() },
    async ({ controller, transport, count }) => {
      controller.escalate(CONSERVATIVE, why);
      await until('published', () => count('published_total') === 1);
      transport.mode = 'refusing';
      for (let i = 1; i <= 5; i++) {
        assert.is(controller.escalate(CONSERVATIVE, why).capped, false);
        await until('failed', () => count('publish_failed_total') === i);
      }
      transport.mode = 'up';
      assert.is(controller.escalate(CONSERVATIVE, why).capped, false);
      await until('published', () => count('published_total') === 2);
      assert.is(controller.escalate(CONSERVATIVE, why).capped, true);
    },
  ));

test('[R-F11] with the flag closed an emergency still reaches the bus, and nothing is thrown', () =>
  withTrainerHost({}, async ({ controller, signal, emergencies, count }) => {
    signal.close();
    const escalation = controller.escalate(HALT, why);
    assert.is(escalation.error?.code, 'ESPER_TOLARIA_FLAG_FAILED');
    await controller.flush(soon);
    assert.equal(
      (await emergencies()).map(({ signalId, level }) => [signalId, level]),
      [[escalation.signalId, HALT]],
    );
    assert.is(count('flag_failed_total'), 1);
    assert.throws(
      () => controller.clear({ reason: 'over' }),
      (error: { code?: string }) => error.code === 'ESPER_SIGNAL_CLOSED',
    );
  }));

test('[R-F11] after close() the flag is still raised and the rest is left to the ring', () =>
  withTrainerHost({}, async ({ controller, signal, transport }) => {
    transport.mode = 'down';
    controller.escalate(HALT, why);
    await controller.close();
    const tried = transport.attempts.length;
    const { route, signalId } = controller.escalate(HALT, why);
    assert.is(route, 'flag');
    assert.is(transport.attempts.length, tried);
    assert.is(signal.find(signalId)?.published, false);
  }));

test('[R-F11] flush() ends at its deadline while the bus is away, and tries at once what waits', () =>
  withTrainerHost({ retryBaseMs: 600_000, retryCapMs: 600_000, random: () => 1 }, async (host) => {
    const { controller, transport, count, emergencies } = host;
    transport.mode = 'down';
    controller.escalate(HALT, why);
    await until('failed', () => count('publish_failed_total') === 1);
    await controller.flush({ deadlineMs: 20 });
    assert.is(transport.attempts.length, 2);
    transport.mode = 'up';
    await controller.flush(soon);
    assert.is((await emergencies()).length, 1);
  }));

test.run();
