import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { FastpathError } from '../../../src/core/errors.ts';
import { CircuitBreakerState, HealthStatus } from '../../../src/leyline/messages.ts';
import { createManualClock } from '../../helpers/manual-clock.ts';
import { observeRig as rig } from '../../helpers/observe-rig.ts';

const test = suite('observe health');

const { HEALTH_STATUS_UNKNOWN: UNKNOWN, HEALTH_STATUS_HEALTHY: HEALTHY } = HealthStatus;
const { HEALTH_STATUS_DEGRADED: DEGRADED, HEALTH_STATUS_UNHEALTHY: UNHEALTHY } = HealthStatus;
const { HEALTH_STATUS_CRITICAL: CRITICAL } = HealthStatus;
const { CIRCUIT_STATE_OPEN: OPEN, CIRCUIT_STATE_HALF_OPEN, CIRCUIT_STATE_CLOSED } = CircuitBreakerState;

test('[R-O3] a bus that is well is HEALTHY, ready and says so', () => {
  const { observability, clock } = rig();
  const health = observability.healthSnapshot();
  assert.equal([health.status, health.ready, health.summary], [HEALTHY, true, 'well']);
  assert.is(health.atMs, clock.wallMs());
  assert.equal(health.indicators, {
    connected: 'true',
    conservative_mode: 'false',
    alerts: '',
    priority: 'MESSAGE_PRIORITY_NORMAL',
    breaker_publish: 'CIRCUIT_STATE_CLOSED',
    breaker_consume: 'CIRCUIT_STATE_CLOSED',
  });
});

test('[R-O3] an engine that goes away: DEGRADED, UNHEALTHY after the grace, CRITICAL, and well again', () => {
  const { observability, clock, state } = rig();
  const now = (): unknown[] => {
    const { status, ready } = observability.healthSnapshot();
    return [
      status,
      ready,
      observability.healthz('ready').statusCode,
      observability.healthz('live').statusCode,
    ];
  };
  state.connected = false;
  assert.equal(now(), [DEGRADED, true, 200, 200]);
  clock.advance(4999);
  assert.equal(now(), [DEGRADED, true, 200, 200]);
  clock.advance(1);
  assert.equal(now(), [UNHEALTHY, false, 503, 200]);
  clock.advance(55_000);
  assert.equal(now(), [CRITICAL, false, 503, 200], 'liveness never depends on the engine');
  state.connected = true;
  assert.equal(now(), [HEALTHY, true, 200, 200]);
});

test('[R-O3] before the engine was reached nothing is known, and nothing is ready', () => {
  const clock = createManualClock();
  const { observability } = rig({}, { clock, health: { connected: () => false } });
  const { status, ready, summary } = observability.healthSnapshot();
  assert.equal([status, ready, summary], [UNKNOWN, false, 'engine not reached yet']);
  clock.advance(5000);
  assert.is(observability.healthSnapshot().status, UNHEALTHY);
  assert.is(observability.healthz('live').statusCode, 200);
});

test('[R-O3] breakers: the one of publishing is vital, the others are not', () => {
  const { observability, state } = rig();
  state.breakers = { publish: CIRCUIT_STATE_CLOSED, consume: OPEN };
  assert.is(observability.healthSnapshot().status, DEGRADED);
  state.breakers = { publish: CIRCUIT_STATE_HALF_OPEN };
  assert.equal(
    [observability.healthSnapshot().status, observability.healthSnapshot().ready],
    [DEGRADED, true],
  );
  state.breakers = { publish: OPEN };
  const { status, ready, indicators, summary } = observability.healthSnapshot();
  assert.equal([status, ready, summary], [UNHEALTHY, false, 'publish breaker open']);
  assert.is(indicators.breaker_publish, 'CIRCUIT_STATE_OPEN');
});

