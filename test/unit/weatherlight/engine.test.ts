import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { silentLogger } from '../../../src/core/logger.ts';
import { EmergencyLevel } from '../../../src/leyline/messages.ts';
import { createOona } from '../../../src/oona/oona.ts';
import { createMemoryTransport } from '../../../src/oona/transport/memory.ts';
import type { BusTransport } from '../../../src/oona/transport/transport.ts';
import { engine } from '../../../src/pipeline/engine.ts';
import { openEmergencySignal } from '../../../src/signals/emergency-signal.ts';
import type { EmergencySignal } from '../../../src/signals/types.ts';
import { createBusLink } from '../../../src/weatherlight/bus-link.ts';
import { createDetector } from '../../../src/weatherlight/detection.ts';
import { createFlagSet } from '../../../src/weatherlight/flag-set.ts';
import { type Notice, NoticeOutlet } from '../../../src/weatherlight/notices.ts';
import { loadSettings } from '../../../src/weatherlight/settings.ts';
import { loopOf, streamSource } from '../../../src/weatherlight/sources.ts';
import { createWeatherlight, type Weatherlight } from '../../../src/weatherlight/weatherlight.ts';
import { appendRaw, emergency, sealed } from '../../helpers/oona-fixtures.ts';
import { until } from '../../helpers/until.ts';
import { EventLog, readTelemetry, startHost, uniqueName } from '../../helpers/weatherlight.ts';
import { testContext } from '../../helpers/weatherlight-context.ts';

const test = suite('weatherlight on its engine');
const HALT = EmergencyLevel.EMERGENCY_LEVEL_HALT;

interface Told {
  readonly weatherlight: Weatherlight;
  readonly signal: EmergencySignal;
  readonly events: EventLog;
  end(): Promise<void>;
}

/** A supervisor whose log lines about detections go to `onDetected`. */
async function startLogged(transport: BusTransport, onDetected: () => void): Promise<Told> {
  const warn = (_: object, text: string): void => {
    if (text.includes('detected')) onDetected();
  };
  const bus = createOona({
    ...{ transport, unsigned: true, source: 'weatherlight', hostId: 'a', closeTransport: false },
  });
  const signal = openEmergencySignal(uniqueName('log'), { kind: 'process-local', keepAlive: false });
  const settings = loadSettings({ ESPER_ALLOW_UNSIGNED: '1', ESPER_HOST_ID: 'a', ESPER_RUN_ID: 'run' });
  const weatherlight = createWeatherlight(settings, { signal, bus, logger: { ...silentLogger, warn } });
  const events = new EventLog();
  weatherlight.subscribe((event) => events.all.push(event));
  await weatherlight.start();
  const end = async (): Promise<void> => {
    await weatherlight.stop();
    await bus.close();
    signal.close();
  };
  return { weatherlight, signal, events, end };
}

test('[R-E11][R-F4] the halt begins before a sink is called, and the sinks are called before the loop goes on', async () => {
  const transport = createMemoryTransport();
  const order: string[] = [];
  const { weatherlight, signal, events, end } = await startLogged(transport, () => order.push('sink'));
  weatherlight.subscribe(({ type }) => {
    if (type === 'detected') setImmediate(() => order.push('next turn'));
    if (type === 'detected' || type === 'haltStarted') order.push(type);
  });
  signal.trigger(HALT, { runId: 'run' });
  await events.next('haltAcknowledged');
  await until('the next turn', () => order.includes('next turn'));
  assert.equal(order, ['detected', 'haltStarted', 'sink', 'next turn']);
  await end();
  await transport.close();
});

test('[R-E11][R-F4] a burst in one wake: a packet for each emergency, in their order', async () => {
  const transport = createMemoryTransport();
  const host = await startHost({ hostId: 'a', transport });
  const ids = Array.from({ length: 60 }, () => host.signal.trigger(HALT, { runId: 'run' }));
  await until('all packets', () => host.events.of('telemetryPublished').length >= ids.length);
  const packets = await until('all of them on the stream', async () => {
    const all = (await readTelemetry(transport)).filter(({ packetId }) => packetId.startsWith('emergency-'));
    return all.length === ids.length && all;
  });
  assert.equal(
    packets.map(({ packetId }) => packetId),
    ids.map((id) => `emergency-${id}-a`),
  );
  await host.end();
  await transport.close();
});

