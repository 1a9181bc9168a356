import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { OptionError } from '../../../src/core/errors.ts';
import { EmergencyLevel, TelemetryLevel } from '../../../src/leyline/messages.ts';
import { bootId, createEmergencyController } from '../../../src/tolaria/index.ts';
import { createTrainerHost, withTrainerHost } from '../../helpers/trainer-host.ts';
import { until } from '../../helpers/until.ts';

const test = suite('emergency controller');
const {
  EMERGENCY_LEVEL_NOTICE: NOTICE,
  EMERGENCY_LEVEL_ELEVATED: ELEVATED,
  EMERGENCY_LEVEL_CONSERVATIVE: CONSERVATIVE,
  EMERGENCY_LEVEL_HALT: HALT,
} = EmergencyLevel;
const isOptionError = (error: Error): boolean => error instanceof OptionError;
const why = (step = 7) => ({ reason: 'loss exploded', step });

test('[R-F3] [R-F9] from CONSERVATIVE on: the flag within the call, the emergency stream after it', () =>
  withTrainerHost({}, async ({ controller, signal, emergencies, telemetry }) => {
    for (const level of [CONSERVATIVE, HALT]) {
      const escalation = controller.escalate(level, why());
      assert.is(signal.level(), level, 'set when escalate() returns');
      assert.is(escalation.currentLevel, level);
      assert.is(escalation.route, 'emergency');
      const record = signal.find(escalation.signalId);
      assert.is(record?.published, false, 'published later');
      await controller.flush({ deadlineMs: 5000 });
      assert.is(signal.find(escalation.signalId)?.published, true);
      const [message, ...more] = await emergencies();
      assert.is(more.length, 0);
      assert.equal(
        [message?.signalId, message?.level, message?.reason, message?.step, message?.runId, message?.origin],
        [escalation.signalId, level, 'loss exploded', 7, 'run', 'tolaria'],
      );
      assert.is(message?.monotonicNs, record?.monotonicNs, 'one emergency, one time');
      assert.is(message?.bootId, bootId());
    }
    assert.is((await telemetry()).length, 0);
  }));

test('[R-F11] escalate() starts the publish before it returns, and does not wait for it', () =>
  withTrainerHost({}, async ({ controller, transport, events }) => {
    transport.mode = 'stuck';
    const { signalId } = controller.escalate(HALT, why());
    assert.is(
      transport.attempts[0]?.dedupId,
      signalId,
      'on its way although the event loop may be blocked next',
    );
    assert.equal(
      events.map(({ type }) => type),
      ['raised'],
    );
  }));

test('[R-F3] the bus has the emergency before any listener or log hears of it', () => {
  const seen: [string, number][] = [];
  const ignore = (): void => undefined;
  const logger = { debug: ignore, info: ignore, error: ignore, warn: ignore };
  return withTrainerHost({ logger }, ({ controller, transport }) => {
    transport.mode = 'stuck';
    logger.warn = () => seen.push(['log', transport.attempts.length]);
    controller.subscribe(({ type }) => seen.push([type, transport.attempts.length]));
    controller.escalate(HALT, why());
    assert.equal(seen, [
      ['log', 1],
      ['raised', 1],
    ]);
  });
});

test('[R-F7] below CONSERVATIVE: the flag and telemetry, never the emergency stream', () =>
  withTrainerHost({}, async ({ controller, signal, emergencies, telemetry }) => {
    for (const [level, told] of [
      [NOTICE, TelemetryLevel.TELEMETRY_LEVEL_INFO],
      [ELEVATED, TelemetryLevel.TELEMETRY_LEVEL_WARNING],
    ] as const) {
      const { signalId, route } = controller.escalate(level, why());
      assert.is(route, 'telemetry');
      assert.is(signal.level(), level);
      await controller.flush({ deadlineMs: 5000 });
      const [packet] = await telemetry();
      assert.is(packet?.level, told);
      assert.is(packet?.sourceSubsystem, 'tolaria');
      assert.is(packet?.events?.[0]?.eventId, signalId);
      assert.is(packet?.systemHealth?.indicators?.priority, 'MESSAGE_PRIORITY_NORMAL');
      assert.is(signal.find(signalId)?.published, true, 'nobody has to send it again');
    }
    assert.is((await emergencies()).length, 0);
  }));

