import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { readEmergencySignal } from '../../../src/leyline/emergency.ts';
import { EmergencyLevel } from '../../../src/leyline/messages.ts';
import type {
  EmergencyPublisher,
  EmergencySignalMessage,
  PublishResult,
  TelemetryPacketMessage,
} from '../../../src/oona/types.ts';
import { createOutbox, type Outbox } from '../../../src/weatherlight/outbox.ts';
import { createManualClock } from '../../helpers/manual-clock.ts';
import { until } from '../../helpers/until.ts';
import { type TestContext, testContext } from '../../helpers/weatherlight-context.ts';

const test = suite('weatherlight outbox');
const {
  EMERGENCY_LEVEL_ELEVATED: ELEVATED,
  EMERGENCY_LEVEL_CONSERVATIVE: CONSERVATIVE,
  EMERGENCY_LEVEL_HALT: HALT,
} = EmergencyLevel;

const STORED: PublishResult = { outcome: 'published', stream: 's', entryId: '1-0', latencyMs: 0 };
const AWAY: PublishResult = {
  ...{ outcome: 'failed', stream: 's', latencyMs: 0 },
  ...{ code: 'ESPER_OONA_DISCONNECTED', reason: 'away', retryable: true },
};
const REFUSED: PublishResult = { ...AWAY, code: 'ESPER_OONA_AUTH', reason: 'no', retryable: false };

/** Counts what is handed to it and answers as told; the emergency itself goes nowhere. */
class Bus implements EmergencyPublisher {
  answer: (signalId: string) => PublishResult = () => STORED;
  readonly emergencies: EmergencySignalMessage[] = [];
  readonly packets: TelemetryPacketMessage[] = [];

  async publishEmergency(message: EmergencySignalMessage): Promise<PublishResult> {
    this.emergencies.push(message);
    return this.answer(message.signalId);
  }

  async publishTelemetry(packet: TelemetryPacketMessage): Promise<PublishResult> {
    this.packets.push(packet);
    return this.answer(packet.packetId);
  }

  get ids(): string[] {
    return this.emergencies.map((message) => message.signalId);
  }
}

interface Stage {
  readonly bus: Bus;
  readonly context: TestContext;
  readonly outbox: Outbox;
  end(): Promise<void>;
}

function stage(env: Record<string, string> = {}): Stage {
  const bus = new Bus();
  const context = testContext({ bus, env });
  const outbox = createOutbox(context);
  const stop = new AbortController();
  const running = outbox.run(stop.signal);
  return {
    bus,
    context,
    outbox,
    async end() {
      stop.abort();
      await running;
      context.signal.close();
      assert.equal(context.errors, []);
    },
  };
}

test('[R-B7] a record that nobody marked published is published with all that it says, then marked', async () => {
  const { bus, context, outbox, end } = stage();
  const signalId = context.signal.trigger(HALT, { reason: 'why', origin: 'trainer', runId: 'run', step: 42 });
  outbox.kick();
  await until('published', () => outbox.pending() === 0);
  assert.equal(bus.ids, [signalId]);
  const [sent] = bus.emergencies;
  if (sent === undefined) throw new Error('nothing sent');
  const { level, reason, origin, runId, step, bootId, monotonicNs } = readEmergencySignal(sent);
  assert.equal([level, reason, origin, runId, step], [HALT, 'why', 'trainer', 'run', 42]);
  assert.is(bootId, 'this-boot');
  assert.is(monotonicNs, context.signal.find(signalId)?.monotonicNs);
  assert.is(context.signal.find(signalId)?.published, true);
  assert.is(context.metrics.value('weatherlight.outbox.published_total'), 1);
  await end();
});

test('[R-B7] the raiser gets its time first: nothing younger than the delay is touched', async () => {
  const clock = createManualClock(Number(process.hrtime.bigint()) / 1e6 + 1000);
  const bus = new Bus();
  const context = testContext({ bus, clock, env: { WEATHERLIGHT_OUTBOX_DELAY_MS: '5000' } });
  const outbox = createOutbox(context);
  const stop = new AbortController();
  const running = outbox.run(stop.signal);
  context.signal.trigger(HALT);
  outbox.kick();
  await until('it sleeps', () => clock.sleepers > 0);
  assert.equal(bus.ids, []);
  clock.advance(6000);
  await until('published', () => outbox.pending() === 0);
  assert.is(bus.ids.length, 1);
  stop.abort();
  await running;
  context.signal.close();
});

test('[R-B7] what the raiser has published itself is left alone', async () => {
  const { bus, context, outbox, end } = stage({ WEATHERLIGHT_OUTBOX_DELAY_MS: '20' });
  const own = context.signal.trigger(HALT);
  const record = context.signal.find(own);
  if (record !== undefined) context.signal.markPublished(record);
  const left = context.signal.trigger(HALT);
  outbox.kick();
  await until('published', () => outbox.pending() === 0);
  assert.equal(bus.ids, [left]);
  await end();
});

