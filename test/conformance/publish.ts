import { randomUUID } from 'node:crypto';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { BusMessageType, type CodableType, MessagePriority } from '../../src/leyline/index.ts';
import { MESSAGE_KINDS } from '../../src/oona/publish/message-kinds.ts';
import { DEFAULT_STREAMS } from '../../src/oona/streams.ts';
import type { BusTransport } from '../../src/oona/transport/transport.ts';
import type { WorkPublishResult } from '../../src/oona/work-types.ts';
import { createRig, message, opened, type PublishingRig } from '../helpers/publishing.ts';
import { until } from '../helpers/until.ts';
import { pressureTests } from './publish-pressure.ts';
import { calls, type TransportFixture } from './transport-bench.ts';

const T = BusMessageType;
const REPORT = T.BUS_MESSAGE_TYPE_FIELD_REPORT;
const SIGNAL = T.BUS_MESSAGE_TYPE_EMERGENCY_SIGNAL;
const report = (reportId: string = randomUUID(), notes = 'n') => message(REPORT, { reportId, notes });

/** Something that every message type can say. */
const SAMPLES: Readonly<Record<number, object>> = {
  [T.BUS_MESSAGE_TYPE_ADAPTATION_COMMAND]: { commandId: 'c' },
  [T.BUS_MESSAGE_TYPE_SYSTEM_STATE]: { packetId: 'p' },
  [T.BUS_MESSAGE_TYPE_FIELD_REPORT]: { reportId: 'r' },
  [T.BUS_MESSAGE_TYPE_TELEMETRY]: { packetId: 't' },
  [T.BUS_MESSAGE_TYPE_POLICY_UPDATE]: { policyId: 'p' },
  [T.BUS_MESSAGE_TYPE_KERNEL_PREFETCH_REQUEST]: { requestId: 'q' },
  [T.BUS_MESSAGE_TYPE_KERNEL_PREFETCH_READY]: { requestId: 'q' },
  [T.BUS_MESSAGE_TYPE_KERNEL_PREFETCH_ERROR]: { requestId: 'q' },
  [T.BUS_MESSAGE_TYPE_KERNEL_CATALOG_UPDATE]: { blueprintId: 'b' },
  [T.BUS_MESSAGE_TYPE_ERROR_EVENT]: { eventId: 'e' },
  [T.BUS_MESSAGE_TYPE_ROLLBACK_REQUEST]: { requestId: 'rb' },
};

