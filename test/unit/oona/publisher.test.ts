import { setTimeout as delay } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { systemClock } from '../../../src/core/clock.ts';
import { OptionError } from '../../../src/core/errors.ts';
import { silentLogger } from '../../../src/core/logger.ts';
import { Metrics } from '../../../src/core/metrics.ts';
import {
  BusMessageType,
  decodeMessage,
  EmergencyLevel,
  openEnvelope,
  TelemetryPacket,
} from '../../../src/leyline/index.ts';
import { EmergencyStreamPublisher } from '../../../src/oona/emergency-publisher.ts';
import { silentPublishObserver } from '../../../src/oona/observe/observers.ts';
import { createOona } from '../../../src/oona/oona.ts';
import type { OonaOptions } from '../../../src/oona/options.ts';
import { createPublishBreaker } from '../../../src/oona/publish/publish-breaker.ts';
import { DEFAULT_STREAMS } from '../../../src/oona/streams.ts';
import { createMemoryTransport } from '../../../src/oona/transport/memory.ts';
import { createRedisTransport } from '../../../src/oona/transport/redis.ts';
import type { BusTransport, StreamEntry } from '../../../src/oona/transport/transport.ts';
import { emergency, keyRing } from '../../helpers/oona-fixtures.ts';

const test = suite('oona publisher');
const isOptionError = (error: Error): boolean => error instanceof OptionError;
const calls = { deadlineMs: 1000 };

function setup(more: Partial<OonaOptions> = {}) {
  const transport = createMemoryTransport();
  const oona = createOona({ transport, keyRing, source: 'tolaria', hostId: 'a', ...more });
  const entries = async (stream: string): Promise<readonly StreamEntry[]> => {
    await transport.ensureGroup(stream, 'look', '0', calls);
    const request = {
      stream,
      group: 'look',
      consumer: 'c',
      which: 'new',
      afterId: '0',
      count: 100,
      blockMs: 0,
    } as const;
    return transport.openReader().read(request, new AbortController().signal);
  };
  return { transport, oona, entries };
}

function only(entries: readonly StreamEntry[]): StreamEntry {
  assert.is(entries.length, 1);
  return entries[0] as StreamEntry;
}

test('[R-O1] [R-F3] an emergency goes to the emergency stream, signed, with its attributes', async () => {
  const { oona, entries } = setup();
  const message = emergency({ reason: 'loss exploded', origin: 'guard' });
  const before = Date.now();
  const result = await oona.publishEmergency(message);
  const entry = only(await entries('oona.emergency'));
  assert.is(result.outcome, 'published');
  assert.is(result.outcome === 'published' && result.entryId, entry.entryId);
  const opened = openEnvelope(entry, keyRing);
  const { issued_at_ms: issuedAtMs, ...attributes } = opened.attributes;
  assert.equal(attributes, {
    event_id: message.signalId,
    stream: 'oona.emergency',
    source: 'tolaria',
    origin: 'guard',
    reason: 'loss exploded',
    level: '4',
    key_id: keyRing.currentKeyId,
  });
  assert.ok(Number(issuedAtMs) >= before && Number(issuedAtMs) <= Date.now());
  const decoded = decodeMessage(BusMessageType.BUS_MESSAGE_TYPE_EMERGENCY_SIGNAL, opened.payload);
  assert.is(decoded.signalId, message.signalId);
  assert.is(decoded.level, EmergencyLevel.EMERGENCY_LEVEL_HALT);
});

test('[R-O1] the same signal id is published once; the second is told as duplicate', async () => {
  const { oona, entries } = setup();
  const message = emergency();
  const first = await oona.publishEmergency(message);
  const second = await oona.publishEmergency(message);
  assert.equal([first.outcome, second.outcome], ['published', 'duplicate']);
  assert.is(first.outcome === 'published' && first.entryId, second.outcome === 'duplicate' && second.entryId);
  assert.is((await entries('oona.emergency')).length, 1);
  assert.is(oona.metrics.value('oona.publish.published_total'), 1);
  assert.is(oona.metrics.value('oona.publish.duplicate_total'), 1);
});

test('[R-O1] telemetry about an emergency goes to the telemetry stream, whatever its priority', async () => {
  const { oona, entries } = setup();
  const packet = TelemetryPacket.create({
    packetId: 'p1',
    sourceSubsystem: 'weatherlight',
    level: 4,
    systemHealth: { status: 4, summary: 'halt', indicators: { priority: 'MESSAGE_PRIORITY_CRITICAL' } },
  });
  const results = [await oona.publishTelemetry(packet), await oona.publishTelemetry(packet)];
  assert.equal(
    results.map(({ outcome }) => outcome),
    ['published', 'duplicate'],
  );
  assert.equal(await entries('oona.emergency'), []);
  const { messageType, attributes } = openEnvelope(only(await entries('oona.telemetry')), keyRing);
  assert.is(messageType, BusMessageType.BUS_MESSAGE_TYPE_TELEMETRY);
  assert.equal([attributes.event_id, attributes.stream], ['p1', 'oona.telemetry']);
});

