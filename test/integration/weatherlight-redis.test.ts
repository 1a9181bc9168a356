import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createKeyRing } from '../../src/leyline/key-ring.ts';
import { EmergencyLevel, TelemetryLevel } from '../../src/leyline/messages.ts';
import { createOona } from '../../src/oona/oona.ts';
import { createRedisTransport } from '../../src/oona/transport/redis.ts';
import { redisTlsFromEnvironment } from '../../src/oona/transport/redis-tls.ts';
import type { BusTransport } from '../../src/oona/transport/transport.ts';
import { openEmergencySignal } from '../../src/signals/emergency-signal.ts';
import type { EmergencySignal } from '../../src/signals/types.ts';
import { createEmergencyController } from '../../src/tolaria/index.ts';
import { startRedis } from '../helpers/redis-server.ts';
import { createAuthority } from '../helpers/redis-tls.ts';
import { runFastpath, type Service, startService } from '../helpers/service.ts';
import { until } from '../helpers/until.ts';
import { readStream, readTelemetry, SECRET, uniqueName } from '../helpers/weatherlight.ts';

const test = suite('weatherlight over redis');
const {
  EMERGENCY_LEVEL_UNSPECIFIED: NONE,
  EMERGENCY_LEVEL_ELEVATED: ELEVATED,
  EMERGENCY_LEVEL_HALT: HALT,
} = EmergencyLevel;
const keyRing = createKeyRing({ current: { secret: SECRET } });

interface Host {
  readonly service: Service;
  /** This host's flag as another local process holds it. */
  readonly signal: EmergencySignal;
  end(): Promise<void>;
}

/** One host's worth: a segment name of its own and the real service on it. */
async function startHost(hostId: string, redisUrl: string, env: Record<string, string> = {}): Promise<Host> {
  const signal = openEmergencySignal(uniqueName(hostId), { keepAlive: false });
  const service = startService({
    ESPER_LEYLINE_SECRET: SECRET,
    REDIS_URL: redisUrl,
    ESPER_HOST_ID: hostId,
    ESPER_RUN_ID: 'run',
    TOLARIA_EMERGENCY_SIGNAL_NAME: signal.name,
    ...env,
  });
  await service.events.next('started');
  return {
    service,
    signal,
    async end() {
      assert.is((await service.stop()).code, 0);
      signal.unlink();
      signal.close();
    },
  };
}

async function entriesOf(
  transport: BusTransport,
  signalId: string,
): Promise<Readonly<Record<string, string>>[]> {
  const messages = await readStream(transport, 'oona.emergency', keyRing);
  return messages
    .map((message) => message.attributes)
    .filter((attributes) => attributes.event_id === signalId);
}

/** Rejections while Redis comes up are what is waited through here. */
function whenThere(transport: BusTransport, signalId: string): Promise<Readonly<Record<string, string>>[]> {
  return until('the signal on the stream', async () => {
    const entries = await entriesOf(transport, signalId).catch(() => []);
    return entries.length > 0 && entries;
  });
}

test('[R-F10] [R-B7] Redis stopped: escalate, the supervisor detects; Redis started: the signal arrives once', async () => {
  const redis = await startRedis();
  const host = await startHost('host-a', redis.url);
  const trainerTransport = createRedisTransport({ url: redis.url });
  const bus = createOona({ transport: trainerTransport, keyRing, source: 'tolaria', hostId: 'host-a' });
  const controller = createEmergencyController({ signal: host.signal, bus, runId: 'run' });
  await host.service.events.next('busState', (event) => event.state === 'up');
  await bus.ensureReady();
  await redis.stop();

  const { signalId } = controller.escalate(HALT, { reason: 'NaN', step: 3 });
  const detected = await host.service.events.next('detected');
  assert.equal([detected.emergency.signalId, detected.path], [signalId, 'shared-memory']);
  assert.is(host.signal.find(signalId)?.published, false);

  await redis.restart();
  const probe = createRedisTransport({ url: redis.url });
  await whenThere(probe, signalId);
  await until('marked', () => host.signal.find(signalId)?.published === true);
  await host.service.events.next('duplicateDetection', (event) => event.path === 'stream');
  assert.is((await entriesOf(probe, signalId)).length, 1);
  const packet = `emergency-${signalId}-host-a`;
  await host.service.events.next('telemetryPublished', (event) => event.packetId === packet);

  await controller.close();
  await bus.close();
  await host.end();
  await probe.close();
  await redis.stop();
});