test('[R-E11] a log that throws is an internal error, and keeps neither the telemetry nor the halt from anything', async () => {
  const transport = createMemoryTransport();
  const { weatherlight, signal, events, end } = await startLogged(transport, () => {
    throw new Error('disk full');
  });
  const signalId = signal.trigger(HALT, { runId: 'run' });
  await events.next('haltAcknowledged');
  await events.next('telemetryPublished', ({ packetId }) => packetId === `emergency-${signalId}-a`);
  const error = await events.next('error');
  assert.equal([error.code, error.where], ['EMITTER_FAILED', 'emitter:log']);
  assert.match(error.message, /disk full/);
  assert.is(weatherlight.snapshot().lastErrors.at(-1)?.code, 'EMITTER_FAILED');
  await end();
  await transport.close();
});

test('[R-W7] the stop: first the reader, then the tasks, the outbox, the telemetry, the bus', async () => {
  const transport = createMemoryTransport();
  // Nothing of the outbox is due before the stop.
  const env = { WEATHERLIGHT_OUTBOX_DELAY_MS: '10000' };
  const host = await startHost({ hostId: 'a', transport, env });
  const { weatherlight, signal, events } = host;
  signal.trigger(HALT, { runId: 'run' });
  await events.next('haltAcknowledged');
  const seen: unknown[] = [];
  weatherlight.subscribe(({ type }) => {
    if (type !== 'outboxPublished') return;
    const { bus, tasks, state } = weatherlight.snapshot();
    seen.push([state, bus.reader?.state, bus.state, tasks]);
  });
  const report = await weatherlight.stop();
  assert.equal([report.clean, report.unpublished], [true, 0]);
  assert.equal(seen, [['stopping', 'stopped', 'up', []]]);
  assert.is(weatherlight.snapshot().telemetryWaiting, 0);
  await host.end();
  await transport.close();
});

test('[R-W1] a start that fails tells why, leaves nothing behind, and may be tried again', async () => {
  const signal = openEmergencySignal(uniqueName('start'), { kind: 'process-local', keepAlive: false });
  let refusals = 1;
  const refusing = new Proxy(signal, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key, target);
      if (typeof value !== 'function') return value;
      if (key !== 'subscribe' || refusals === 0) return value.bind(target);
      refusals -= 1;
      throw new Error('no watch');
    },
  });
  const settings = loadSettings({ ESPER_ALLOW_UNSIGNED: '1', ESPER_RUN_ID: 'run' });
  const weatherlight = createWeatherlight(settings, { signal: refusing, bus: 'none' });
  const events = new EventLog();
  weatherlight.subscribe((event) => events.all.push(event));
  let thrown: unknown;
  await weatherlight.start().catch((error: unknown) => {
    thrown = error;
  });
  assert.match(String(thrown), 'no watch');
  assert.is(events.of('error')[0]?.where, 'adapter:shared-memory');
  assert.equal(signal.participants(), []);
  assert.throws(() => weatherlight.snapshot(), /not started/);
  await weatherlight.start();
  assert.is(signal.participants().length, 1);
  assert.ok((await weatherlight.stop()).clean);
  assert.equal(signal.participants(), []);
  signal.close();
});

test('[R-E11][R-F4] a flag that is followed anew detects what came meanwhile, and nothing twice', async () => {
  const context = testContext();
  const detector = createDetector(context);
  const detected: string[] = [];
  const flags = createFlagSet({
    context,
    detector,
    hooks: {
      mayAct: () => true,
      onDetection: ({ emergency }) => detected.push(emergency.signalId),
      onHaltOutcome: () => undefined,
    },
    first: context.signal,
    reopen: undefined,
  });
  const names = () => context.signal.participants().map(({ name }) => name);
  flags.begin(() => undefined);
  const first = context.signal.trigger(HALT, { runId: 'run' });
  await until('the first', () => detected.length === 1);
  assert.equal(names(), ['weatherlight@here']);
  await flags.end();
  assert.equal(names(), []);
  const second = context.signal.trigger(HALT, { runId: 'run' });
  flags.begin(() => undefined);
  await until('the second', () => detected.length === 2);
  assert.equal(detected, [first, second]);
  assert.is(context.metrics.value('weatherlight.emergency.duplicate_detections_total'), 1);
  assert.equal(names(), ['weatherlight@here']);
  await flags.end();
  flags.close();
  detector.close();
  context.signal.close();
});

