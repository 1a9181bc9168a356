import { setTimeout as delay } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Metrics } from '../../../src/core/metrics.ts';
import { EmergencyLevel, TelemetryLevel, type TelemetryPacket } from '../../../src/leyline/messages.ts';
import type { NativeFlag, NativeOpenFlag } from '../../../src/native/contract.ts';
import { AttachError } from '../../../src/native/errors.ts';
import { createTwin } from '../../../src/native/twin.ts';
import { createMemoryTransport } from '../../../src/oona/transport/memory.ts';
import type { BusTransport } from '../../../src/oona/transport/transport.ts';
import { openEmergencySignal } from '../../../src/signals/emergency-signal.ts';
import { appendRaw, emergency, sealed } from '../../helpers/oona-fixtures.ts';
import { until } from '../../helpers/until.ts';
import { type Host, readStream, readTelemetry, startHost, uniqueName } from '../../helpers/weatherlight.ts';

const test = suite('weatherlight supervisor');
const {
  EMERGENCY_LEVEL_UNSPECIFIED: NONE,
  EMERGENCY_LEVEL_ELEVATED: ELEVATED,
  EMERGENCY_LEVEL_CONSERVATIVE: CONSERVATIVE,
  EMERGENCY_LEVEL_HALT: HALT,
} = EmergencyLevel;

async function twoHosts(
  run: (a: Host, b: Host, transport: BusTransport) => Promise<void>,
  envB: Record<string, string> = {},
): Promise<void> {
  const transport = createMemoryTransport();
  const a = await startHost({ hostId: 'a', transport });
  const b = await startHost({ hostId: 'b', transport, env: envB });
  try {
    await run(a, b, transport);
  } finally {
    await a.end();
    await b.end();
    await transport.close();
  }
}

function unsigned(message: Parameters<typeof sealed>[0]): ReturnType<typeof sealed> {
  return { ...sealed(message), signature: '' };
}

function aboutEmergency(
  packets: readonly TelemetryPacket[],
  signalId: string,
  hostId: string,
): TelemetryPacket[] {
  return packets.filter((packet) => packet.packetId === `emergency-${signalId}-${hostId}`);
}

test('[R-F4] an emergency gives one CRITICAL packet, source weatherlight, with its summary', async () => {
  const transport = createMemoryTransport();
  const host = await startHost({ hostId: 'a', transport });
  const signalId = host.signal.trigger(HALT, { reason: 'NaN', origin: 'guard', runId: 'run', step: 17 });
  await host.events.next('duplicateDetection');
  await host.events.next('telemetryPublished', (event) => event.packetId.startsWith('emergency-'));
  const packets = aboutEmergency(await readTelemetry(transport), signalId, 'a');
  assert.is(packets.length, 1);
  const [packet] = packets;
  assert.is(packet?.sourceSubsystem, 'weatherlight');
  assert.is(packet?.level, TelemetryLevel.TELEMETRY_LEVEL_CRITICAL);
  const { detect_latency_ms: latency, path, ...attributes } = packet?.events?.[0]?.attributes ?? {};
  assert.equal(attributes, {
    source: 'weatherlight',
    level: 'halt',
    reason: 'NaN',
    origin: 'guard',
    run_id: 'run',
    step: '17',
    signal_id: signalId,
    host: 'a',
  });
  // The embedded bus lives in this process, too: on a busy machine it can be the quicker of the two.
  assert.ok(path === 'shared-memory' || path === 'stream');
  assert.ok(Number(latency) >= 0);
  assert.is(host.weatherlight.metrics.value('weatherlight.emergency.detections_total'), 1);
  assert.is(host.weatherlight.metrics.value('weatherlight.emergency.duplicate_detections_total'), 1);
  await host.end();
  await transport.close();
});

test('[R-F10] detection works without any bus', async () => {
  const host = await startHost({ hostId: 'a', transport: 'none' });
  const signalId = host.signal.trigger(HALT, { runId: 'run' });
  const detected = await host.events.next('detected');
  assert.is(detected.emergency.signalId, signalId);
  assert.is(detected.path, 'shared-memory');
  assert.is(host.weatherlight.snapshot().bus.state, 'disabled');
  assert.is(host.weatherlight.snapshot().outbox.pending, 1);
  await host.end();
});

