import { randomUUID } from 'node:crypto';
import {
  HealthStatus,
  MetricPoint,
  SystemHealth,
  TelemetryEvent,
  TelemetryLevel,
  TelemetryPacket,
} from '../leyline/messages.ts';
import { timestampFromWallMs } from '../leyline/timestamps.ts';
import { levelName } from '../tolaria/levels.ts';
import type { Detection } from './detection.ts';
import type { EmergencySummary, HaltAnswer } from './events.ts';
import { haltTitle } from './halt.ts';

const SOURCE = 'weatherlight';

/** A value with its unit, as it goes into a packet. */
export interface Measurement {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
}

interface PacketFields {
  readonly packetId: string;
  readonly wallMs: number;
  readonly level: TelemetryLevel;
  readonly metrics?: readonly Measurement[];
  readonly events?: readonly TelemetryEvent[];
  readonly health: SystemHealth;
}

function packet(fields: PacketFields): TelemetryPacket {
  return TelemetryPacket.create({
    packetId: fields.packetId,
    timestamp: timestampFromWallMs(fields.wallMs),
    sourceSubsystem: SOURCE,
    level: fields.level,
    metrics: (fields.metrics ?? []).map((metric) => MetricPoint.create({ ...metric })),
    events: [...(fields.events ?? [])],
    systemHealth: fields.health,
  });
}

function attributesOf(emergency: EmergencySummary, hostId: string): Record<string, string> {
  return {
    source: SOURCE,
    level: levelName(emergency.level),
    reason: emergency.reason,
    origin: emergency.origin,
    run_id: emergency.runId,
    step: String(emergency.step),
    signal_id: emergency.signalId,
    host: hostId,
  };
}

function health(status: HealthStatus, summary: string): SystemHealth {
  // No `priority` indicator: it would route the packet to the emergency stream, where N hosts would answer each
  // emergency with N more.
  return SystemHealth.create({ status, summary });
}

/**
 * The CRITICAL packet of one emergency. Its id follows from signal and host, so that a supervisor that was restarted
 * publishes it once.
 */
export function emergencyPacket(detection: Detection, hostId: string, wallMs: number): TelemetryPacket {
  const { emergency, latencyMs, path } = detection;
  const title = `emergency ${levelName(emergency.level)} from ${emergency.origin || 'unknown origin'}: ${emergency.reason}`;
  const attributes: Record<string, string> = { ...attributesOf(emergency, hostId), path };
  if (latencyMs !== undefined) attributes.detect_latency_ms = latencyMs.toFixed(3);
  const packetId = `emergency-${emergency.signalId}-${hostId}`;
  const level = TelemetryLevel.TELEMETRY_LEVEL_CRITICAL;
  return packet({
    packetId,
    wallMs,
    level,
    metrics:
      latencyMs === undefined
        ? []
        : [{ name: 'weatherlight.emergency.detect_latency_ms', value: latencyMs, unit: 'ms' }],
    events: [TelemetryEvent.create({ eventId: packetId, description: title, level, attributes })],
    health: health(HealthStatus.HEALTH_STATUS_CRITICAL, title),
  });
}

/** What became of a HALT: who acknowledged, who is late, who is gone. `sequence`: unique also across restarts. */
export function haltPacket(
  signalId: string,
  answers: readonly HaltAnswer[],
  stragglers: readonly HaltAnswer[],
  stamp: { readonly hostId: string; readonly wallMs: number; readonly sequence: string },
): TelemetryPacket {
  const late = stragglers.length > 0;
  const names = stragglers.map((one) => `${one.name} (pid ${one.pid})`).join(', ');
  const title = haltTitle(answers);
  const gone = answers.some((one) => one.outcome === 'gone');
  const level = late || gone ? TelemetryLevel.TELEMETRY_LEVEL_CRITICAL : TelemetryLevel.TELEMETRY_LEVEL_INFO;
  const packetId = `halt-${signalId}-${stamp.hostId}-${stamp.sequence}`;
  const attributes = {
    source: SOURCE,
    signal_id: signalId,
    host: stamp.hostId,
    stragglers: names,
    answers: answers.map((one) => `${one.name}=${one.outcome}:${one.latencyMs.toFixed(3)}ms`).join(' '),
  };
  return packet({
    packetId,
    wallMs: stamp.wallMs,
    level,
    events: [TelemetryEvent.create({ eventId: packetId, description: title, level, attributes })],
    health: health(
      late || gone ? HealthStatus.HEALTH_STATUS_CRITICAL : HealthStatus.HEALTH_STATUS_DEGRADED,
      title,
    ),
  });
}

/** The packet of every interval. */
export function periodicPacket(
  measurements: readonly Measurement[],
  status: { readonly status: HealthStatus; readonly summary: string },
  wallMs: number,
): TelemetryPacket {
  return packet({
    packetId: randomUUID(),
    wallMs,
    level: TelemetryLevel.TELEMETRY_LEVEL_INFO,
    metrics: measurements,
    health: health(status.status, status.summary),
  });
}