test('[R-E10][R-W1] telemetry of every interval has the accounts of the engine and of its error bus', async () => {
  const transport = createMemoryTransport();
  const env = { WEATHERLIGHT_TELEMETRY_INTERVAL_MS: '100' };
  const host = await startHost({ hostId: 'a', transport, env });
  host.signal.trigger(HALT, { runId: 'run' });
  await host.events.next('haltAcknowledged');
  const values = await until('a packet with them', async () => {
    for (const { metrics = [] } of await readTelemetry(transport)) {
      const found = new Map(metrics?.map(({ name, value }) => [name, value]));
      if (Number(found.get('pipeline.adapters.accepted')) > 0) return found;
    }
    return undefined;
  });
  // The detection and what became of the halt, on both sinks.
  assert.equal(
    ['adapters.accepted', 'internal.delivered', 'external.delivered', 'external.dropped'].map((name) =>
      values.get(`pipeline.${name}`),
    ),
    [2, 2, 4, 0],
  );
  assert.is(values.get('faults.bus.malformed'), 0);
  await host.end();
  await transport.close();
});

test('[R-E6][R-F4] the emergency stream goes on where it was when its source is started again', async () => {
  const transport = createMemoryTransport();
  const oona = createOona({ transport, unsigned: true, source: 'weatherlight', hostId: 'here' });
  const context = testContext();
  const got: string[] = [];
  const stops: AbortSignal[] = [];
  const link = createBusLink(context, oona, {
    handle: ({ message }, stop) => {
      got.push(message.signalId ?? '');
      stops.push(stop);
    },
    prepare: () => undefined,
  });
  const running = new Set<string>();
  const source = streamSource(link, { settled: async () => undefined }, new NoticeOutlet(context), running);
  const made = () => engine<Notice>({ adapters: [source], memoryMonitor: false, gracefulDegradation: false });
  const raise = (signalId: string) =>
    appendRaw(transport, 'oona.emergency', { ...sealed(emergency({ signalId })), signature: '' });
  for (const signalId of ['first', 'second']) {
    const run = made();
    await run.start();
    await raise(signalId);
    await until(signalId, () => got.includes(signalId));
    assert.is(stops.at(-1)?.aborted, false);
    assert.ok((await run.stop()).clean);
    assert.equal([stops.at(-1)?.aborted, link.readerStats()?.state], [true, 'stopped']);
  }
  assert.equal(got, ['first', 'second']);
  await oona.close();
  context.signal.close();
});

test('[R-E6][R-W2] a loop that throws is reported, listed as down, and started again; one that returns is done', async () => {
  const running = new Set<string>();
  let runs = 0;
  const flaky = loopOf('flaky', running, async (stop) => {
    runs += 1;
    if (runs < 3) throw new Error(`run ${runs}`);
    await new Promise((resolve) => stop.addEventListener('abort', resolve, { once: true }));
  });
  const short = loopOf('short', running, async () => undefined);
  const made = engine<Notice>({
    adapters: [{ adapter: flaky, restartBaseMs: 5, restartCapMs: 5 }, short],
    ...{ memoryMonitor: false, gracefulDegradation: false, logger: silentLogger },
  });
  await made.start();
  await until('up', () => runs === 3 && running.has('flaky'));
  assert.equal([...running], ['flaky']);
  const { adapters } = made.stats();
  assert.equal([adapters[0]?.failures, adapters[0]?.lastError, adapters[1]?.failures], [2, 'run 2', 0]);
  assert.ok((await made.stop()).clean);
  assert.is(running.size, 0);
});

test.run();