test('[R-F9] a flag that is process-local against its will: told, gauged, and no HALT is called acknowledged', async () => {
  const metrics = new Metrics();
  const native = { ...createTwin(), openFlag: failingShared };
  const signal = openEmergencySignal(uniqueName('degraded'), { keepAlive: false, native, metrics });
  assert.is(metrics.value('tolaria.emergency.shared_signal_degraded'), 1);
  const transport = createMemoryTransport();
  const host = await startHost({ hostId: 'a', transport, signal });
  await appendRaw(transport, 'oona.emergency', unsigned(emergency({ signalId: 'e1' })));
  const error = await host.events.next('error');
  assert.is(error.code, 'ESPER_WEATHERLIGHT_HALT_BLIND');
  assert.is(host.signal.level(), HALT);
  const { halt, signal: shown } = host.weatherlight.snapshot();
  assert.equal(
    [halt?.state, shown.kind, shown.degraded?.code],
    ['blind', 'process-local', 'ESPER_SHM_NO_SPACE'],
  );
  assert.is(host.events.of('haltAcknowledged').length, 0);
  await host.end();
  await transport.close();
});

/** A host whose /dev/shm is full, over the twin. */
function failingShared(options: NativeOpenFlag): NativeFlag {
  if (options.kind === 'shared') throw new AttachError('ESPER_SHM_NO_SPACE', 'no space');
  return createTwin().openFlag(options);
}

test('[R-F4] an emergency of one host raises the flag of the other, under its id, born published', async () => {
  await twoHosts(async (a, b, transport) => {
    const signalId = a.signal.trigger(HALT, { reason: 'NaN', origin: 'guard', runId: 'run', step: 3 });
    await b.events.next('bridged');
    const record = b.signal.find(signalId);
    assert.is(b.signal.level(), HALT);
    assert.ok(record?.remote && record.published);
    assert.equal([record?.reason, record?.origin, record?.runId, record?.step], ['NaN', 'guard', 'run', 3]);
    await b.events.next('duplicateDetection', (event) => event.path === 'shared-memory');
    await a.events.next('duplicateDetection');
    assert.equal(
      [a, b].map((host) => host.weatherlight.metrics.value('weatherlight.emergency.detections_total')),
      [1, 1],
    );
    await b.events.next('haltAcknowledged');
    assert.is((await readStream(transport, 'oona.emergency')).length, 1);
  });
});

test('[R-F4] a clear travels too', async () => {
  await twoHosts(async (a, b) => {
    const signalId = a.signal.trigger(HALT, { runId: 'run' });
    await b.events.next('bridged');
    await until('both have seen it', () => a.signal.participants().every((one) => one.seenGeneration > 0));
    const result = a.signal.clear(a.signal.read(), { reason: 'over', runId: 'run' });
    assert.is(result.outcome, 'cleared');
    const bridged = await b.events.next('bridgedClear');
    assert.is(bridged.clearedSignalId, signalId);
    assert.ok(bridged.outcome === 'cleared' || bridged.outcome === 'forced');
    assert.is(b.signal.level(), NONE);
    const record = b.signal.history().at(-1);
    assert.ok(record?.kind === 'clear' && record.remote);
    await a.events.next('cleared');
    assert.is(a.events.of('bridgedClear').length, 0);
  });
});

test('[R-F4] a clear of one emergency leaves another standing', async () => {
  await twoHosts(async (a, b) => {
    a.signal.trigger(CONSERVATIVE, { runId: 'run' });
    await b.events.next('bridged');
    // Raised beneath the reach of the bus, so that A cannot know it.
    const own = b.signal.trigger(HALT, { runId: 'run', remoteSignalId: 'of-a-third-host' });
    a.signal.clear(a.signal.read(), { force: true, runId: 'run' });
    const bridged = await b.events.next('bridgedClear');
    assert.is(bridged.outcome, 'other-emergency');
    assert.is(b.signal.level(), HALT);
    assert.is(own, 'of-a-third-host');
  });
});

test('[R-F4] a raise that arrives after its own clear is told and does not stand', async () => {
  const transport = createMemoryTransport();
  const host = await startHost({ hostId: 'a', transport });
  const NOTICE = EmergencyLevel.EMERGENCY_LEVEL_NOTICE;
  const clear = emergency({ level: NOTICE, signalId: 'c1', attributes: { action: 'clear', cleared: 'e1' } });
  await appendRaw(transport, 'oona.emergency', unsigned(clear));
  await appendRaw(transport, 'oona.emergency', unsigned(emergency({ signalId: 'e1' })));
  const detected = await host.events.next('detected');
  assert.is(detected.emergency.signalId, 'e1');
  await delay(20);
  assert.is(host.signal.level(), NONE);
  assert.is(host.events.of('bridged').length, 0);
  await host.end();
  await transport.close();
});

