import { type BackoffOptions, backoffDelayMs } from '../core/backoff.ts';
import type { TelemetryPacket } from '../leyline/messages.ts';
import type { EmergencyPublisher } from '../oona/types.ts';
import type { Context } from './context.ts';
import { createWaker } from './waker.ts';

/** Packets that wait while the bus is away; beyond it the oldest is dropped, counted and told. */
const MAX_WAITING = 256;
const RETRY: BackoffOptions = Object.freeze({ baseMs: 50, capMs: 2000 });

interface Waiting {
  readonly packet: TelemetryPacket;
  readonly signalId: string;
}

/** Sends packets about emergencies: each is retried until it is stored. Its retries go on beside the emergencies' own. */
export interface TelemetrySender {
  /** Queues a packet; returns at once. `signalId`: the emergency that it is about. */
  send(packet: TelemetryPacket, signalId: string): void;
  /** Publishes one that is worth nothing later: tried once. Returns whether it was stored. */
  sendOnce(packet: TelemetryPacket, stop: AbortSignal): Promise<boolean>;
  /** The bus is back: try now. */
  kick(): void;
  waiting(): number;
  run(stop: AbortSignal): Promise<void>;
  /** One attempt for everything that waits. Returns what is left. */
  drain(stop: AbortSignal): Promise<number>;
}

export function createTelemetrySender(context: Context): TelemetrySender {
  const { metrics } = context;
  const waker = createWaker(context.clock);
  const queue: Waiting[] = [];
  let failures = 0;

  function drop(waiting: Waiting, reason: string): void {
    metrics.increment('weatherlight.telemetry.dropped_total');
    context.emit({ type: 'telemetryDropped', packetId: waiting.packet.packetId, reason });
    context.logger.error({ packetId: waiting.packet.packetId, reason }, 'telemetry packet dropped');
  }

  /** Returns false when the bus is away; what it refuses for itself is dropped. */
  async function publish(bus: EmergencyPublisher, waiting: Waiting, stop: AbortSignal): Promise<boolean> {
    const result = await bus.publishTelemetry(waiting.packet, { signal: stop });
    if (result.outcome === 'failed') {
      metrics.increment('weatherlight.telemetry.failed_total');
      if (result.retryable) return false;
      drop(waiting, `${result.code}: ${result.reason}`);
      return true;
    }
    metrics.increment('weatherlight.telemetry.published_total');
    context.emit({
      type: 'telemetryPublished',
      packetId: waiting.packet.packetId,
      signalId: waiting.signalId,
    });
    return true;
  }

  async function publishAll(bus: EmergencyPublisher, stop: AbortSignal): Promise<boolean> {
    for (let head = queue[0]; head !== undefined && !stop.aborted; head = queue[0]) {
      if (!(await publish(bus, head, stop))) return false;
      // The overflow may have dropped the head meanwhile.
      if (queue[0] === head) queue.shift();
    }
    return true;
  }

  return {
    send(packet, signalId) {
      if (context.bus === undefined) return;
      if (queue.length >= MAX_WAITING) {
        const oldest = queue.shift();
        if (oldest !== undefined) drop(oldest, `more than ${MAX_WAITING} packets wait for the bus`);
      }
      queue.push({ packet, signalId });
      waker.kick();
    },
    async sendOnce(packet, stop) {
      if (context.bus === undefined) return false;
      const result = await context.bus.publishTelemetry(packet, { signal: stop });
      const stored = result.outcome !== 'failed';
      metrics.increment(`weatherlight.telemetry.${stored ? 'published' : 'failed'}_total`);
      return stored;
    },
    kick: () => waker.kick(),
    waiting: () => queue.length,
    async run(stop) {
      const { bus } = context;
      if (bus === undefined) return;
      while (!stop.aborted) {
        let waitMs: number | undefined;
        try {
          failures = (await publishAll(bus, stop)) ? 0 : failures + 1;
          if (failures > 0) waitMs = backoffDelayMs(failures, RETRY, context.random);
        } catch (error) {
          context.reportError('telemetry', error);
          waitMs = RETRY.capMs;
        }
        await waker.wait(waitMs, stop);
      }
    },
    async drain(stop) {
      if (context.bus !== undefined) await publishAll(context.bus, stop);
      return queue.length;
    },
  };
}
