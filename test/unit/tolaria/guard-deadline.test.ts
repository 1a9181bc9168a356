import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { systemClock } from '../../../src/core/clock.ts';
import { EmergencyLevel } from '../../../src/leyline/messages.ts';
import type { ControllerEvent, GuardEvent } from '../../../src/tolaria/index.ts';
import { createGuardRig } from '../../helpers/guard-rig.ts';
import { createManualClock } from '../../helpers/manual-clock.ts';
import { createTrainerHost, type TrainerHost } from '../../helpers/trainer-host.ts';
import { blockFor, until } from '../../helpers/until.ts';

const test = suite('guard, step deadline');
const {
  EMERGENCY_LEVEL_ELEVATED: ELEVATED,
  EMERGENCY_LEVEL_CONSERVATIVE: CONSERVATIVE,
  EMERGENCY_LEVEL_HALT: HALT,
} = EmergencyLevel;
const LIMIT_MS = 100;
const HANG_MS = 200;
const real = { stepDeadlineMs: LIMIT_MS, healthySteps: 3, clock: systemClock };

type Rig = ReturnType<typeof createGuardRig>;
const self = (rig: Rig) => rig.signal.participants().find(({ role }) => role === 'trainer');
const lateSteps = (rig: Rig): Extract<GuardEvent, { type: 'anomaly' }>[] =>
  rig.events.flatMap((event) => (event.type === 'anomaly' ? [event] : []));
const idsOf = (rig: Rig): string[] => rig.signal.history().map(({ signalId }) => signalId);

/** Listens to the controller; the ids of what it told as raised. */
function toldIds(rig: Rig): string[] {
  const ids: string[] = [];
  rig.controller.subscribe((event: ControllerEvent) => {
    if (event.type === 'raised') ids.push(event.signalId);
  });
  return ids;
}

test('[R-B6] a raise of the native thread in a step that came in time by the clock is the guard’s own', () => {
  // The clock of the guard stands still: only the native thread sees the hang.
  const rig = createGuardRig({ stepDeadlineMs: LIMIT_MS, healthySteps: 3 });
  const told = toldIds(rig);
  rig.healthy(1);
  blockFor(HANG_MS);
  assert.is(rig.signal.level(), ELEVATED);
  rig.healthy(1);
  assert.equal(told, idsOf(rig), 'told, under its own id');
  assert.equal(
    lateSteps(rig).map(({ anomaly, signalId }) => [anomaly.kind, anomaly.value, signalId]),
    [['deadline', LIMIT_MS, told[0]]],
  );
  rig.healthy(3);
  assert.is(rig.signal.level(), 0);
  rig.close();
});

test('[R-B6] when step() and the native thread both raise, both are taken back', () => {
  const rig = createGuardRig({ stepDeadlineMs: LIMIT_MS, healthySteps: 3 });
  const told = toldIds(rig);
  rig.healthy(1);
  rig.clock.advance(LIMIT_MS + 1);
  rig.healthy(1);
  assert.is(rig.signal.level(), ELEVATED, 'raised by step()');
  blockFor(HANG_MS);
  assert.is(rig.raises().length, 2, 'and by the native thread');
  rig.healthy(1);
  assert.equal(told, idsOf(rig));
  rig.healthy(3);
  assert.is(rig.signal.level(), 0);
  rig.close();
});

test('[R-B6] steps that end just when the deadline passes leave nothing on the flag, and are one anomaly each', async () => {
  const limitMs = 10;
  for (let i = 0; i < 40; i++) {
    const rig = createGuardRig({ ...real, stepDeadlineMs: limitMs });
    const told = toldIds(rig);
    rig.healthy(3);
    blockFor(limitMs + (i % 5) * 0.02);
    rig.healthy(10);
    const [first, second] = rig.signal.history();
    const closeNs = (second?.monotonicNs ?? 0n) - (first?.monotonicNs ?? 0n);
    // A next silence begins with the heartbeat of the step that raised, a little before its raise: not a whole limit.
    if (second?.kind === 'trigger' && closeNs < BigInt(limitMs * 1e6) / 2n) {
      assert.not.ok(
        lateSteps(rig).some(({ anomaly }) => anomaly.value === limitMs),
        'the same silence is told once',
      );
    }
    await until('nothing stands', () => rig.healthy(1).length === 1 && !rig.guard.stats().raised);
    assert.is(rig.signal.level(), 0);
    const raised = rig.signal.history().filter(({ kind }) => kind === 'trigger');
    assert.equal(
      new Set(told),
      new Set(raised.map(({ signalId }) => signalId)),
      'every raise left by the controller',
    );
    rig.close();
  }
});

test('[R-B6] the guard’s own work is no part of the step: snapshot, checksum, release, and what an anomaly leads to', () => {
  const phases = new Map<string, Set<string>>();
  const note = (what: string): void => {
    const phase = self(rig)?.phase ?? 'none';
    phases.set(what, (phases.get(what) ?? new Set()).add(phase));
  };
  const rig: Rig = createGuardRig({
    ...real,
    // The first one is taken before the guard joins.
    initialSnapshot: false,
    snapshot: () => {
      note('snapshot');
      if (phases.size === 1) blockFor(HANG_MS);
      return { step: 0 };
    },
    checksum: () => {
      note('checksum');
      return '';
    },
    release: () => note('release'),
    restore: () => note('restore'),
  });
  rig.healthy(40);
  assert.is(rig.signal.level(), 0, 'slow, but nothing hangs');
  phases.delete('checksum');
  assert.equal(rig.run([5, Number.NaN]), ['continue', 'rolledBack']);
  assert.equal(Object.fromEntries([...phases].map(([what, seen]) => [what, [...seen]])), {
    snapshot: ['checkpointing'],
    checksum: ['checkpointing'],
    release: ['checkpointing'],
    restore: ['restoring'],
  });
  assert.is(self(rig)?.phase, 'training');
  assert.is(rig.guard.stats().deadlineMisses, 0);
  rig.close();
});

