import type { Emitter } from '../pipeline/emitter.ts';
import { FAST_PATH_LEVEL, levelName } from '../tolaria/levels.ts';
import type { Context } from './context.ts';
import type { Detection } from './detection.ts';
import { summarize } from './emergency.ts';
import type { HaltOutcome } from './halt.ts';
import type { Notice } from './notices.ts';
import { emergencyPacket, haltPacket } from './packets.ts';
import type { TelemetrySender } from './telemetry.ts';

/** A line of the log for every detection. */
export function logSink({ logger }: Pick<Context, 'logger'>): Emitter<Notice> {
  return {
    name: 'log',
    emit(notice) {
      if (notice.kind !== 'detection') return;
      const { emergency, path, latencyMs, foreignRun } = notice.detection;
      const fields = { ...summarize(emergency), path, latencyMs, foreignRun };
      logger.warn(fields, `emergency ${levelName(emergency.level)} detected: ${emergency.reason}`);
    },
  };
}

/**
 * Packets for Oona, into the sender's queue, which survives an outage of the bus: that must neither open a breaker here
 * nor hold up another sink. `startedAtMs` tells the packets of this supervisor from those of the one before.
 */
export function telemetrySink(
  { settings, clock }: Pick<Context, 'settings' | 'clock'>,
  sender: Pick<TelemetrySender, 'send'>,
  startedAtMs: number,
): Emitter<Notice> {
  const { hostId } = settings;
  let haltPackets = 0;

  function sendDetection(detection: Detection): void {
    const { emergency } = detection;
    if (emergency.level < FAST_PATH_LEVEL) return;
    sender.send(emergencyPacket(detection, hostId, clock.wallMs()), emergency.signalId);
  }

  function sendOutcome({ signalId, answers, stragglers }: HaltOutcome): void {
    haltPackets += 1;
    // The bus stores an id once: a restarted supervisor must not begin at 1 again.
    const sequence = `${startedAtMs.toString(36)}-${haltPackets}`;
    const packet = haltPacket(signalId, answers, stragglers, { hostId, wallMs: clock.wallMs(), sequence });
    sender.send(packet, signalId);
  }

  return {
    name: 'telemetry',
    emit(notice) {
      if (notice.kind === 'detection') sendDetection(notice.detection);
      else sendOutcome(notice.outcome);
    },
  };
}