test('[R-B7] the same with a trainer that has no bus at all: the supervisor publishes', async () => {
  const redis = await startRedis();
  const host = await startHost('host-a', redis.url);
  await redis.stop();
  const signalId = host.signal.trigger(HALT, { reason: 'NaN', runId: 'run' });
  await host.service.events.next('outboxFailed', (event) => event.signalId === signalId);
  await redis.restart();
  const probe = createRedisTransport({ url: redis.url });
  const entries = await whenThere(probe, signalId);
  assert.equal(
    entries.map((attributes) => attributes.source),
    ['weatherlight'],
  );
  await host.end();
  await probe.close();
  await redis.stop();
});

test('[R-F3] [R-F4] host A to host B: the flag, the clear, one detection each, CRITICAL telemetry of both', async () => {
  const redis = await startRedis();
  const [a, b] = await Promise.all([startHost('host-a', redis.url), startHost('host-b', redis.url)]);
  const probe = createRedisTransport({ url: redis.url });

  const signalId = a.signal.trigger(HALT, { reason: 'NaN', origin: 'guard', runId: 'run', step: 9 });
  await until('the flag of host B', () => b.signal.level() === HALT);
  const record = b.signal.find(signalId);
  assert.ok(record?.remote && record.published);
  assert.equal([record?.reason, record?.origin, record?.step], ['NaN', 'guard', 9]);

  // Both paths of both hosts have told it; it was detected once on each.
  await a.service.events.next('duplicateDetection');
  await b.service.events.next('duplicateDetection', (event) => event.path === 'shared-memory');
  for (const { service } of [a, b]) assert.is(service.events.of('detected').length, 1);
  assert.is(b.service.events.of('detected')[0]?.path, 'stream');

  for (const hostId of ['host-a', 'host-b']) {
    const packetId = `emergency-${signalId}-${hostId}`;
    const packet = await until(`telemetry of ${hostId}`, async () =>
      (await readTelemetry(probe, 'oona.telemetry', keyRing)).find((one) => one.packetId === packetId),
    );
    assert.is(packet.level, TelemetryLevel.TELEMETRY_LEVEL_CRITICAL);
    assert.is(packet.sourceSubsystem, 'weatherlight');
    assert.is(packet.events?.[0]?.attributes?.source, 'weatherlight');
    assert.is(packet.events?.[0]?.attributes?.host, hostId);
  }
  // N hosts must not answer an emergency with N more.
  assert.is((await readStream(probe, 'oona.emergency', keyRing)).length, 1);

  await until('seen on A', () => a.signal.participants().every((one) => one.seenGeneration > 0));
  assert.is(a.signal.clear(a.signal.read(), { reason: 'over', runId: 'run' }).outcome, 'cleared');
  await until('cleared on B', () => b.signal.level() === NONE);
  assert.is(b.signal.history().at(-1)?.clearedSignalId, signalId);
  assert.is((await readStream(probe, 'oona.emergency', keyRing)).length, 2);

  await Promise.all([a.end(), b.end()]);
  await probe.close();
  await redis.stop();
});

test('[R-W1][R-O1] over TLS, by the settings: its bus comes up and reports; the dead-letters CLI and doctor take the same', async () => {
  const authority = createAuthority();
  const redis = await startRedis({ tls: authority.issue('redis', ['DNS:redis.internal']) });
  const mine = authority.issue('weatherlight', ['DNS:weatherlight']);
  const env = {
    OONA_REDIS_TLS_CA: authority.ca,
    OONA_REDIS_TLS_CERT: mine.cert,
    OONA_REDIS_TLS_KEY: mine.key,
    OONA_REDIS_TLS_SERVERNAME: 'redis.internal',
  };
  const host = await startHost('host-a', redis.url, env);
  await host.service.events.next('busState', (event) => event.state === 'up');
  const tls = redisTlsFromEnvironment(env);
  const probe = createRedisTransport({ url: redis.url, ...(tls && { tls }) });
  const health = await until('the health of the bus', async () =>
    (await readTelemetry(probe, 'oona.telemetry', keyRing)).find(
      (one) => one.systemHealth?.indicators?.breaker_publish !== undefined,
    ),
  );
  assert.equal([health.sourceSubsystem, health.systemHealth?.indicators?.host], ['weatherlight', 'host-a']);
  const shell = { REDIS_URL: redis.url, ESPER_LEYLINE_SECRET: SECRET };
  const listed = await runFastpath(['dead-letters', 'list', '--json'], { ...shell, ...env });
  assert.is(listed.code, 0, listed.stderr);
  assert.match((await runFastpath(['doctor'], { ...shell, ...env })).stdout, /redis +ok +answers in/);
  const without = await runFastpath(['dead-letters', 'list'], shell);
  assert.is.not(without.code, 0);
  assert.match(without.stderr, /OONA_REDIS_TLS_CA/);
  await host.end();
  await probe.close();
  await redis.stop();
  authority.remove();
});

