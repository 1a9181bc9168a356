/** The periodic packet: health, and what was measured, in Leyline's terms. */
import { randomUUID } from 'node:crypto';
import {
  HealthStatus,
  MetricPoint,
  SystemHealth,
  TelemetryEvent,
  TelemetryLevel,
  TelemetryPacket,
} from '../../leyline/messages.ts';
import { timestampFromWallMs } from '../../leyline/timestamps.ts';
import type { HealthSnapshot } from './health.ts';
import type { LatencySummary } from './latency.ts';
import { LATENCY_KINDS, type LatencyKind } from './latency-book.ts';
import type { BusMetricsSnapshot } from './metrics-snapshot.ts';
import { ROLE_NAMES, STREAM_ROLES } from './observers.ts';

const LATENCY_NAMES: Readonly<Record<LatencyKind, string>> = Object.freeze({
  publish: 'oona.publish_latency',
  endToEnd: 'oona.end_to_end_latency',
  handler: 'oona.handler_latency',
});

export interface HealthPacketParts {
  readonly source: string;
  readonly hostId: string;
  readonly health: HealthSnapshot;
  readonly metrics: BusMetricsSnapshot;
}

const point = (name: string, value: number, unit: string): MetricPoint =>
  MetricPoint.create({ name, value, unit });

function* latencyPoints({ latency }: BusMetricsSnapshot): Generator<MetricPoint> {
  for (const kind of LATENCY_KINDS) {
    for (const role of STREAM_ROLES) {
      const summary: LatencySummary | undefined = latency[kind][role]?.windows[0];
      if (summary === undefined || summary.count === 0) continue;
      const name = `${LATENCY_NAMES[kind]}.${ROLE_NAMES[role]}`;
      yield point(`${name}.p50_ms`, summary.p50Ms, 'ms');
      yield point(`${name}.p95_ms`, summary.p95Ms, 'ms');
      yield point(`${name}.p99_ms`, summary.p99Ms, 'ms');
      yield point(`${name}.count`, summary.count, 'count');
    }
  }
}

function* depthPoints({ depth }: BusMetricsSnapshot): Generator<MetricPoint> {
  for (const role of STREAM_ROLES) {
    const view = depth[role];
    if (view === undefined) continue;
    yield point(`oona.queue_depth_max.${ROLE_NAMES[role]}`, view.max, 'entries');
    yield point(`oona.queue_depth_delta.${ROLE_NAMES[role]}`, view.delta, 'entries');
  }
}

function* sloPoints({ slo }: BusMetricsSnapshot): Generator<MetricPoint> {
  for (const { name, ratio, budgetRemaining, burn } of slo.ratios) {
    yield point(`oona.slo.${name}.ratio`, ratio, 'ratio');
    yield point(`oona.slo.${name}.budget_remaining`, budgetRemaining, 'ratio');
    for (const { rule, long } of burn) yield point(`oona.slo.${name}.burn_${rule}`, long, 'ratio');
  }
}

/** Counters and gauges under their exact names, latencies of the shorter window, budgets. */
export function metricPoints(metrics: BusMetricsSnapshot): MetricPoint[] {
  return [
    ...Object.entries(metrics.counters).map(([name, value]) => point(name, value, 'count')),
    ...Object.entries(metrics.gauges).map(([name, value]) => point(name, value, 'value')),
    ...latencyPoints(metrics),
    ...depthPoints(metrics),
    ...sloPoints(metrics),
  ];
}

const LEVELS: ReadonlyMap<HealthStatus, TelemetryLevel> = new Map([
  [HealthStatus.HEALTH_STATUS_DEGRADED, TelemetryLevel.TELEMETRY_LEVEL_WARNING],
  [HealthStatus.HEALTH_STATUS_UNHEALTHY, TelemetryLevel.TELEMETRY_LEVEL_ERROR],
  [HealthStatus.HEALTH_STATUS_CRITICAL, TelemetryLevel.TELEMETRY_LEVEL_CRITICAL],
]);

export function healthPacket({ source, hostId, health, metrics }: HealthPacketParts): TelemetryPacket {
  const level = LEVELS.get(health.status) ?? TelemetryLevel.TELEMETRY_LEVEL_INFO;
  const { status, summary, indicators } = health;
  return TelemetryPacket.create({
    packetId: randomUUID(),
    timestamp: timestampFromWallMs(health.atMs),
    sourceSubsystem: source,
    level,
    metrics: metricPoints(metrics),
    events: health.lastErrors.map((error) =>
      TelemetryEvent.create({
        eventId: randomUUID(),
        description: error.message,
        level: TelemetryLevel.TELEMETRY_LEVEL_ERROR,
        attributes: { component: error.component, code: error.code, count: String(error.count) },
      }),
    ),
    systemHealth: SystemHealth.create({ status, summary, indicators: { ...indicators, host: hostId } }),
  });
}