test('[R-O1] [R-F11] a publish that cannot work ends as a typed result, not as a rejection', async () => {
  const { oona, transport } = setup({ maxPayloadBytes: 1024 });
  const noId = emergency();
  noId.signalId = '';
  const failures = [
    await oona.publishEmergency(noId),
    await oona.publishEmergency(emergency({ runId: 'x'.repeat(4096) })),
    await oona.publishEmergency(emergency(), { deadlineMs: -1 }),
    await oona.publishEmergency(emergency(), { signal: AbortSignal.abort() }),
  ];
  await transport.close();
  failures.push(await oona.publishEmergency(emergency()));
  assert.equal(
    failures.map((result) => result.outcome === 'failed' && [result.code, result.retryable]),
    [
      ['ESPER_OPTION_INVALID', false],
      ['ESPER_LEYLINE_TOO_LARGE', false],
      ['ESPER_OPTION_INVALID', false],
      ['ESPER_OONA_ABORTED', true],
      ['ESPER_OONA_CLOSED', false],
    ],
  );
  assert.is(oona.metrics.value('oona.publish.failed_total'), 5);
});

test('[R-O1] a long reason is cut in the attribute only, and never inside a character', async () => {
  const { oona, entries } = setup();
  const reason = `${'x'.repeat(511)}😀${'y'.repeat(100)}`;
  await oona.publishEmergency(emergency({ reason }));
  const { attributes, payload } = openEnvelope(only(await entries('oona.emergency')), keyRing);
  assert.is(attributes.reason, 'x'.repeat(511));
  assert.is(decodeMessage(BusMessageType.BUS_MESSAGE_TYPE_EMERGENCY_SIGNAL, payload).reason, reason);
});

test('[R-O1] a bus without a key ring must be asked for', async () => {
  const base = { transport: createMemoryTransport(), source: 's', hostId: 'h' };
  assert.throws(
    () => createOona(base),
    (error: Error) => error instanceof OptionError && /ESPER_LEYLINE_SECRET/.test(error.message),
  );
  assert.throws(() => createOona({ ...base, keyRing, unsigned: true }), isOptionError);
  const warnings: string[] = [];
  const log = (_: object, text: string): void => void warnings.push(text);
  const logger = { debug: log, info: log, warn: log, error: log };
  const transport = createRedisTransport({ url: 'redis://127.0.0.1:1' });
  await createOona({ ...base, transport, unsigned: true, logger }).close();
  assert.match(warnings.join(), 'unsigned');
});

test('[R-O1] an unsigned bus publishes without signature and key id', async () => {
  const transport = createMemoryTransport();
  const oona = createOona({ transport, unsigned: true, source: 's', hostId: 'h' });
  await transport.ensureGroup('oona.emergency', 'look', '0', calls);
  await oona.publishEmergency(emergency());
  const request = {
    stream: 'oona.emergency',
    group: 'look',
    consumer: 'c',
    which: 'new',
    afterId: '0',
    count: 9,
    blockMs: 0,
  } as const;
  const entry = only(await transport.openReader().read(request, new AbortController().signal));
  assert.is(entry.signature, '');
  assert.is(openEnvelope(entry, undefined).attributes.key_id, undefined);
});

test('[R-O1] refuses options that are unknown or out of range', () => {
  const base = { transport: createMemoryTransport(), keyRing, source: 's', hostId: 'h' };
  const bad: object[] = [
    { hostid: 'x' },
    { hostId: 'two words' },
    { source: '' },
    { maxAgeMs: 1 },
    { publishDeadlineMs: Number.NaN },
    { streams: { emergency: 'oona.telemetry' } },
    { streams: { emergency: 'a}b' } },
    { transport: {} },
  ];
  for (const more of bad)
    assert.throws(() => createOona({ ...base, ...more }), isOptionError, JSON.stringify(more));
});

test('[R-O1] close ends publishing and leaves a shared memory transport open', async () => {
  const { oona, transport } = setup();
  await oona.ensureReady();
  await oona.close();
  await oona.close();
  const result = await oona.publishEmergency(emergency());
  assert.is(result.outcome === 'failed' && result.code, 'ESPER_OONA_CLOSED');
  assert.throws(() => oona.emergencyReader(() => undefined), /closed/);
  await transport.ping(calls);
});

test('[R-O1] whoever closes waits for what is under way, however many do', async () => {
  const memory = createMemoryTransport();
  const slow: BusTransport = Object.assign(Object.create(memory) as BusTransport, {
    append: async (...args: Parameters<BusTransport['append']>) => {
      await delay(20);
      return memory.append(...args);
    },
  });
  const parts = { clock: systemClock, metrics: new Metrics(), logger: silentLogger };
  const options = {
    ...parts,
    breaker: createPublishBreaker(parts),
    observer: silentPublishObserver,
    transport: slow,
    keyRing,
    streams: DEFAULT_STREAMS,
    source: 'tolaria',
    publishDeadlineMs: 1000,
    maxPayloadBytes: 65_536,
    ttlMs: 0,
    dedupWindowMs: 0,
  };
  const publisher = new EmergencyStreamPublisher(options);
  let published = false;
  void publisher.publish(emergency()).then(() => {
    published = true;
  });
  await Promise.all([publisher.close(), publisher.close()]);
  assert.is(published, true);
  await publisher.close();
});

test.run();
