import { randomUUID } from 'node:crypto';
import * as assert from 'uvu/assert';
import { BusMessageType, HealthStatus, MessagePriority } from '../../src/leyline/messages.ts';
import { createOona, type Oona } from '../../src/oona/oona.ts';
import type { OonaOptions } from '../../src/oona/options.ts';
import type { PublishErrorEvent } from '../../src/oona/publish/error-events.ts';
import { MESSAGE_KINDS } from '../../src/oona/publish/message-kinds.ts';
import type { BusTransport } from '../../src/oona/transport/transport.ts';
import type {
  BusMessage,
  ConsumerOptions,
  Delivery,
  DeliveryHandler,
  WorkStream,
} from '../../src/oona/work-types.ts';
import { appendRaw, emergency, keyRing, signed } from '../helpers/oona-fixtures.ts';
import { until } from '../helpers/until.ts';
import { engineSuite } from './engine-suite.ts';
import type { TransportFixture } from './transport-bench.ts';

const { MESSAGE_PRIORITY_HIGH: HIGH } = MessagePriority;
const COMMAND = BusMessageType.BUS_MESSAGE_TYPE_ADAPTATION_COMMAND;
const FIELD_REPORT = BusMessageType.BUS_MESSAGE_TYPE_FIELD_REPORT;
const TELEMETRY = BusMessageType.BUS_MESSAGE_TYPE_TELEMETRY;
const STREAMS = ['normal', 'telemetry', 'policy', 'kernelRequests', 'kernelReady', 'kernelErrors'] as const;

const command = (commandId: string): BusMessage => ({ type: COMMAND, message: { version: 1, commandId } });
/** One field each: an empty message is refused. */
const SAMPLES: Readonly<Record<number, object>> = Object.fromEntries(
  Object.keys(MESSAGE_KINDS).map((type) => [type, fieldOf(Number(type))]),
);

function fieldOf(type: number): object {
  const { BUS_MESSAGE_TYPE_KERNEL_CATALOG_UPDATE: CATALOG, BUS_MESSAGE_TYPE_ERROR_EVENT: ERROR } =
    BusMessageType;
  if (type === TELEMETRY) return { packetId: 'p' };
  if (type === CATALOG) return { blueprintId: 'b' };
  if (type === ERROR) return { code: 'C' };
  return { version: 1, requestId: 'r' };
}

const idOf = ({ eventId }: { readonly eventId: string }): string => eventId.replace('command:', '');