test('[R-F4] a HALT of another run is reported and not obeyed', async () => {
  const transport = createMemoryTransport();
  const host = await startHost({ hostId: 'a', transport });
  await appendRaw(transport, 'oona.emergency', unsigned(emergency({ signalId: 'e1', runId: 'other' })));
  const reported = await host.events.next('foreignRun');
  assert.equal([reported.emergency.runId, reported.obeyed], ['other', false]);
  assert.is(host.signal.level(), NONE);
  assert.is(host.weatherlight.metrics.value('weatherlight.emergency.foreign_runs_total'), 1);
  await host.end();
  await transport.close();
});

test('[R-F4] a HALT of another run is obeyed where the settings say so', async () => {
  const transport = createMemoryTransport();
  const env = { WEATHERLIGHT_OBEY_FOREIGN_RUNS: '1' };
  const host = await startHost({ hostId: 'a', transport, env });
  await appendRaw(transport, 'oona.emergency', unsigned(emergency({ signalId: 'e1', runId: 'other' })));
  await host.events.next('bridged');
  assert.is(host.signal.level(), HALT);
  assert.is((await host.events.next('foreignRun')).obeyed, true);
  await host.end();
  await transport.close();
});

test('[R-F4] a peer that sets neither signal id nor run id is heard', async () => {
  const transport = createMemoryTransport();
  const host = await startHost({ hostId: 'a', transport });
  const message = emergency({ runId: '' });
  message.signalId = '';
  const entryId = await appendRaw(transport, 'oona.emergency', unsigned(message));
  const bridged = await host.events.next('bridged');
  assert.is(bridged.signalId, `oona.emergency:${entryId}`);
  assert.is(host.signal.level(), HALT);
  await host.end();
  await transport.close();
});

test('[R-F4] texts and ids that a record cannot hold do not lose the emergency', async () => {
  const transport = createMemoryTransport();
  const host = await startHost({ hostId: 'a', transport });
  const message = emergency({
    signalId: 'x'.repeat(500),
    reason: 'r'.repeat(10_000),
    origin: '\0'.repeat(200),
  });
  await appendRaw(transport, 'oona.emergency', unsigned(message));
  const bridged = await host.events.next('bridged');
  assert.ok(Buffer.byteLength(bridged.signalId) <= 64);
  assert.is(host.signal.find(bridged.signalId)?.level, HALT);
  await host.end();
  await transport.close();
});

test('[R-F3] a low level on the stream is detected and raises nothing', async () => {
  const transport = createMemoryTransport();
  const host = await startHost({ hostId: 'a', transport });
  await appendRaw(transport, 'oona.emergency', unsigned(emergency({ signalId: 'e1', level: ELEVATED })));
  await host.events.next('detected');
  assert.is(host.signal.level(), NONE);
  assert.equal(aboutEmergency(await readTelemetry(transport), 'e1', 'a'), []);
  await host.end();
  await transport.close();
});

test('[R-W1] telemetry of every interval carries the names of the service', async () => {
  const transport = createMemoryTransport();
  const env = { WEATHERLIGHT_TELEMETRY_INTERVAL_MS: '100' };
  const host = await startHost({ hostId: 'a', transport, env });
  host.signal.trigger(HALT, { runId: 'run' });
  const packet = await until('a periodic packet', async () => {
    const packets = await readTelemetry(transport);
    return packets.find((one) =>
      one.metrics?.some((metric) => metric.name === 'weatherlight.emergency.detections_total'),
    );
  });
  const values = Object.fromEntries((packet.metrics ?? []).map((metric) => [metric.name, metric.value]));
  assert.is(values['weatherlight.emergency.detections_total'], 1);
  assert.ok(Number(values['weatherlight.uptime_s']) > 0);
  assert.ok(Number(values['weatherlight.started_at']) > 1e9);
  assert.ok(Number(values['weatherlight.tasks.running']) >= 1);
  assert.is(packet.sourceSubsystem, 'weatherlight');
  await host.end();
  await transport.close();
});

test('[R-W1] life cycle: starts once, stops once, keeps its last snapshot', async () => {
  const transport = createMemoryTransport();
  const host = await startHost({ hostId: 'a', transport });
  await assertRejects(() => host.weatherlight.start());
  const [first, second] = await Promise.all([host.weatherlight.stop(), host.weatherlight.stop()]);
  assert.is(first, second);
  assert.equal([first.clean, first.unfinished, first.unpublished], [true, [], 0]);
  assert.is(host.weatherlight.snapshot().state, 'stopped');
  assert.is(host.events.of('stopped').length, 1);
  host.signal.close();
  await transport.close();
});

async function assertRejects(work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    assert.is((error as { code?: string }).code, 'ESPER_WEATHERLIGHT_STATE');
    return;
  }
  assert.unreachable('did not reject');
}

test.run();