test('[R-B6] a slow step before suspendDeadline() counts', () => {
  for (const clock of [systemClock, createManualClock()]) {
    const rig = createGuardRig({ ...real, clock });
    rig.healthy(1);
    blockFor(HANG_MS);
    const resume = rig.guard.suspendDeadline('checkpointing');
    assert.is(rig.guard.stats().deadlineMisses, 1, 'at once: what follows may take hours');
    resume();
    rig.healthy(3);
    assert.equal([rig.signal.level(), rig.guard.stats().deadlineMisses], [0, 1]);
    rig.close();
  }
});

test('[R-B6] close() takes back a raise that came after the last step, and nothing else', () => {
  const rig = createGuardRig(real);
  const told = toldIds(rig);
  rig.healthy(1);
  blockFor(HANG_MS);
  assert.is(rig.signal.level(), ELEVATED);
  rig.guard.close();
  assert.is(rig.signal.level(), 0);
  assert.is(told.length, 1);
  assert.equal(
    rig.events.slice(-2).map(({ type }) => type),
    ['anomaly', 'cleared'],
  );
  rig.close();

  const spiked = createGuardRig(real);
  spiked.healthy(40);
  spiked.run([5]);
  blockFor(HANG_MS);
  assert.is(spiked.raises().length, 2);
  spiked.guard.close();
  assert.is(spiked.signal.level(), ELEVATED, 'the spike stands');
  spiked.close();
});

test('[R-B6] close() leaves a raise standing that somebody has not seen, and says so', () => {
  const rig = createGuardRig(real);
  const other = rig.openOther();
  other.join('supervisor', 'slow');
  rig.healthy(1);
  blockFor(HANG_MS);
  rig.guard.close();
  assert.is(rig.signal.level(), ELEVATED);
  const deferred = rig.events.at(-1);
  assert.ok(deferred?.type === 'clearDeferred' && deferred.outcome === 'unseen');
  assert.is(deferred.nextTrySteps, 0);
  other.close();
  rig.close();
});

test('[R-B6] the time of a HALT does not count, and a hang before it is the guard’s own', () => {
  const stopped = createGuardRig({ stepDeadlineMs: 1000, healthySteps: 3 });
  stopped.healthy(1);
  stopped.signal.trigger(HALT);
  assert.equal(stopped.run([1]), ['halt']);
  stopped.clock.advance(5000);
  stopped.signal.clear(stopped.signal.read());
  stopped.healthy(1);
  assert.equal([stopped.signal.level(), stopped.guard.stats().deadlineMisses], [0, 0]);
  stopped.close();

  const rig = createGuardRig(real);
  const told = toldIds(rig);
  rig.healthy(1);
  blockFor(HANG_MS);
  const operator = rig.openOther();
  operator.trigger(HALT, { runId: 'run' });
  assert.equal(rig.run([1]), ['halt']);
  assert.equal(told, [rig.signal.history()[0]?.signalId]);
  operator.clear(operator.read());
  rig.healthy(4);
  assert.is(rig.guard.stats().raised, false);
  blockFor(HANG_MS);
  assert.is.not(idsOf(rig).at(-1), told[0], 'armed again, under another id');
  operator.close();
  rig.close();
});

test('[R-B6] is armed again once the run is well, although another’s emergency still stands', () => {
  const rig = createGuardRig(real);
  const other = rig.openOther();
  other.trigger(CONSERVATIVE, { reason: 'disk' });
  rig.healthy(1);
  blockFor(HANG_MS);
  rig.healthy(4);
  const before = idsOf(rig);
  blockFor(HANG_MS);
  const [again, ...more] = idsOf(rig).slice(before.length);
  assert.match(again ?? '', 'step-deadline');
  assert.not.ok(before.includes(again ?? ''));
  assert.equal(more, []);
  other.close();
  rig.close();
});

async function withHost(run: (host: TrainerHost) => Promise<void>): Promise<void> {
  const host = createTrainerHost();
  try {
    await run(host);
  } finally {
    await host.close();
  }
}

test('[R-B6] [R-F3] what the native thread raised reaches the bus without a supervisor', () =>
  withHost(async ({ controller, signal, telemetry, events }) => {
    const rig = createGuardRig({ ...real, controller });
    rig.healthy(1);
    blockFor(HANG_MS);
    rig.healthy(1);
    await controller.flush({ deadlineMs: 5000 });
    const [record] = signal.history();
    const packets = await telemetry();
    assert.equal(
      packets.map(({ events: told }) => told?.[0]?.eventId),
      [record?.signalId],
    );
    assert.is(signal.unpublished().length, 0);
    assert.equal(
      events.map(({ type, signalId }) => [type, signalId]),
      [
        ['raised', record?.signalId],
        ['published', record?.signalId],
      ],
    );
    rig.close();
  }));

test.run();