/** The whole bus as its users have it, whatever the engine. */
export function busConformance(kind: BusTransport['kind'], setup: () => Promise<TransportFixture>): void {
  const { test, fixture, keep } = engineSuite(`bus on ${kind}`, setup);

  /** Busses on streams of their own. */
  function open(more: Partial<OonaOptions> = {}) {
    const transport = keep(fixture().open());
    const prefix = randomUUID();
    const names = [...STREAMS, 'emergency', 'deadLetter'].map((name) => [name, `${prefix}.${name}`]);
    const streams = Object.fromEntries(names) as Record<string, string>;
    const bus = (options: Partial<OonaOptions> = {}): Oona => {
      const common = { transport, keyRing, source: 'test', hostId: 'host-a', closeTransport: false };
      return keep(createOona({ ...common, streams, ...more, ...options }));
    };
    return { oona: bus(), bus, streams };
  }

  async function consume(
    oona: Oona,
    stream: WorkStream,
    more: Partial<ConsumerOptions> = {},
    then?: DeliveryHandler,
  ) {
    const got: Delivery[] = [];
    const options = { stream, group: 'test', blockMs: 50, retryBaseMs: 5, retryCapMs: 10, ...more };
    const consumer = oona.consumer(options, (delivery) => {
      got.push(delivery);
      return then?.(delivery);
    });
    await consumer.start();
    return { consumer, got };
  }

  test('[R-O1] every kind of message arrives on the stream of its kind, whole', async () => {
    const { oona, streams } = open();
    const consumers = await Promise.all(STREAMS.map((stream) => consume(oona, stream)));
    const kinds = Object.entries(MESSAGE_KINDS).filter(([, { role }]) => role !== 'emergency');
    assert.is(kinds.length, 11);
    for (const [type] of kinds) {
      const message = { type: Number(type), message: SAMPLES[Number(type)] } as BusMessage;
      const result = await oona.publish(message, { eventId: `kind-${type}`, attributes: { mine: type } });
      assert.is(result.outcome, 'published');
    }
    const all = () => consumers.flatMap(({ got }) => got);
    await until('all kinds', () => all().length === kinds.length);
    for (const { type, stream, attributes, eventId, deliveryCount, keyId } of all()) {
      assert.is(stream, streams[MESSAGE_KINDS[type].role]);
      assert.equal([attributes.mine, eventId], [String(type), `kind-${type}`]);
      assert.equal([deliveryCount, keyId], [1, keyRing.currentKeyId]);
    }
  });

  test('[R-O4] what is HIGH travels on the emergency stream, to the consumers of its kind', async () => {
    const { oona, streams } = open();
    const { got: commands, consumer } = await consume(oona, 'normal');
    const { got: packets } = await consume(oona, 'telemetry');
    const { got: home } = await consume(oona, 'normal', { group: 'home-only', emergencyStream: false });
    const urgent = await oona.publish(command('urgent'), { priority: HIGH });
    assert.is(urgent.stream, streams.emergency);
    const indicators = { priority: 'MESSAGE_PRIORITY_CRITICAL' };
    const packet = { packetId: 'p', systemHealth: { status: 1, summary: 's', indicators } };
    assert.is((await oona.publish({ type: TELEMETRY, message: packet })).stream, streams.emergency);
    await oona.publishEmergency(emergency());
    await oona.publish(command('usual'));
    await until('both commands', () => commands.length === 2 && packets.length === 1 && home.length === 1);
    assert.equal(new Set(commands.map(idOf)), new Set(['urgent', 'usual']));
    assert.equal([packets[0]?.eventId, home.map(idOf)[0]], ['p', 'usual']);
    await until('the rest skipped', () => consumer.stats().skipped >= 2);
  });

  test('[R-O1] three deliveries of one that succeeds late; a dead letter of one that never does, and back', async () => {
    const { oona } = open();
    let broken = true;
    const { got, consumer } = await consume(oona, 'normal', { maxDeliveries: 4 }, (delivery) => {
      if (delivery.eventId === 'command:late' && delivery.deliveryCount === 3) return;
      if (delivery.eventId === 'command:never' && !broken) return;
      throw new Error(`not ${idOf(delivery)} at ${delivery.deliveryCount}`);
    });
    await oona.publish(command('late'));
    await oona.publish(command('never'));
    const countsOf = (id: string) => got.filter((one) => idOf(one) === id).map((one) => one.deliveryCount);
    await until('decided', () => consumer.stats().pending === 0 && consumer.stats().read === 2);
    assert.equal(
      [countsOf('late'), countsOf('never')],
      [
        [1, 2, 3],
        [1, 2, 3, 4],
      ],
    );
    const letters = [];
    for await (const letter of oona.deadLetters.list()) letters.push(letter);
    assert.equal(
      letters.map((one) => [idOf(one), one.reason, one.deliveryCount, one.error]),
      [['never', 'ESPER_OONA_DELIVERIES_EXHAUSTED', 4, 'not never at 4']],
    );
    broken = false;
    const report = await oona.deadLetters.replay(letters.map(({ letterId }) => letterId));
    assert.is(report.replayed, 1, JSON.stringify(report));
    await until('handled', () => consumer.stats().handled === 2);
    assert.equal(countsOf('never'), [1, 2, 3, 4, 1]);
  });

  test('[R-O2] [R-E2] dead letters that go for newer ones are counted and told, whoever wrote the newer ones', async () => {
    const told: PublishErrorEvent[] = [];
    const bounds = { deadLetterMaxBytes: 500, deadLetterMaxLength: 7 };
    const { oona, streams } = open({ ...bounds, onErrorEvent: (event) => told.push(event) });
    const hopeless = Object.assign(new Error('hopeless'), { retryable: false });
    const { consumer } = await consume(oona, 'normal', { emergencyStream: false }, () => {
      throw hopeless;
    });
    const cut = (): number => oona.metrics.value('oona.dead_letters.cut_total');
    for (const name of ['a', 'b']) await oona.publish(command(name));
    await until('both dead-lettered', () => consumer.stats().deadLettered === 2);
    assert.is(cut(), 1);
    const reader = oona.emergencyReader(() => undefined, { blockMs: 50 });
    await reader.start();
    await appendRaw(oona.transport, streams.emergency as string, signed(new Uint8Array(1000)));
    await until('the letter of the emergency', () => cut() === 2);
    const left = [];
    for await (const letter of oona.deadLetters.list()) left.push(letter.originStream);
    assert.equal(left, [streams.emergency]);
    const [event] = told;
    assert.equal([event?.code, event?.component, event?.count], ['EVENT_DROPPED', 'oona.dead_letters', 1]);
    assert.equal(event?.context, {
      stream: streams.deadLetter,
      deadLetterMaxLength: '7',
      deadLetterMaxBytes: '500',
    });
  });

  test('[R-O6] a guard that the group shares refuses copies at any of its consumers, of what is urgent too', async () => {
    const { oona, bus, streams } = open();
    const first = await consume(oona, 'normal', { replayGuard: 'shared' });
    await oona.publish(command('usual'));
    await oona.publish(command('urgent'), { priority: HIGH });
    await until('both', () => first.consumer.stats().handled === 2);
    await first.consumer.stop();
    for (const stream of [streams.normal, streams.emergency] as string[]) {
      const all = { stream, after: '', count: 10, newestFirst: false };
      const [{ fields } = { fields: new Map() }] = await oona.transport.range(all, { deadlineMs: 10_000 });
      const signature = Buffer.from(fields.get('signature') ?? []).toString('latin1');
      await appendRaw(oona.transport, stream, { payload: fields.get('payload') as Uint8Array, signature });
    }
    const second = await consume(bus(), 'normal', { replayGuard: 'shared' });
    await until('both copies', () => second.consumer.stats().deadLettered === 2);
    assert.equal(second.consumer.stats().deadLetteredByCode, { ESPER_OONA_REPLAYED: 2 });
  });

  test('[R-O5] a deep stream drops, or reroutes what may be; nothing of it is silent', async () => {
    const told: string[] = [];
    const publish = { dropDepth: 6, rerouteDepth: 3, depthLookMs: 0 };
    const { oona, streams } = open({ publish, onErrorEvent: ({ code }) => told.push(code) });
    // A group that nobody reads: what it was not handed is depth.
    await oona.transport.ensureGroup(streams.normal as string, 'slow', '0', { deadlineMs: 10_000 });
    const results = [];
    for (let i = 0; i < 8; i++) results.push(await oona.publish(command(`c${i}`)));
    assert.equal(results.map(({ outcome }) => outcome).join(' '), `${'published '.repeat(6)}dropped dropped`);
    assert.equal(
      results.slice(0, 6).map((one) => 'depthBefore' in one && one.depthBefore),
      [0, 1, 2, 3, 4, 5],
    );
    assert.is(oona.metrics.value('publish_dropped'), 2);
    assert.ok(told.length > 0);
    assert.is(
      (await oona.publish(command('r'), { mayReroute: true })).outcome,
      'dropped',
      'over the drop depth too',
    );
  });

  test('[R-O5] between the two depths a message that may is rerouted, and its consumers get it there', async () => {
    const { oona, streams } = open({ publish: { dropDepth: 100, rerouteDepth: 3, depthLookMs: 0 } });
    await oona.transport.ensureGroup(streams.normal as string, 'slow', '0', { deadlineMs: 10_000 });
    for (let i = 0; i < 3; i++) await oona.publish(command(`c${i}`));
    const result = await oona.publish(command('moved'), { mayReroute: true });
    assert.equal([result.outcome, result.stream], ['rerouted', streams.emergency]);
    assert.is(oona.metrics.value('publish_rerouted'), 1);
    const { got } = await consume(oona, 'normal');
    await until('all four', () => got.length === 4);
  });

  test('[R-O1] [R-X1] rotating the secret: the old key is accepted while it is listed, then goes to the dead letters', async () => {
    const { bus } = open();
    const { createKeyRing } = await import('../../src/leyline/key-ring.ts');
    const [old, fresh] = [{ secret: 'the old secret of this bus' }, { secret: 'the new secret of this bus' }];
    const before = bus({ keyRing: createKeyRing({ current: old }) });
    const during = bus({ keyRing: createKeyRing({ current: fresh, previous: [old] }) });
    const after = bus({ keyRing: createKeyRing({ current: fresh }) });
    const { got, consumer } = await consume(during, 'normal');
    await before.publish(command('old'));
    await during.publish(command('new'));
    await until('both', () => got.length === 2);
    await consumer.stop();
    const strict = await consume(after, 'normal');
    await before.publish(command('too late'));
    await until('refused', () => strict.consumer.stats().deadLettered === 1);
    assert.equal(strict.consumer.stats().deadLetteredByCode, { ESPER_LEYLINE_SIGNATURE_MISMATCH: 1 });
    assert.equal(strict.got, []);
  });

  test('[R-O1] conservative mode holds back what is below HIGH, in order, and gives it out afterwards', async () => {
    const { oona } = open({ conservativeMode: { dwellMs: 0, quietMs: 0 } });
    const { got } = await consume(oona, 'normal');
    oona.conservativeMode.hold();
    assert.equal([oona.conservativeMode.active, oona.conservativeMode.reasons], [true, ['manual']]);
    for (const id of ['a', 'b']) assert.is((await oona.publish(command(id))).outcome, 'deferred');
    assert.is((await oona.publish(command('urgent'), { priority: HIGH })).outcome, 'published');
    await until('the urgent one', () => got.length === 1);
    oona.conservativeMode.release();
    await until('the others', () => got.length === 3);
    assert.equal(got.map(idOf), ['urgent', 'a', 'b']);
  });

  test('[R-O2] [R-O3] what the bus did and how it is: latencies, depths, health, its packet on the telemetry stream', async () => {
    const { oona } = open({ observe: { healthIntervalMs: 100, tickMs: 50, depthIntervalMs: 50 } });
    await oona.ensureReady();
    const { got } = await consume(oona, 'normal', { group: 'g' });
    const packets = await consume(oona, 'telemetry', { group: 'operator' });
    for (let i = 0; i < 50; i++) {
      await oona.publish({ type: FIELD_REPORT, message: { version: 1, reportId: `r${i}`, outcome: 1 } });
    }
    await until('handled', () => got.length === 50);
    for (const name of ['publish', 'endToEnd', 'handler'] as const) {
      await until(`latency ${name}`, () => oona.metricsSnapshot().latency[name].normal?.total.count === 50);
    }
    assert.is(oona.healthSnapshot().status, HealthStatus.HEALTH_STATUS_HEALTHY);
    assert.equal([oona.healthz('live').statusCode, oona.healthz('ready').statusCode], [200, 200]);
    oona.startReporting();
    oona.startReporting();
    const packet = await until('a health packet', () => packets.got[0]);
    assert.is(packet.type, TELEMETRY);
    assert.is(
      packet.type === TELEMETRY && packet.message.systemHealth?.status,
      HealthStatus.HEALTH_STATUS_HEALTHY,
    );
  });

  test('[R-O1] closed, it refuses with typed results, and everything of it has stopped', async () => {
    const { oona } = open();
    const { consumer } = await consume(oona, 'normal');
    const reader = oona.emergencyReader(() => undefined, { blockMs: 50 });
    await reader.start();
    await Promise.all([oona.close(), oona.close()]);
    assert.equal([consumer.stats().state, reader.stats().state], ['stopped', 'stopped']);
    const result = await oona.publish(command('late'));
    assert.is(result.outcome === 'failed' && result.code, 'ESPER_OONA_CLOSED');
    assert.throws(() => oona.consumer({ stream: 'normal', group: 'g' }, () => undefined), /closed/);
    assert.throws(() => oona.startReporting(), /closed/);
  });

  test.run();
}