/** Publishing does the same over every engine. The streams are emptied before each test, so the engine must be ours. */
export function publishConformance(engine: string, setUp: () => Promise<TransportFixture>): void {
  const test = suite(`publishing, ${engine}`);
  let fixture: TransportFixture;
  let transport: BusTransport;
  const rigs: PublishingRig[] = [];
  const rig = (...given: Parameters<typeof createRig> extends [unknown, ...infer R] ? R : never) => {
    const made = createRig(transport, ...given);
    rigs.push(made);
    return made;
  };

  test.before(async () => {
    fixture = await setUp();
  });
  test.after(() => fixture.teardown());
  test.before.each(() => {
    transport = fixture.open();
  });
  test.after.each(async () => {
    for (const made of rigs.splice(0)) await made.close();
    for (const stream of Object.values(DEFAULT_STREAMS)) {
      for (const { group } of await transport.groups(stream, calls))
        await transport.removeGroup(stream, group, calls);
      const all = await transport.range({ stream, after: '', count: 100_000, newestFirst: false }, calls);
      if (all.length > 0)
        await transport.remove(
          stream,
          all.map(({ entryId }) => entryId),
          calls,
        );
    }
    await transport.close();
  });

  test('[R-O1] every type arrives on its stream, signed for it, with its attributes', async () => {
    const { publisher, observed } = rig();
    for (const [type, sample] of Object.entries(SAMPLES)) {
      const result = await publisher.publish(message(Number(type) as CodableType, sample as never), {
        eventId: `event-${type}`,
        attributes: { mine: 'yes' },
        traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
        tracestate: 'a=b',
      });
      const kind = MESSAGE_KINDS[Number(type) as CodableType];
      const stream = DEFAULT_STREAMS[kind.role];
      assert.equal([result.outcome, result.stream], ['published', stream]);
      const entry = (await opened(transport, stream)).find(({ messageType }) => messageType === Number(type));
      const { issued_at_ms: issuedAtMs, key_id: _, ...attributes } = entry?.attributes ?? {};
      assert.equal(attributes, {
        event_id: `event-${type}`,
        stream,
        source: 'test',
        mine: 'yes',
        traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
        tracestate: 'a=b',
      });
      assert.ok(Math.abs(Number(issuedAtMs) - Date.now()) < 60_000);
      assert.is((result as { entryId: string }).entryId, entry?.entryId);
      assert.equal(entry?.keyId !== undefined, true);
    }
    assert.is(observed.length, Object.keys(SAMPLES).length);
  });

  test('[R-O1] the own id of a message stores it once; without one every publish counts', async () => {
    const { publisher, metrics } = rig();
    const first = await publisher.publish(report('one'));
    const again = await publisher.publish(report('one', 'other'));
    assert.equal([first.outcome, again.outcome], ['published', 'duplicate']);
    assert.is((again as { entryId: string }).entryId, (first as { entryId: string }).entryId);
    const update = message(T.BUS_MESSAGE_TYPE_POLICY_UPDATE, { policyId: 'p' });
    assert.equal(
      [(await publisher.publish(update)).outcome, (await publisher.publish(update)).outcome],
      ['published', 'published'],
    );
    assert.is((await opened(transport, DEFAULT_STREAMS.normal)).length, 1);
    assert.is(metrics.value('oona.publish.normal.duplicate_total'), 1);
  });

  test('[R-O4] NORMAL stays, HIGH and CRITICAL of every type go to the emergency stream with their type', async () => {
    const { publisher } = rig();
    const { MESSAGE_PRIORITY_NORMAL: NORMAL, MESSAGE_PRIORITY_HIGH: HIGH } = MessagePriority;
    for (const [type, sample] of Object.entries(SAMPLES)) {
      const one = message(Number(type) as CodableType, sample as never);
      const normal = await publisher.publish(one, { priority: NORMAL });
      const high = await publisher.publish(one, { priority: HIGH });
      assert.is(high.stream, DEFAULT_STREAMS.emergency);
      assert.is.not(normal.stream, DEFAULT_STREAMS.emergency);
    }
    const types = (await opened(transport, DEFAULT_STREAMS.emergency)).map(({ messageType }) => messageType);
    assert.equal(types.sort(), Object.keys(SAMPLES).map(Number).sort());
  });

  test('[R-O4] telemetry goes where its indicator says, but never when it is about an emergency', async () => {
    const { publisher } = rig();
    const urgent = () =>
      message(T.BUS_MESSAGE_TYPE_TELEMETRY, {
        packetId: randomUUID(),
        systemHealth: { indicators: { priority: 'MESSAGE_PRIORITY_CRITICAL' } },
      });
    assert.is((await publisher.publish(urgent())).stream, DEFAULT_STREAMS.emergency);
    const about = await publisher.publishInternal(urgent(), { aboutEmergency: true });
    assert.equal([about.outcome, about.stream], ['published', DEFAULT_STREAMS.telemetry]);
    const explicit = { aboutEmergency: true, priority: MessagePriority.MESSAGE_PRIORITY_HIGH };
    assert.is((await publisher.publishInternal(urgent(), explicit)).stream, DEFAULT_STREAMS.telemetry);
  });

  test('[R-O1] emergencies take the one path of emergencies', async () => {
    const { publisher, emergencies } = rig();
    const result = await publisher.publish(message(SIGNAL, { signalId: 'sig' }));
    assert.equal([result.outcome, emergencies], ['published', ['sig']]);
    const other = await publisher.publish(message(SIGNAL, { signalId: 'sig' }), { eventId: 'another' });
    assert.equal([other.outcome, emergencies.length], ['rejected', 1]);
  });

  pressureTests(test, () => ({ transport, rig }));

  test('[R-O1] what waited in conservative mode is published in order when the mode is over, and counted', async () => {
    const { publisher, mode, observed, metrics } = rig({ mode: { dwellMs: 0, quietMs: 20 } });
    mode.hold('manual');
    const results: WorkPublishResult[] = [];
    for (let i = 0; i < 300; i++) results.push(await publisher.publish(report(`r${i}`)));
    assert.ok(results.every(({ outcome }) => outcome === 'deferred'));
    const urgent = { priority: MessagePriority.MESSAGE_PRIORITY_HIGH };
    assert.is((await publisher.publish(report(), urgent)).outcome, 'published');
    assert.equal(await opened(transport, DEFAULT_STREAMS.normal), []);
    mode.release('manual');
    await until('the outbox is empty', () => publisher.outboxStats().waiting === 0);
    const ids = (await opened(transport, DEFAULT_STREAMS.normal)).map(
      ({ attributes }) => attributes.event_id,
    );
    assert.equal(
      ids,
      Array.from({ length: 300 }, (_, i) => `report:r${i}`),
    );
    assert.equal([publisher.outboxStats().published, metrics.value('oona.publish.outbox_waiting')], [300, 0]);
    assert.is(observed.filter((line) => line === 'normal published').length, 301);
    assert.is((await publisher.publish(report('after'))).outcome, 'published');
  });

  test('[R-O1] close publishes what waits, then refuses', async () => {
    const { publisher, mode, close } = rig({ mode: { dwellMs: 60_000 } });
    mode.hold('manual');
    for (let i = 0; i < 50; i++) await publisher.publish(report());
    await close();
    assert.is((await opened(transport, DEFAULT_STREAMS.normal)).length, 50);
    const late = await publisher.publish(report());
    assert.equal([late.outcome, (late as { code: string }).code], ['failed', 'ESPER_OONA_CLOSED']);
    assert.equal(publisher.outboxStats(), {
      ...publisher.outboxStats(),
      accepted: 50,
      published: 50,
      waiting: 0,
    });
  });

  test.run();
}