test('[R-F3] a low level reaches no other host', async () => {
  const redis = await startRedis();
  const [a, b] = await Promise.all([startHost('host-a', redis.url), startHost('host-b', redis.url)]);
  const probe = createRedisTransport({ url: redis.url });
  const signalId = a.signal.trigger(ELEVATED, { reason: 'spike', runId: 'run' });
  const published = await a.service.events.next('outboxPublished');
  assert.equal([published.signalId, published.via], [signalId, 'telemetry']);
  // A HALT behind it: when that is there, the low one had its time.
  a.signal.trigger(HALT, { runId: 'run' });
  await until('the HALT on host B', () => b.signal.level() === HALT);
  assert.is(b.signal.find(signalId), undefined);
  assert.equal(await entriesOf(probe, signalId), []);
  await Promise.all([a.end(), b.end()]);
  await probe.close();
  await redis.stop();
});

test('[R-F6] flag first, bus second: the order is proven, the time is recorded', async () => {
  const redis = await startRedis();
  const host = await startHost('host-a', redis.url);
  const transport = createRedisTransport({ url: redis.url });
  const bus = createOona({ transport, keyRing, source: 'tolaria', hostId: 'host-a' });
  await bus.ensureReady();
  const controller = createEmergencyController({ signal: host.signal, bus, runId: 'run' });
  const latenciesMs: number[] = [];
  controller.subscribe((event) => {
    if (event.type === 'published') latenciesMs.push(event.latencyMs);
  });
  const ROUNDS = 20;
  let looks = 0;
  for (let round = 1; round <= ROUNDS; round++) {
    const raisedAtMs = performance.now();
    const { signalId } = controller.escalate(HALT, { reason: 'order', step: round });
    // In this very turn of the event loop nothing can have reached the bus, and the flag is set already.
    assert.is(host.signal.level(), HALT);
    const isPublished = host.signal.find(signalId)?.published;
    // The supervisor publishes what is 10 ms old: a busy machine may have let this process wait for so long.
    if (performance.now() - raisedAtMs < 5) {
      assert.is(isPublished, false);
      looks += 1;
    }
    await until('published', () => latenciesMs.length === round);
  }
  await until('all detected', () => host.service.events.of('detected').length === ROUNDS);
  assert.ok(looks > 0, 'not one of them was looked at in time');
  latenciesMs.sort((x, y) => x - y);
  const at = (quantile: number): string => (latenciesMs[Math.ceil(quantile * ROUNDS) - 1] ?? 0).toFixed(2);
  console.log(`trigger to published, ${ROUNDS} rounds: p50 ${at(0.5)} ms, max ${at(1)} ms`);
  await controller.close();
  await bus.close();
  await host.end();
  await redis.stop();
});

test("[R-B7] the trainer's loop is busy: the supervisor publishes for it, once", async () => {
  const redis = await startRedis();
  const host = await startHost('host-a', redis.url);
  await host.service.events.next('busState', (event) => event.state === 'up');
  const signalId = host.signal.trigger(HALT, { reason: 'busy', runId: 'run' });
  // This process stands for the trainer: its event loop does not turn once until somebody else has published.
  const stuckAt = performance.now() + 20_000;
  while (host.signal.find(signalId)?.published !== true) {
    if (performance.now() > stuckAt) throw new Error('stuck: nobody published');
  }
  const published = await host.service.events.next('outboxPublished');
  assert.equal([published.signalId, published.via, published.outcome], [signalId, 'emergency', 'published']);
  await host.end();
  await redis.stop();
});

test.run();
