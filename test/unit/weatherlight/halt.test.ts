import { setTimeout as delay } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { EmergencyLevel, TelemetryLevel } from '../../../src/leyline/messages.ts';
import type { Participant } from '../../../src/signals/index.ts';
import {
  createHaltOrchestrator,
  type HaltOrchestrator,
  type HaltOutcome,
} from '../../../src/weatherlight/halt.ts';
import { haltPacket } from '../../../src/weatherlight/packets.ts';
import { until } from '../../helpers/until.ts';
import { type TestContext, testContext } from '../../helpers/weatherlight-context.ts';

const test = suite('weatherlight halt');
const HALT = EmergencyLevel.EMERGENCY_LEVEL_HALT;

interface Stage {
  readonly context: TestContext;
  readonly halt: HaltOrchestrator;
  readonly outcomes: HaltOutcome[];
  /** Raises HALT and begins to follow it. */
  raise(): string;
  end(): Promise<void>;
}

/** `slots`: participants as the flag would list them; default: those of the flag itself. */
function stage(slots?: Participant[]): Stage {
  const context = testContext({ env: { WEATHERLIGHT_HALT_ACK_TIMEOUT_MS: '20' } });
  const signal = Object.create(context.signal, {
    participants: { value: () => slots ?? context.signal.participants() },
  });
  const outcomes: HaltOutcome[] = [];
  const halt = createHaltOrchestrator({ ...context, signal }, (outcome) => outcomes.push(outcome));
  const stop = new AbortController();
  const running = halt.run(stop.signal);
  return {
    context,
    halt,
    outcomes,
    raise() {
      const signalId = context.signal.trigger(HALT, { runId: 'run' });
      const record = context.signal.find(signalId);
      if (record === undefined) throw new Error('no record');
      halt.begin({ signalId, generation: record.generation, triggeredNs: record.monotonicNs });
      return signalId;
    },
    async end() {
      stop.abort();
      await running;
      context.signal.close();
    },
  };
}

function trainer(name: string, acknowledgedGeneration: number, alive = true): Participant {
  const pid = name.charCodeAt(0);
  return {
    ...{ slot: pid, pid, startTimeTicks: 1n, role: 'trainer', name, alive },
    ...{ heartbeatNs: 0n, phase: 'training', suspended: false, limitMs: 0, staleForMs: 0, stale: false },
    ...{ seenGeneration: 0, acknowledgedGeneration },
  };
}

function typesOf(context: TestContext): string[] {
  return context.told.map((event) => event.type);
}

test('[R-F4] a HALT is acknowledged when the trainer has acknowledged its generation', async () => {
  const { context, halt, outcomes, raise, end } = stage();
  context.signal.join('trainer', 'loop');
  const signalId = raise();
  assert.is(halt.snapshot()?.state, 'waiting');
  assert.ok(context.signal.acknowledge(context.signal.read()));
  await until('acknowledged', () => halt.snapshot()?.state === 'acknowledged');
  const event = context.told.at(-1);
  assert.is(event?.type, 'haltAcknowledged');
  if (event?.type !== 'haltAcknowledged') return;
  assert.is(event.signalId, signalId);
  assert.equal(
    event.participants.map(({ name, pid, outcome }) => ({ name, pid, outcome })),
    [{ name: 'loop', pid: process.pid, outcome: 'acknowledged' }],
  );
  assert.ok((event.participants[0]?.latencyMs ?? -1) >= 0);
  assert.equal(
    outcomes.map((outcome) => outcome.stragglers.length),
    [0],
  );
  await end();
});

test('[R-F4] who does not acknowledge in time is named, and watched until it does', async () => {
  const { context, halt, outcomes, raise, end } = stage();
  context.signal.join('trainer', 'slow');
  raise();
  await until('late', () => halt.snapshot()?.state === 'late');
  const named = context.told.find((event) => event.type === 'haltStragglers');
  assert.equal(
    named?.stragglers.map((one) => one.name),
    ['slow'],
  );
  assert.ok((named?.afterMs ?? 0) >= 20);
  assert.is(context.metrics.value('weatherlight.halt.stragglers'), 1);
  assert.ok(context.signal.acknowledge(context.signal.read()));
  await until('acknowledged', () => halt.snapshot()?.state === 'acknowledged');
  const event = context.told.at(-1);
  assert.ok(event?.type === 'haltAcknowledged' && event.late);
  assert.is(context.metrics.value('weatherlight.halt.stragglers'), 0);
  assert.equal(
    outcomes.map((outcome) => outcome.stragglers.map((one) => one.name)),
    [['slow'], []],
  );
  await end();
});