test('[R-F7] raises at once, never lowers, and records each repeat', () =>
  withTrainerHost({}, ({ controller, signal, count }) => {
    const steps = [ELEVATED, NOTICE, CONSERVATIVE, CONSERVATIVE, HALT, NOTICE, HALT];
    const seen = steps.map((level) => {
      const { raised, previousLevel, currentLevel } = controller.escalate(level, why());
      return [raised, previousLevel, currentLevel];
    });
    assert.equal(seen, [
      [true, 0, 2],
      [false, 2, 2],
      [true, 2, 3],
      [false, 3, 3],
      [true, 3, 4],
      [false, 4, 4],
      [false, 4, 4],
    ]);
    assert.equal(
      signal.history().map(({ level }) => level),
      steps,
    );
    assert.is(controller.level, HALT);
    assert.is(count('escalations_total'), 7);
    assert.is(count('repeats_total'), 4);
    assert.equal(
      ['notice', 'elevated', 'conservative', 'halt'].map((name) => count(`escalations_${name}_total`)),
      [2, 1, 2, 2],
    );
  }));

test('[R-F8] with the fast path off emergencies go out with telemetry and the flag works as ever', () =>
  withTrainerHost(
    { fastPathEnabled: false },
    async ({ controller, signal, emergencies, telemetry, count }) => {
      const { signalId, route } = controller.escalate(HALT, why());
      assert.is(signal.level(), HALT);
      assert.is(route, 'telemetry');
      await controller.flush({ deadlineMs: 5000 });
      const packets = await telemetry();
      assert.is(packets.length, 1);
      assert.is(packets[0]?.level, TelemetryLevel.TELEMETRY_LEVEL_CRITICAL);
      assert.is(packets[0]?.events?.[0]?.attributes?.signal_id, signalId);
      assert.is(signal.find(signalId)?.published, true, 'or the supervisor would send it on the fast path');
      assert.is(controller.clear({ reason: 'over' }).outcome, 'cleared');
      await controller.flush({ deadlineMs: 5000 });
      assert.is((await telemetry()).length, 1);
      assert.is((await emergencies()).length, 0);
      assert.is(count('fast_path_off_total'), 2);
    },
  ));

test('[R-F10] without a bus the flag is all there is, and a supervisor finds the record unpublished', async () => {
  const host = createTrainerHost();
  const controller = createEmergencyController({ signal: host.signal, runId: 'run' });
  const { signalId, route } = controller.escalate(HALT, why());
  assert.is(route, 'flag');
  await controller.flush({ deadlineMs: 5000 });
  assert.equal(
    host.signal.unpublished().map((record) => record.signalId),
    [signalId],
  );
  await controller.close();
  await host.close();
});

test('[R-F5] counts and times the path, in metrics, in a histogram and in its telemetry', async () => {
  const recorded: number[] = [];
  const histogram = { record: (ns: number) => recorded.push(ns) };
  await withTrainerHost({ histogram }, async ({ controller, metrics, count, telemetry, events }) => {
    controller.escalate(CONSERVATIVE, why());
    await controller.flush({ deadlineMs: 5000 });
    assert.is(count('published_total'), 1);
    const latencyMs = metrics.value('tolaria.emergency.publish_latency_ms');
    assert.ok(latencyMs > 0);
    assert.equal(recorded, [Math.round(latencyMs * 1e6)]);
    const published = events.find(({ type }) => type === 'published');
    assert.is(published?.type === 'published' && published.latencyMs, latencyMs);
    controller.escalate(NOTICE, why());
    await controller.flush({ deadlineMs: 5000 });
    const [packet] = await telemetry();
    const told = Object.fromEntries((packet?.metrics ?? []).map(({ name, value }) => [name, value]));
    assert.equal(told, {
      'tolaria.emergency.escalations_total': 2,
      'tolaria.emergency.published_total': 1,
      'tolaria.emergency.publish_failed_total': 0,
      'tolaria.emergency.bypass_capped_total': 0,
    });
    assert.is(count('telemetry_published_total'), 1);
  });
});

