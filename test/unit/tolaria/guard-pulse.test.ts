import { setTimeout as delay } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { systemClock } from '../../../src/core/clock.ts';
import { OptionError } from '../../../src/core/errors.ts';
import { EmergencyLevel } from '../../../src/leyline/messages.ts';
import type { EmergencySignal } from '../../../src/signals/types.ts';
import { createEmergencyController } from '../../../src/tolaria/index.ts';
import { createGuardRig } from '../../helpers/guard-rig.ts';
import { blockFor } from '../../helpers/until.ts';

const test = suite('guard, pulse');
const { EMERGENCY_LEVEL_ELEVATED: ELEVATED, EMERGENCY_LEVEL_HALT: HALT } = EmergencyLevel;

type Rig = ReturnType<typeof createGuardRig>;
const self = (rig: Rig) => rig.signal.participants().find(({ role }) => role === 'trainer');

test('[R-B5] is idle before the first step, then training with its limit, a heartbeat with each step', () => {
  const rig = createGuardRig({ phaseLimitsMs: { training: 60_000 } });
  assert.equal([self(rig)?.phase, self(rig)?.limitMs], ['idle', 0]);
  rig.healthy(1);
  assert.equal([self(rig)?.phase, self(rig)?.limitMs], ['training', 60_000]);
  const before = self(rig)?.heartbeatNs ?? 0n;
  rig.healthy(1);
  assert.ok((self(rig)?.heartbeatNs ?? 0n) > before);
  rig.close();
});

test('[R-B5] is restoring during a rollback, and idle once it stopped for a HALT', () => {
  const phases: unknown[] = [];
  const rig: Rig = createGuardRig({ restore: () => phases.push(self(rig)?.phase, self(rig)?.limitMs) });
  rig.healthy(40);
  assert.equal(rig.run([Number.NaN]), ['rolledBack']);
  assert.equal(phases, ['restoring', 300_000]);
  assert.is(self(rig)?.phase, 'training');
  rig.signal.trigger(HALT, { runId: 'run' });
  assert.equal(rig.run([1]), ['halt']);
  assert.equal([self(rig)?.phase, self(rig)?.limitMs], ['idle', 0]);
  rig.signal.clear(rig.signal.read());
  rig.healthy(1);
  assert.is(self(rig)?.phase, 'training');
  rig.close();
});

test('[R-B5] suspends being judged with the deadline', () => {
  const rig = createGuardRig({ stepDeadlineMs: 60_000 });
  rig.healthy(1);
  const resume = rig.guard.suspendDeadline('checkpointing');
  assert.equal([self(rig)?.phase, self(rig)?.suspended], ['checkpointing', true]);
  resume();
  assert.equal([self(rig)?.phase, self(rig)?.suspended], ['training', false]);
  rig.close();
});

test('[R-B6] [R-F7] a step that hangs raises while it hangs, and the guard takes that raise back', async () => {
  const rig = createGuardRig({ stepDeadlineMs: 50, healthySteps: 3, clock: systemClock });
  await delay(80);
  assert.is(rig.signal.level(), 0, 'before the first step nothing is expected');
  rig.healthy(1);
  blockFor(150);
  // No turn of the event loop since: it was not JavaScript that raised it.
  assert.is(rig.signal.level(), ELEVATED);
  const [raised, ...more] = rig.signal.history();
  assert.equal(more, []);
  assert.match(raised?.reason ?? '', '50 ms');
  rig.healthy(1);
  assert.is(rig.guard.stats().deadlineMisses, 1);
  assert.is(rig.signal.history().length, 1, 'one emergency, raised once');
  assert.ok(rig.events.some((event) => event.type === 'anomaly' && event.signalId === raised?.signalId));
  rig.healthy(3);
  assert.is(rig.signal.level(), 0, 'taken back');
  blockFor(150);
  assert.is(rig.signal.level(), ELEVATED, 'armed again');
  assert.is.not(rig.signal.history().at(-1)?.signalId, raised?.signalId);
  rig.close();
});

test('[R-B6] no deadline while suspended, nor of a closed guard', async () => {
  const rig = createGuardRig({ stepDeadlineMs: 30, clock: systemClock });
  rig.healthy(1);
  const resume = rig.guard.suspendDeadline();
  blockFor(100);
  resume();
  rig.guard.close();
  await delay(100);
  assert.is(rig.signal.level(), 0);
  rig.close();
});

test('[R-F7] a flag that fails is told once and stops no step', () => {
  const rig = createGuardRig();
  rig.healthy(1);
  rig.signal.close();
  rig.healthy(5);
  const told = rig.events.filter((e) => e.type === 'environment' && e.what.startsWith('heartbeat'));
  assert.is(told.length, 1);
  rig.close();
});

test('[R-F7] a phase that does not exist is refused, and the training is watched as before', () => {
  const rig = createGuardRig({ stepDeadlineMs: 30, clock: systemClock });
  rig.healthy(1);
  assert.throws(
    () => rig.guard.suspendDeadline('validating' as never),
    (error: Error) => error instanceof OptionError && error.message.includes('validating'),
  );
  assert.equal([self(rig)?.phase, self(rig)?.suspended], ['training', false]);
  const before = self(rig)?.heartbeatNs ?? 0n;
  rig.healthy(1);
  assert.ok((self(rig)?.heartbeatNs ?? 0n) > before);
  assert.not.ok(rig.events.some(({ type }) => type === 'environment'));
  blockFor(80);
  assert.is(rig.signal.level(), ELEVATED, 'the deadline holds');
  rig.close();
});

/** The signal of a host that gives no thread. */
function withoutThread(signal: EmergencySignal): EmergencySignal {
  const armHeartbeat = (): never => {
    throw Object.assign(new Error('no thread'), { code: 'ESPER_NATIVE_THREAD' });
  };
  return new Proxy(signal, {
    get: (target, key) => {
      if (key === 'armHeartbeat') return armHeartbeat;
      const value: unknown = Reflect.get(target, key);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

test('[R-F7] without a thread for the deadline the heartbeats go on, it is told once, and step() itself finds late ones', () => {
  const host = createGuardRig();
  host.guard.close();
  const controller = createEmergencyController({ signal: withoutThread(host.signal), runId: 'run' });
  const rig = createGuardRig({ controller, stepDeadlineMs: 1000, healthySteps: 2 });
  for (let i = 0; i < 3; i++) {
    rig.healthy(1);
    const before = self(host)?.heartbeatNs ?? 0n;
    rig.clock.advance(1001);
    rig.healthy(2);
    assert.ok((self(host)?.heartbeatNs ?? 0n) > before);
    assert.is(rig.guard.stats().deadlineMisses, i + 1);
  }
  const told = rig.events.flatMap((event) => (event.type === 'environment' ? [event.what] : []));
  assert.equal(told, ['heartbeat (emergency flag)']);
  rig.close();
  host.close();
});

test.run();