test('[R-O3] backlog: conservative mode, depth, pending entries and dead letters degrade', () => {
  const { observability, state } = rig({ highDepth: 100, deadLetterLimit: 3, oldestPendingLimitMs: 1000 });
  state.conservative = true;
  state.oldestPendingMs = 1000;
  observability.observer.publishEnded('normal', {
    ...{ outcome: 'published', latencyMs: 1, depthBefore: 99, depthAfter: 100 },
  });
  observability.deadLetters.set(3, { BUS_MESSAGE_TYPE_TELEMETRY: 3 });
  const { status, summary, indicators } = observability.healthSnapshot();
  assert.is(status, DEGRADED);
  assert.is(summary, 'conservative mode; normal 100 deep; an entry is pending for 1.0 s; 3 dead letters');
  assert.equal(
    [indicators.queue_depth_normal, indicators.oldest_pending_ms, indicators.dead_letters],
    ['100', '1000', '3'],
  );
  assert.is(observability.metricsSnapshot().gauges.dead_letters, 3);
});

test('[R-O3] the worst decides and comes first', () => {
  const { observability, state } = rig();
  state.conservative = true;
  state.breakers = { publish: OPEN };
  const { status, summary } = observability.healthSnapshot();
  assert.equal([status, summary], [UNHEALTHY, 'publish breaker open; conservative mode']);
  state.connected = false;
  const away = observability.healthSnapshot();
  assert.equal(
    [away.status, away.summary],
    [UNHEALTHY, 'publish breaker open; engine away for 0.0 s; conservative mode'],
  );
});

test('[R-O3] errors are told, counted by kind, and forgotten', () => {
  const { observability, clock } = rig({ errorExpiryMs: 60_000 });
  for (let i = 0; i < 3; i++)
    observability.reportError('publish', new FastpathError('ESPER_OONA_TIMEOUT', 'late'));
  clock.advance(30_000);
  observability.reportError('consume', new Error('odd'));
  const { lastErrors, indicators, status } = observability.healthSnapshot();
  assert.equal(
    lastErrors.map(({ component, code, count }) => [component, code, count]),
    [
      ['publish', 'ESPER_OONA_TIMEOUT', 3],
      ['consume', 'ESPER_OONA_UNEXPECTED', 1],
    ],
  );
  assert.is(indicators.last_error, 'consume: ESPER_OONA_UNEXPECTED');
  assert.is(status, HEALTHY, 'an error that is over is no state');
  clock.advance(30_000);
  assert.equal(
    observability.healthSnapshot().lastErrors.map(({ component }) => component),
    ['consume'],
  );
  for (let i = 0; i < 40; i++) observability.reportError(`part-${i}`, new Error('x'));
  assert.is(observability.healthSnapshot().lastErrors.length, 16);
});

test('[R-O3][R-O5] dropped messages begin an alert, and the bus is UNHEALTHY and still ready', () => {
  const alerts: string[] = [];
  const { observability, clock, metrics } = rig({
    onAlert: ({ objective, state }) => alerts.push(`${objective} ${state}`),
  });
  observability.tick();
  observability.observer.publishEnded('normal', { outcome: 'dropped', latencyMs: 1, depthBefore: 9 });
  clock.advance(1000);
  observability.tick();
  assert.ok(alerts.includes('publish_dropped begin'), alerts.join());
  const { status, ready, indicators } = observability.healthSnapshot();
  assert.equal([status, ready], [UNHEALTHY, true]);
  assert.match(indicators.alerts ?? '', /publish_dropped:limit/);
  assert.is(metrics.value('oona.slo.alerts_total'), alerts.length);
});

test('[R-O5] delivery is counted from what the consumers counted', () => {
  const { observability, metrics, clock } = rig();
  metrics.increment('oona.consume.normal.acknowledged_total', 98);
  metrics.increment('oona.consume.kernelRequests.dead_lettered_total');
  metrics.increment('oona.consume.normal.lost_total');
  clock.advance(1000);
  observability.tick();
  const state = observability.sloSnapshot().ratios.find(({ name }) => name === 'delivery');
  assert.equal([state?.good, state?.bad, state?.met], [98, 2, false]);
});

test.run();
