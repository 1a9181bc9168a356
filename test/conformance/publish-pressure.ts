import { randomUUID } from 'node:crypto';
import type { Test } from 'uvu';
import * as assert from 'uvu/assert';
import { BusMessageType, decodeMessage, FieldReport, MessagePriority } from '../../src/leyline/index.ts';
import type { PublishingTuning } from '../../src/oona/publish/publishing.ts';
import { DEFAULT_STREAMS } from '../../src/oona/streams.ts';
import type { BusTransport } from '../../src/oona/transport/transport.ts';
import type { WorkPublishResult } from '../../src/oona/work-types.ts';
import { message, opened, type PublishingRig } from '../helpers/publishing.ts';
import { until } from '../helpers/until.ts';
import { calls, never } from './transport-bench.ts';

const T = BusMessageType;
const REPORT = T.BUS_MESSAGE_TYPE_FIELD_REPORT;
const report = (reportId: string = randomUUID(), notes = 'n') => message(REPORT, { reportId, notes });

interface PressureBench {
  readonly transport: BusTransport;
  /** Closed by the suite. */
  readonly rig: (tuning?: PublishingTuning) => PublishingRig;
}

/** What publishing does with streams that are deep or long. */
export function pressureTests(test: Test, bench: () => PressureBench): void {
  test('[R-O5] at dropDepth a message is dropped, counted and told; read and acknowledged ones do not count', async () => {
    const { transport, rig } = bench();
    const { publisher, metrics, events, observed } = rig({ publish: { dropDepth: 3, rerouteDepth: 0 } });
    const stream = DEFAULT_STREAMS.normal;
    await transport.ensureGroup(stream, 'g', '0', calls);
    const outcomes: WorkPublishResult[] = [];
    for (let i = 0; i < 5; i++) outcomes.push(await publisher.publish(report()));
    assert.equal(
      outcomes.map(({ outcome }) => outcome),
      ['published', 'published', 'published', 'dropped', 'dropped'],
    );
    const dropped = outcomes[4] as Extract<WorkPublishResult, { outcome: 'dropped' }>;
    assert.equal([dropped.reason, dropped.depthBefore], ['back-pressure', 3]);
    const first = outcomes[0] as Extract<WorkPublishResult, { outcome: 'published' }>;
    assert.equal([first.depthBefore, first.depthAfter], [0, 1]);
    assert.equal(
      ['publish_dropped', 'publish_rerouted', 'oona.publish.dropped_total', 'queue_depth_normal'].map(
        (name) => metrics.value(name),
      ),
      [2, 0, 2, 3],
    );
    assert.equal([events.length, events[0]?.type], [1, 'pipeline.error.event_dropped']);
    assert.is(observed.at(-1), 'normal dropped');
    const reader = transport.openReader();
    const request = {
      stream,
      group: 'g',
      consumer: 'c',
      which: 'new',
      afterId: '0',
      count: 10,
      blockMs: 0,
    } as const;
    const entries = await reader.read(request, never);
    await transport.acknowledge(
      stream,
      'g',
      entries.map(({ entryId }) => entryId),
      calls,
    );
    await reader.close();
    // The engine may answer from a measurement up to 100 ms old.
    await until('room again', async () => (await publisher.publish(report())).outcome === 'published');
  });

  test('[R-O4] [R-O5] from rerouteDepth on a NORMAL message that may goes to the emergency stream, its type preserved', async () => {
    const { transport, rig } = bench();
    const { publisher, metrics, events } = rig({ publish: { dropDepth: 4, rerouteDepth: 2 } });
    await transport.ensureGroup(DEFAULT_STREAMS.normal, 'g', '0', calls);
    await publisher.publish(report('a'));
    await publisher.publish(report('b'));
    const moved = await publisher.publish(report('c', 'moved'), { mayReroute: true, attributes: { k: 'v' } });
    assert.equal(
      [moved.outcome, moved.stream, (moved as { intended: string }).intended],
      ['rerouted', DEFAULT_STREAMS.emergency, DEFAULT_STREAMS.normal],
    );
    const entry = (await opened(transport, DEFAULT_STREAMS.emergency))[0];
    assert.equal(
      [entry?.messageType, entry?.attributes.stream, entry?.attributes.k],
      [REPORT, DEFAULT_STREAMS.emergency, 'v'],
    );
    const decoded = decodeMessage(REPORT, entry?.payload ?? new Uint8Array(0));
    assert.equal(
      [decoded instanceof FieldReport, decoded.notes, entry?.attributes.event_id],
      [true, 'moved', 'report:c'],
    );
    assert.is((await publisher.publish(report('c'), { mayReroute: true })).outcome, 'duplicate');
    assert.is((await publisher.publish(report('d'))).outcome, 'published', 'was not asked for');
    await publisher.publish(report('e'));
    // The engine may answer from a count that is a few milliseconds old.
    await until('above dropDepth nothing is rerouted either', async () => {
      return (await publisher.publish(report(), { mayReroute: true })).outcome === 'dropped';
    });
    const rerouted = (await opened(transport, DEFAULT_STREAMS.emergency)).length;
    assert.equal([metrics.value('publish_rerouted'), metrics.value('publish_dropped')], [rerouted, 1]);
    assert.equal(
      events.map(({ code }) => code),
      ['BACK_PRESSURE_ACTIVE', 'EVENT_DROPPED'],
    );
    assert.is(metrics.value('oona.publish.normal.rerouted_total'), rerouted);
  });

  test('[R-O4] a retry of what was rerouted is stored once, also when its own stream has room again', async () => {
    const { transport, rig } = bench();
    const { publisher, mode } = rig({ publish: { rerouteDepth: 1 }, mode: { dwellMs: 0, quietMs: 10 } });
    const stream = DEFAULT_STREAMS.normal;
    await transport.ensureGroup(stream, 'g', '0', calls);
    await publisher.publish(report('first'));
    assert.is((await publisher.publish(report('moved'), { mayReroute: true })).outcome, 'rerouted');
    await transport.removeGroup(stream, 'g', calls);
    // The engine may answer from a count that is a few milliseconds old.
    await until('room again', async () => {
      return (await publisher.publish(report(), { mayReroute: true })).outcome === 'published';
    });
    const again = await publisher.publish(report('moved'), { mayReroute: true });
    assert.equal([again.outcome, again.stream], ['duplicate', DEFAULT_STREAMS.emergency]);
    mode.hold('manual');
    assert.is((await publisher.publish(report('moved'), { mayReroute: true })).outcome, 'deferred');
    mode.release('manual');
    await until('it was sent', () => publisher.outboxStats().duplicates === 1);
    const all = [
      ...(await opened(transport, stream)),
      ...(await opened(transport, DEFAULT_STREAMS.emergency)),
    ];
    assert.is(all.filter(({ attributes }) => attributes.event_id === 'report:moved').length, 1);
  });

  test('[R-O4] a retry by another process goes where the first one went, also when that died on the way', async () => {
    const { transport, rig } = bench();
    const run = randomUUID();
    const stream = DEFAULT_STREAMS.normal;
    await transport.ensureGroup(stream, 'g', '0', calls);
    const first = rig({ publish: { rerouteDepth: 1 } });
    await first.publisher.publish(report(`first ${run}`));
    assert.is(
      (await first.publisher.publish(report(`moved ${run}`), { mayReroute: true })).outcome,
      'rerouted',
    );
    // One that was refused and has not got to the emergency stream.
    const died = {
      stream,
      payload: new Uint8Array([1]),
      signature: '',
      dedupId: `report:died ${run}`,
      ttlMs: 0,
    };
    const refused = { ...died, dedupWindowMs: 60_000, depthLimit: 1, moveBelow: 10 };
    assert.is((await transport.append(refused, calls)).outcome, 'full');
    await transport.removeGroup(stream, 'g', calls);
    // Nothing is known here of the first one's publishes; this one looks at no depth, the other at each.
    const blind = rig({ publish: { rerouteDepth: 0, dropDepth: 0 } }).publisher;
    const again = await blind.publish(report(`moved ${run}`));
    assert.equal([again.outcome, again.stream], ['duplicate', DEFAULT_STREAMS.emergency]);
    const looking = rig({ publish: { depthLookMs: 0, measureDepth: true } }).publisher;
    assert.is((await looking.publish(report(`moved ${run}`), { mayReroute: true })).outcome, 'duplicate');
    const saved = await looking.publish(report(`died ${run}`));
    assert.equal([saved.outcome, saved.stream], ['rerouted', DEFAULT_STREAMS.emergency]);
    assert.is((await blind.publish(report(`died ${run}`))).outcome, 'duplicate');
    const idsOn = async (where: string) =>
      (await opened(transport, where)).map(({ attributes }) => attributes.event_id);
    assert.equal(await idsOn(stream), [`report:first ${run}`]);
    assert.equal(await idsOn(DEFAULT_STREAMS.emergency), [`report:moved ${run}`, `report:died ${run}`]);
  });

  test('[R-O4] what another process rerouted is not stored twice by an outbox either', async () => {
    const { transport, rig } = bench();
    const run = randomUUID();
    const stream = DEFAULT_STREAMS.normal;
    await transport.ensureGroup(stream, 'g', '0', calls);
    const first = rig({ publish: { rerouteDepth: 1 } });
    await first.publisher.publish(report(`first ${run}`));
    assert.is(
      (await first.publisher.publish(report(`moved ${run}`), { mayReroute: true })).outcome,
      'rerouted',
    );
    const died = {
      stream,
      payload: new Uint8Array([1]),
      signature: '',
      dedupId: `report:died ${run}`,
      ttlMs: 0,
    };
    const refused = { ...died, dedupWindowMs: 60_000, depthLimit: 1, moveBelow: 10 };
    assert.is((await transport.append(refused, calls)).outcome, 'full');
    const { publisher, mode } = rig({ publish: { rerouteDepth: 0 }, mode: { dwellMs: 0, quietMs: 10 } });
    mode.hold('manual');
    for (const id of ['moved', 'died']) {
      assert.is((await publisher.publish(report(`${id} ${run}`))).outcome, 'deferred');
    }
    mode.release('manual');
    await until('both were sent', () => publisher.outboxStats().waiting === 0);
    const { published, duplicates } = publisher.outboxStats();
    assert.equal([published, duplicates], [1, 1]);
    assert.is((await opened(transport, stream)).length, 1);
    const urgent = await opened(transport, DEFAULT_STREAMS.emergency);
    assert.equal(
      urgent.map(({ attributes }) => [attributes.event_id, attributes.stream]),
      [
        [`report:moved ${run}`, DEFAULT_STREAMS.emergency],
        [`report:died ${run}`, DEFAULT_STREAMS.emergency],
      ],
    );
  });

  test('[R-O5] urgent messages and packets about an emergency have no depth gate', async () => {
    const { transport, rig } = bench();
    const { publisher } = rig({ publish: { dropDepth: 1 } });
    for (const stream of Object.values(DEFAULT_STREAMS)) await transport.ensureGroup(stream, 'g', '0', calls);
    const packet = () => message(T.BUS_MESSAGE_TYPE_TELEMETRY, { packetId: randomUUID() });
    const priority = MessagePriority.MESSAGE_PRIORITY_HIGH;
    for (let i = 0; i < 3; i++) {
      assert.is((await publisher.publish(report(), { priority })).outcome, 'published');
      assert.is((await publisher.publishInternal(packet(), { aboutEmergency: true })).outcome, 'published');
    }
    assert.is((await publisher.publish(packet())).outcome, 'dropped');
  });

  test('[R-O1] trimming follows the appends: what is beyond the cap is cut, and what nobody had read is told', async () => {
    const { transport, rig } = bench();
    const { publisher, metrics, events } = rig({ publish: { maxStreamLength: 1000, trimIntervalMs: 100 } });
    const stream = DEFAULT_STREAMS.policy;
    await transport.ensureGroup(stream, 'g', '0', calls);
    const update = message(T.BUS_MESSAGE_TYPE_POLICY_UPDATE, { policyId: 'p' });
    for (let sent = 0; sent < 2500; sent += 100) {
      await Promise.all(Array.from({ length: 100 }, () => publisher.publish(update)));
    }
    await until('what was cut unread is counted', async () => {
      await publisher.publish(update);
      return metrics.value('oona.publish.cut_unread_total') >= 1000;
    });
    assert.is(metrics.value('oona.publish.trimmed_total'), metrics.value('oona.publish.cut_unread_total'));
    assert.ok(
      events.some(({ component, code }) => component === 'oona.publish.policy' && code === 'EVENT_DROPPED'),
    );
  });
}
