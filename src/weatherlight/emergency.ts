import { createHash } from 'node:crypto';
import { alsoCleared, clearedSignalId, readEmergencySignal } from '../leyline/emergency.ts';
import type { EmergencyLevel } from '../leyline/messages.ts';
import { cutUtf8, TEXT_BOUNDS, utf8SizeBytes, wellFormed } from '../native/strings.ts';
import type { EmergencyDelivery } from '../oona/types.ts';
import type { EmergencyRecord } from '../signals/types.ts';
import type { EmergencySummary } from './events.ts';

/** One emergency as the supervisor handles it, whichever way it came. */
export interface Emergency extends EmergencySummary {
  readonly level: EmergencyLevel;
  /** CLOCK_MONOTONIC of the raiser at trigger; undefined when that clock is not this boot's or not told. */
  readonly triggeredNs: bigint | undefined;
}

/** What a message on the emergency stream says. */
export type StreamMessage =
  | { readonly kind: 'raise'; readonly emergency: Emergency }
  | {
      readonly kind: 'clear';
      readonly signalId: string;
      readonly clearedSignalId: string;
      /** Further emergencies that the same clear lowered. */
      readonly alsoCleared: readonly string[];
      readonly runId: string;
      readonly reason: string;
      readonly origin: string;
    };

/** '' is an emergency of no particular run (peers need not name one): it concerns everybody. */
export function isForeignRun(runId: string, ownRunId: string): boolean {
  return runId !== '' && runId !== ownRunId;
}

export function summarize(emergency: EmergencySummary): EmergencySummary {
  const { signalId, level, reason, origin, runId, step } = emergency;
  return { signalId, level, reason, origin, runId, step };
}

export function fromRecord(record: EmergencyRecord): Emergency {
  // A bridged record carries the time of the bridging, not of the emergency.
  return {
    ...summarize(record),
    level: record.level,
    triggeredNs: record.remote ? undefined : record.monotonicNs,
  };
}

/** The id itself, or, where a record cannot hold it, its hash: the same on every host. */
function fitId(id: string): string {
  if (wellFormed(id) === id && utf8SizeBytes(id) <= TEXT_BOUNDS.signalId) return id;
  return `sha256-${createHash('sha256').update(id).digest('hex').slice(0, 48)}`;
}

/** The id under which every host knows a delivery: the emergency's own, else the message's, else the entry's. */
function signalIdOf(delivery: EmergencyDelivery, own: string): string {
  return fitId(own || delivery.attributes.event_id || `${delivery.stream}:${delivery.entryId}`);
}

function fit(text: string, maxBytes: number): string {
  return cutUtf8(wellFormed(text), maxBytes);
}

/**
 * Reads a delivery into what a record of this host can hold. `bootId`: this host's.
 * Throws LeylineError on a level that is not set or unknown, and on a wrong checksum.
 */
export function fromDelivery(delivery: EmergencyDelivery, bootId: string): StreamMessage {
  const message = readEmergencySignal(delivery.message);
  const signalId = signalIdOf(delivery, message.signalId);
  const runId = fit(message.runId, TEXT_BOUNDS.runId);
  const reason = wellFormed(message.reason);
  const origin = fit(message.origin, TEXT_BOUNDS.origin);
  const cleared = clearedSignalId(message);
  if (cleared !== undefined) {
    const further = alsoCleared(message).map(fitId);
    const ids = { signalId, clearedSignalId: fitId(cleared), alsoCleared: further };
    return { kind: 'clear', ...ids, runId, reason, origin };
  }
  const sameClock = bootId !== '' && message.bootId === bootId && message.monotonicNs > 0n;
  return {
    kind: 'raise',
    emergency: {
      signalId,
      level: message.level,
      reason,
      origin,
      runId,
      step: message.step,
      triggeredNs: sameClock ? message.monotonicNs : undefined,
    },
  };
}