test('[R-F4] seeing a HALT is not acknowledging it', async () => {
  const { context, halt, raise, end } = stage();
  context.signal.join('trainer', 'loop');
  raise();
  context.signal.markSeen(context.signal.read().generation);
  await until('late', () => halt.snapshot()?.state === 'late');
  await end();
});

test('[R-F4] only live trainers are waited for', async () => {
  const slots = [trainer('a', 0), trainer('b', 0, false), { ...trainer('c', 0), role: 'supervisor' }];
  const { context, halt, raise, end } = stage(slots);
  raise();
  const started = context.told[0];
  assert.ok(started?.type === 'haltStarted');
  if (started?.type === 'haltStarted') assert.equal(started.waitingFor, ['a']);
  slots[0] = trainer('a', 1);
  await until('acknowledged', () => halt.snapshot()?.state === 'acknowledged');
  await end();
});

test('[R-F4] a trainer that dies or leaves is gone, not late', async () => {
  const slots = [trainer('a', 0), trainer('b', 0)];
  const { context, halt, outcomes, raise, end } = stage(slots);
  raise();
  slots.splice(0, 2, trainer('a', 0, false));
  await until('done', () => halt.snapshot()?.state === 'unanswered');
  // Never called acknowledged: neither trainer said so.
  assert.equal(typesOf(context), ['haltStarted', 'haltUnanswered']);
  assert.is(context.metrics.value('weatherlight.halt.acknowledged_total'), 0);
  const packet = haltPacket('x', outcomes[0]?.answers ?? [], [], { hostId: 'h', wallMs: 0, sequence: '1' });
  assert.is(packet.level, TelemetryLevel.TELEMETRY_LEVEL_CRITICAL);
  assert.is(
    packet.systemHealth?.summary,
    'HALT acknowledged by 0 trainer(s); gone without acknowledging: a (pid 97), b (pid 98)',
  );
  assert.equal(
    halt.snapshot()?.answers.map((answer) => [answer.name, answer.outcome]),
    [
      ['a', 'gone'],
      ['b', 'gone'],
    ],
  );
  await end();
});

test('[R-F4] a trainer that attaches under a standing HALT has to acknowledge it too', async () => {
  const slots = [trainer('a', 0)];
  const { halt, raise, end } = stage(slots);
  raise();
  slots.push(trainer('b', 0));
  await until('b is waited for', () => halt.snapshot()?.answers.length === 2);
  slots[0] = trainer('a', 1);
  await until('a', () => halt.snapshot()?.answers[0]?.outcome === 'acknowledged');
  assert.is.not(halt.snapshot()?.state, 'acknowledged');
  slots[1] = trainer('b', 2);
  await until('acknowledged', () => halt.snapshot()?.state === 'acknowledged');
  await end();
});

test('[R-F4] without a trainer there is nobody to wait for', async () => {
  const { context, raise, end } = stage();
  raise();
  assert.equal(typesOf(context), ['haltStarted', 'haltAcknowledged']);
  await end();
});

test('[R-F4] a clear ends the waiting', async () => {
  const { context, halt, raise, end } = stage();
  context.signal.join('trainer', 'loop');
  raise();
  const seen = context.signal.read();
  halt.withdraw(seen.generation - 1);
  assert.is(halt.snapshot()?.state, 'waiting');
  halt.withdraw(seen.generation + 1);
  assert.is(halt.snapshot()?.state, 'withdrawn');
  await delay(40);
  assert.equal(typesOf(context), ['haltStarted', 'haltWithdrawn']);
  await end();
});

test('[R-F4] two HALTs at once are both followed', async () => {
  const { context, raise, end } = stage();
  context.signal.join('trainer', 'loop');
  const ids = [raise(), raise()];
  context.signal.acknowledge(context.signal.read());
  await until('both', () => typesOf(context).filter((type) => type === 'haltAcknowledged').length === 2);
  const acknowledged = context.told.flatMap((event) =>
    event.type === 'haltAcknowledged' ? [event.signalId] : [],
  );
  assert.equal(acknowledged.sort(), ids.sort());
  await end();
});

test.run();