test('[R-B7] records bridged from another host are never sent back', async () => {
  const { bus, context, outbox, end } = stage();
  context.signal.trigger(HALT, { remoteSignalId: 'theirs' });
  const own = context.signal.trigger(HALT);
  outbox.kick();
  await until('published', () => outbox.pending() === 0);
  assert.equal(bus.ids, [own]);
  await end();
});

test('[R-B7] the bus away: retried until it is stored, told once', async () => {
  const { bus, context, outbox, end } = stage();
  bus.answer = () => AWAY;
  const signalId = context.signal.trigger(HALT);
  outbox.kick();
  await until('several attempts', () => bus.emergencies.length >= 3);
  assert.is(outbox.pending(), 1);
  assert.is(context.told.filter((event) => event.type === 'outboxFailed').length, 1);
  assert.ok(context.metrics.value('weatherlight.outbox.failed_total') >= 3);
  bus.answer = () => STORED;
  outbox.kick();
  await until('published', () => outbox.pending() === 0);
  assert.equal([...new Set(bus.ids)], [signalId]);
  await end();
});

test('[R-B7] a record that the bus refuses for itself does not hold up the others', async () => {
  const { bus, context, outbox, end } = stage();
  const bad = context.signal.trigger(HALT, { reason: 'bad' });
  const good = context.signal.trigger(HALT, { reason: 'good' });
  bus.answer = (signalId) => (signalId === bad ? REFUSED : STORED);
  outbox.kick();
  await until('the good one', () => context.signal.find(good)?.published === true);
  assert.is(context.signal.find(bad)?.published, false);
  await end();
});

test('[R-B7] somebody else was quicker: a duplicate is marked like a success', async () => {
  const { bus, context, outbox, end } = stage();
  bus.answer = () => ({ outcome: 'duplicate', stream: 's', entryId: '1-0', latencyMs: 0 });
  context.signal.trigger(HALT);
  outbox.kick();
  await until('marked', () => outbox.pending() === 0);
  assert.is(context.metrics.value('weatherlight.outbox.duplicate_total'), 1);
  assert.is(context.metrics.value('weatherlight.outbox.published_total'), 0);
  await end();
});

test('[R-F3] below CONSERVATIVE a record leaves with telemetry only', async () => {
  const { bus, context, outbox, end } = stage();
  const signalId = context.signal.trigger(ELEVATED, { reason: 'spike' });
  context.signal.clear(context.signal.read(), { force: true });
  outbox.kick();
  await until('published', () => outbox.pending() === 0);
  assert.equal(bus.ids, []);
  assert.is(bus.packets.length, 2);
  assert.is(bus.packets[0]?.events?.[0]?.attributes?.signal_id, signalId);
  await end();
});

test('[R-F8] with the fast path off emergencies leave with telemetry', async () => {
  const { bus, context, outbox, end } = stage({ TOLARIA_EMERGENCY_FAST_PATH_ENABLED: 'false' });
  context.signal.trigger(HALT);
  outbox.kick();
  await until('published', () => outbox.pending() === 0);
  assert.equal([bus.emergencies.length, bus.packets.length], [0, 1]);
  await end();
});

test('[R-B7] a clear follows its emergency and names the one that held the level', async () => {
  const { bus, context, outbox, end } = stage();
  const raised = context.signal.trigger(CONSERVATIVE);
  context.signal.trigger(ELEVATED);
  const result = context.signal.clear(context.signal.read(), { force: true, reason: 'over' });
  if (result.outcome !== 'cleared') throw new Error(result.outcome);
  outbox.kick();
  await until('published', () => outbox.pending() === 0);
  assert.equal(bus.ids, [raised, result.signalId]);
  assert.is(bus.emergencies[1]?.level, EmergencyLevel.EMERGENCY_LEVEL_NOTICE);
  assert.is(bus.emergencies[1]?.attributes?.action, 'clear');
  assert.is(bus.emergencies[1]?.attributes?.cleared, raised);
  await end();
});

test('[R-B7] at start it publishes what a trainer left that was killed before', async () => {
  const bus = new Bus();
  const context = testContext({ bus });
  const signalId = context.signal.trigger(HALT);
  const outbox = createOutbox(context);
  const stop = new AbortController();
  const running = outbox.run(stop.signal);
  await until('published', () => outbox.pending() === 0);
  assert.equal(bus.ids, [signalId]);
  stop.abort();
  await running;
  context.signal.close();
});

test('[R-W7] the drain of a shutdown waits for no age and no back-off', async () => {
  const bus = new Bus();
  const context = testContext({ bus, env: { WEATHERLIGHT_OUTBOX_DELAY_MS: '10000' } });
  const outbox = createOutbox(context);
  context.signal.trigger(HALT);
  assert.is(await outbox.drain(new AbortController().signal), 0);
  bus.answer = () => AWAY;
  context.signal.trigger(HALT);
  assert.is(await outbox.drain(new AbortController().signal), 1);
  context.signal.close();
});

test.run();