test('[R-F9] says whether the flag is degraded', () =>
  withTrainerHost({}, ({ metrics }) => {
    assert.is(metrics.snapshot().gauges['tolaria.emergency.shared_signal_degraded'], 0);
    const degraded = { code: 'ESPER_SHM_NO_SPACE', reason: 'no space' };
    const host = createTrainerHost();
    const signal = Object.create(host.signal, { degraded: { value: degraded } }) as typeof host.signal;
    const warned: object[] = [];
    const ignore = (): void => undefined;
    const logger = {
      debug: ignore,
      info: ignore,
      error: ignore,
      warn: (fields: object) => warned.push(fields),
    };
    const controller = createEmergencyController({ signal, runId: 'run', metrics, logger });
    assert.is(metrics.value('tolaria.emergency.shared_signal_degraded'), 1);
    assert.equal(warned, [{ ...degraded, name: host.signal.name }]);
    return controller.close().then(host.close);
  }));

test('[R-F3] events carry the signal id and monotonic times, in order', () =>
  withTrainerHost({}, async ({ controller, events }) => {
    const { signalId, monotonicNs } = controller.escalate(HALT, why());
    await controller.flush({ deadlineMs: 5000 });
    const cleared = controller.clear({ reason: 'over' });
    assert.equal(
      events.map(({ type }) => type),
      ['raised', 'published', 'cleared'],
    );
    const [raised, published, clear] = events;
    assert.equal([raised?.signalId, published?.signalId], [signalId, signalId]);
    assert.is(clear?.type === 'cleared' && clear.clearedSignalId, signalId);
    assert.is(cleared.outcome === 'cleared' && cleared.signalId, clear?.signalId);
    const times = events.map((event) => event.monotonicNs);
    assert.is(times[0], monotonicNs);
    assert.equal(times, [...times].sort());
  }));

test('[R-F3] a listener that throws reaches neither the training nor the other listeners', () =>
  withTrainerHost({}, async ({ controller, events, count }) => {
    const stop = controller.subscribe(() => {
      throw new Error('listener');
    });
    const told: string[] = [];
    controller.subscribe(({ type }) => told.push(type));
    controller.escalate(HALT, why());
    await until('published', () => events.some(({ type }) => type === 'published'));
    assert.equal(told, ['raised', 'published']);
    assert.is(count('listener_errors_total'), 2);
    stop();
    controller.escalate(HALT, why());
    assert.is(count('listener_errors_total'), 2);
  }));

test('[BAD-level-0] [BAD-level-9] refuses a level that is none, and raises nothing', () =>
  withTrainerHost({}, ({ controller, signal }) => {
    for (const level of [0, 9, -1, 2.5, Number.NaN, '3'] as unknown as EmergencyLevel[]) {
      assert.throws(() => controller.escalate(level, why()), isOptionError);
    }
    assert.is(signal.level(), 0);
    assert.is(signal.history().length, 0);
  }));

test('[BAD-reason-10kb] [BAD-reason-nul] [BAD-reason-split-surrogate] a reason never keeps an emergency back', () =>
  withTrainerHost({}, async ({ controller, signal, emergencies }) => {
    for (const reason of ['x'.repeat(10_240), 'a\0b', 'half \ud83d', '']) {
      const { signalId } = controller.escalate(HALT, { reason, step: 0 });
      await controller.flush({ deadlineMs: 5000 });
      const [message] = await emergencies();
      assert.is(message?.signalId, signalId);
      assert.is(message?.reason, signal.find(signalId)?.reason);
    }
  }));

test('[R-F3] refuses fields that mean nothing', () =>
  withTrainerHost({}, ({ controller, signal }) => {
    const bad = [
      undefined,
      null,
      {},
      { reason: 1, step: 0 },
      { reason: '', step: -1 },
      { reason: '', step: 1.5 },
    ];
    for (const fields of bad as unknown as { reason: string; step: number }[]) {
      assert.throws(() => controller.escalate(HALT, fields), isOptionError);
    }
    assert.is(signal.level(), 0);
    assert.throws(() => controller.subscribe(undefined as never), isOptionError);
    assert.throws(() => createEmergencyController({ signal, runId: 7 as never }), isOptionError);
    assert.throws(() => createEmergencyController({ signal, runId: '', bypassMaxPerMin: -1 }), isOptionError);
    assert.throws(
      () => createEmergencyController({ signal, runId: '', bypassMax: 1 } as never),
      /bypassMaxPerMin/,
    );
    assert.throws(() => createEmergencyController({ runId: '' } as never), isOptionError);
  }));

test.run();
