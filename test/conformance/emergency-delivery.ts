import { setTimeout as delay } from 'node:timers/promises';
import type { Test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  BusMessageType,
  clearAttributes,
  createKeyRing,
  EmergencyLevel,
  sealEnvelope,
  TelemetryPacket,
} from '../../src/leyline/index.ts';
import { appendRaw, emergency, keyRing, sealed } from '../helpers/oona-fixtures.ts';
import { until } from '../helpers/until.ts';
import { idOf, type ReaderBench } from './emergency-bench.ts';

/** Who hears what, and in which shape. */
export function deliveryTests(test: Test, bench: () => ReaderBench): void {
  test('[R-O1][R-F3] every emergency arrives once, in order, and is acknowledged', async () => {
    const { host, pending, stream } = bench();
    const { oona, reader, delivered } = host();
    await reader.start();
    const sent = Array.from({ length: 100 }, () => emergency());
    for (const message of sent) await oona.publishEmergency(message);
    await until('100 emergencies', () => delivered.length === 100);
    assert.equal(
      delivered.map(idOf),
      sent.map(({ signalId }) => signalId),
    );
    const [first] = delivered;
    assert.equal([first?.stream, first?.deliveryCount, first?.keyId], [stream, 1, keyRing.currentKeyId]);
    assert.is(first?.attributes.event_id, sent[0]?.signalId);
    await until('everything acknowledged', async () => (await pending()) === 0);
    assert.is(reader.stats().delivered, 100);
  });

  test('[R-O1] every host hears every emergency, once', async () => {
    const { host } = bench();
    const hosts = ['a', 'b', 'c'].map((hostId) => host({ hostId }));
    await Promise.all(hosts.map(({ reader }) => reader.start()));
    const sent = Array.from({ length: 30 }, () => emergency());
    await Promise.all(sent.map((message, i) => hosts[i % 3]?.oona.publishEmergency(message)));
    await until('30 at each host', () => hosts.every(({ delivered }) => delivered.length >= 30));
    const expected = sent.map(({ signalId }) => signalId).sort();
    for (const { delivered } of hosts) assert.equal(delivered.map(idOf).sort(), expected);
  });

  test('[R-O1] what was published before the host had a group is delivered', async () => {
    const { host, bus } = bench();
    const message = emergency();
    await bus().publishEmergency(message);
    const { reader, delivered } = host();
    await reader.start();
    await until('the earlier emergency', () => delivered.length === 1);
    assert.is(delivered[0]?.message.signalId, message.signalId);
  });

  test("[R-O1] a new host does not get what is older than the bus's maximum age", async () => {
    const { host, transport, stream } = bench();
    const { oona, reader, delivered, rejected } = host({ oona: { maxAgeMs: 1000 } });
    await appendRaw(transport, stream, sealed(emergency()));
    await delay(1100);
    const recent = emergency();
    await oona.publishEmergency(recent);
    await reader.start();
    await until('the recent emergency', () => delivered.length === 1);
    assert.equal(delivered.map(idOf), [recent.signalId]);
    assert.equal(rejected, []);
  });

  test('[R-O1] one event in two entries reaches the handler once; both are acknowledged', async () => {
    const { host, pending, transport, stream } = bench();
    const { oona, reader, delivered } = host();
    const message = emergency();
    await oona.publishEmergency(message);
    await appendRaw(transport, stream, sealed(message, { event_id: message.signalId }));
    await appendRaw(transport, stream, sealed(message));
    await reader.start();
    await until('two duplicates', () => reader.stats().duplicates === 2);
    assert.is(delivered.length, 1);
    assert.is(oona.metrics.value('oona.emergency.duplicates_total'), 2);
    await until('everything acknowledged', async () => (await pending()) === 0);
  });

  test('[R-O1] peers that set none of our attributes are heard, with or without a signal id', async () => {
    const { host, transport, stream } = bench();
    const { reader, delivered } = host();
    const plain = emergency();
    const nameless = emergency();
    nameless.signalId = '';
    nameless.triggeredAt = null;
    await appendRaw(transport, stream, sealed(plain));
    await appendRaw(transport, stream, sealed(nameless));
    await appendRaw(transport, stream, sealed(nameless));
    await reader.start();
    await until('three emergencies', () => delivered.length === 3);
    assert.equal(delivered.map(idOf), [plain.signalId, '', '']);
  });

  test('[R-O1] a peer without issue time is dated by its message', async () => {
    const { host, transport, stream } = bench();
    const { reader, delivered, rejected } = host();
    await appendRaw(transport, stream, sealed(emergency({ wallMs: Date.now() - 901_000 })));
    await appendRaw(transport, stream, sealed(emergency({ wallMs: Date.now() - 890_000 })));
    await reader.start();
    await until('the younger one', () => delivered.length === 1);
    assert.equal(
      rejected.map(({ code }) => code),
      ['ESPER_OONA_TOO_OLD'],
    );
  });

  test('[R-O1] a clear travels as a notice with its attributes', async () => {
    const { host } = bench();
    const { oona, reader, delivered } = host();
    const attributes = clearAttributes('cleared-id');
    await oona.publishEmergency(emergency({ level: EmergencyLevel.EMERGENCY_LEVEL_NOTICE, attributes }));
    await reader.start();
    await until('the clear', () => delivered.length === 1);
    assert.equal(delivered[0]?.message.attributes, { action: 'clear', cleared: 'cleared-id' });
  });

  test('[R-O1] other messages on the emergency stream are passed over', async () => {
    const { host, pending, transport, stream } = bench();
    const { oona, reader, delivered, rejected } = host();
    const payload = TelemetryPacket.encode({ packetId: 'p' }).finish();
    const messageType = BusMessageType.BUS_MESSAGE_TYPE_TELEMETRY;
    await appendRaw(transport, stream, sealEnvelope({ messageType, payload }, keyRing));
    await oona.publishEmergency(emergency());
    await reader.start();
    await until('the emergency', () => delivered.length === 1);
    assert.equal([reader.stats().skipped, rejected], [1, []]);
    await until('everything acknowledged', async () => (await pending()) === 0);
  });

  test('[R-O1] an entry signed with a previous key is accepted while that key is in the ring', async () => {
    const { host, transport, stream } = bench();
    const old = { id: 'old', secret: 'the secret of last month' };
    const rotated = createKeyRing({ current: { secret: 'the secret of this month' }, previous: [old] });
    const { reader, delivered } = host({ oona: { keyRing: rotated } });
    await appendRaw(transport, stream, sealed(emergency(), {}, createKeyRing({ current: old })));
    await reader.start();
    await until('the emergency', () => delivered.length === 1);
    assert.is(delivered[0]?.keyId, 'old');
  });

  test('[R-O1] an unsigned bus, when asked for, carries emergencies', async () => {
    const { host } = bench();
    const { oona, reader, delivered } = host({ oona: { unsigned: true } });
    await oona.publishEmergency(emergency());
    await reader.start();
    await until('the emergency', () => delivered.length === 1);
    assert.is(delivered[0]?.keyId, undefined);
  });
}
