import { clearAttributes, makeEmergencySignal } from '../leyline/emergency.ts';
import {
  EmergencyLevel,
  type EmergencySignal,
  HealthStatus,
  MessagePriority,
  TelemetryLevel,
  TelemetryPacket,
} from '../leyline/messages.ts';
import { timestampFromWallMs } from '../leyline/timestamps.ts';
import type { EmergencyRecord } from '../signals/types.ts';
import { levelName } from './levels.ts';

/** One raise or clear as it leaves the host: what the flag's record holds and who sends it. */
export interface EmergencyFacts {
  readonly signalId: string;
  readonly level: EmergencyLevel;
  readonly reason: string;
  readonly origin: string;
  readonly runId: string;
  readonly step: number;
  /** CLOCK_MONOTONIC of the record, nanoseconds. */
  readonly monotonicNs: bigint;
  /** Unix milliseconds of the record. */
  readonly wallMs: number;
  /** Set on a clear: the emergency that it ends. */
  readonly clearedSignalId: string | undefined;
  /** On a clear: the other emergencies that it ended. Default none. */
  readonly alsoClearedIds?: readonly string[];
}

export interface Sender {
  readonly hostId: string;
  readonly bootId: string;
}

/** Through microseconds: a double holds no Unix time in nanoseconds. */
export function wallMsOf(wallNs: bigint): number {
  return Number(wallNs / 1000n) / 1000;
}

export function factsOfRecord(record: EmergencyRecord, clearedSignalId: string | undefined): EmergencyFacts {
  const { signalId, level, reason, origin, runId, step, monotonicNs, wallNs } = record;
  return {
    signalId,
    level,
    reason,
    origin,
    runId,
    step,
    monotonicNs,
    wallMs: wallMsOf(wallNs),
    clearedSignalId,
  };
}

/** For the emergency stream. A clear travels as a NOTICE that names what it clears. */
export function toEmergencySignal(facts: EmergencyFacts, sender: Sender): EmergencySignal {
  const { clearedSignalId: cleared, alsoClearedIds } = facts;
  const host = sender.hostId;
  return makeEmergencySignal({
    level: cleared === undefined ? facts.level : EmergencyLevel.EMERGENCY_LEVEL_NOTICE,
    reason: facts.reason,
    origin: facts.origin,
    runId: facts.runId,
    step: facts.step,
    signalId: facts.signalId,
    bootId: sender.bootId,
    monotonicNs: facts.monotonicNs,
    wallMs: facts.wallMs,
    attributes: cleared === undefined ? { host } : { host, ...clearAttributes(cleared, alsoClearedIds) },
  });
}

const TELEMETRY_LEVEL: Readonly<Record<number, TelemetryLevel>> = Object.freeze({
  [EmergencyLevel.EMERGENCY_LEVEL_NOTICE]: TelemetryLevel.TELEMETRY_LEVEL_INFO,
  [EmergencyLevel.EMERGENCY_LEVEL_ELEVATED]: TelemetryLevel.TELEMETRY_LEVEL_WARNING,
  [EmergencyLevel.EMERGENCY_LEVEL_CONSERVATIVE]: TelemetryLevel.TELEMETRY_LEVEL_ERROR,
  [EmergencyLevel.EMERGENCY_LEVEL_HALT]: TelemetryLevel.TELEMETRY_LEVEL_CRITICAL,
});

const HEALTH: Readonly<Record<number, HealthStatus>> = Object.freeze({
  [EmergencyLevel.EMERGENCY_LEVEL_NOTICE]: HealthStatus.HEALTH_STATUS_HEALTHY,
  [EmergencyLevel.EMERGENCY_LEVEL_ELEVATED]: HealthStatus.HEALTH_STATUS_DEGRADED,
  [EmergencyLevel.EMERGENCY_LEVEL_CONSERVATIVE]: HealthStatus.HEALTH_STATUS_UNHEALTHY,
  [EmergencyLevel.EMERGENCY_LEVEL_HALT]: HealthStatus.HEALTH_STATUS_CRITICAL,
});

/**
 * For the telemetry stream: what is below the fast path, what the bypass cap turned away, and everything when the
 * fast path is off. Its packet id is made from the signal id, so that trainer and supervisor may both send it.
 * The priority is NORMAL at every level: a higher one would route the packet to the emergency stream after all.
 */
export function toTelemetryPacket(
  facts: EmergencyFacts,
  sender: Sender,
  counters: Readonly<Record<string, number>> = {},
): TelemetryPacket {
  const cleared = facts.clearedSignalId;
  const level = cleared === undefined ? facts.level : EmergencyLevel.EMERGENCY_LEVEL_NOTICE;
  const telemetryLevel = TELEMETRY_LEVEL[level] ?? TelemetryLevel.TELEMETRY_LEVEL_CRITICAL;
  const what = cleared === undefined ? `emergency ${levelName(level)}` : 'emergency cleared';
  return TelemetryPacket.create({
    packetId: `tolaria:${facts.signalId}`,
    timestamp: timestampFromWallMs(facts.wallMs),
    sourceSubsystem: 'tolaria',
    level: telemetryLevel,
    metrics: Object.entries(counters).map(([name, value]) => ({ name, value, unit: 'count' })),
    events: [
      {
        eventId: facts.signalId,
        description: `${what}: ${facts.reason}`,
        level: telemetryLevel,
        attributes: eventAttributes(facts, sender),
      },
    ],
    systemHealth: {
      status: HEALTH[level] ?? HealthStatus.HEALTH_STATUS_CRITICAL,
      summary: what,
      indicators: { priority: MessagePriority[MessagePriority.MESSAGE_PRIORITY_NORMAL] as string },
    },
  });
}

function eventAttributes(facts: EmergencyFacts, sender: Sender): Record<string, string> {
  return {
    signal_id: facts.signalId,
    level: EmergencyLevel[facts.level] ?? String(facts.level),
    origin: facts.origin,
    run_id: facts.runId,
    step: String(facts.step),
    host: sender.hostId,
    ...(facts.clearedSignalId === undefined
      ? {}
      : clearAttributes(facts.clearedSignalId, facts.alsoClearedIds)),
  };
}
