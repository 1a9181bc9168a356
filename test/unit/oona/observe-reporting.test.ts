import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  CircuitBreakerState,
  HealthStatus,
  TelemetryLevel,
  TelemetryPacket,
} from '../../../src/leyline/messages.ts';
import { observeRig as rig } from '../../helpers/observe-rig.ts';
import { until } from '../../helpers/until.ts';

const test = suite('observe reporting');

const { HEALTH_STATUS_HEALTHY: HEALTHY, HEALTH_STATUS_UNHEALTHY: UNHEALTHY } = HealthStatus;
const { CIRCUIT_STATE_OPEN: OPEN } = CircuitBreakerState;

test('[R-O3] the packet says how well the bus is, with its metrics, at every interval until aborted', async () => {
  const { observability, clock, packets, state, metrics } = rig({ healthIntervalMs: 1000 });
  observability.observer.publishEnded('normal', {
    ...{ outcome: 'published', latencyMs: 4, depthBefore: 1, depthAfter: 2 },
  });
  const stop = new AbortController();
  const running = observability.run(stop.signal);
  await until('packets', () => packets.length === 1);
  state.breakers = { publish: OPEN };
  await until('sleepers', () => clock.sleepers >= 2);
  clock.advance(1000);
  await until('packets', () => packets.length === 2);
  stop.abort();
  await running;
  await until('metrics', () => metrics.value('oona.health.published_total') === 2);
  const [well, ill] = packets.map((packet) =>
    TelemetryPacket.decode(TelemetryPacket.encode(packet).finish()),
  );
  assert.equal([well?.sourceSubsystem, well?.systemHealth?.status], ['tolaria', HEALTHY]);
  assert.is(well?.level, TelemetryLevel.TELEMETRY_LEVEL_INFO);
  assert.is(ill?.level, TelemetryLevel.TELEMETRY_LEVEL_ERROR);
  assert.equal([ill?.systemHealth?.status, ill?.systemHealth?.summary], [UNHEALTHY, 'publish breaker open']);
  assert.equal(
    [ill?.systemHealth?.indicators?.host, ill?.systemHealth?.indicators?.priority],
    ['h1', 'MESSAGE_PRIORITY_NORMAL'],
  );
  const values = new Map(well?.metrics.map(({ name, value }) => [name, value]));
  assert.equal([values.get('publish_total'), values.get('queue_depth_normal')], [1, 2]);
  assert.ok(Math.abs((values.get('oona.publish_latency.normal.p95_ms') ?? 0) - 4) < 0.02);
  assert.is(values.get('oona.slo.publish_latency.budget_remaining'), 1);
  assert.is.not(well?.packetId, ill?.packetId);
});

test('[R-O3] a packet that cannot be published is counted, and the next one is tried', async () => {
  let calls = 0;
  const { observability, clock, metrics } = rig(
    { healthIntervalMs: 1000 },
    {
      publish: async () => {
        calls += 1;
        if (calls === 1) throw new Error('away');
        return { outcome: calls === 2 ? 'failed' : 'published' };
      },
    },
  );
  const stop = new AbortController();
  const running = observability.run(stop.signal);
  for (let i = 1; i <= 3; i++) {
    await until('calls', () => calls >= i);
    await until('sleepers', () => clock.sleepers >= 2);
    clock.advance(1000);
  }
  await until('metrics', () => metrics.value('oona.health.published_total') >= 1);
  stop.abort();
  await running;
  assert.is(metrics.value('oona.observe.health_errors_total'), 1);
  assert.is(metrics.value('oona.health.not_published_total'), 1);
});

test('[R-O3] depths are measured for the streams that are asked for; dead letters by their length', async () => {
  const asked: string[] = [];
  const { observability, clock } = rig(
    { healthTelemetry: false },
    {
      depthRoles: ['normal', 'deadLetter'],
      readDepth: async (role) => {
        asked.push(role);
        return { length: 40, depth: 7, groups: [] };
      },
    },
  );
  const stop = new AbortController();
  const running = observability.run(stop.signal);
  await until('depths', () => asked.length === 2 && clock.sleepers === 2);
  stop.abort();
  await running;
  const { gauges } = observability.metricsSnapshot();
  assert.equal([gauges.queue_depth_normal, gauges.queue_depth_dead_letter, gauges.dead_letters], [7, 40, 40]);
});

test('[R-O3] run() is one at a time, and a probe that does not exist is refused', async () => {
  const { observability } = rig();
  const stop = new AbortController();
  const running = observability.run(stop.signal);
  let code: unknown;
  await observability.run(stop.signal).catch((error: { code?: string }) => {
    code = error.code;
  });
  assert.is(code, 'ESPER_OPTION_INVALID');
  stop.abort();
  await running;
  assert.throws(() => observability.healthz('well' as never), /'live' or 'ready'/);
  observability.close();
  observability.close();
  assert.is(observability.metricsSnapshot().counters.publish_total, 0);
});

test.run();
